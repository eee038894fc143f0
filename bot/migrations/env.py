"""Lets alembic work on the connection that `bot.kit.migrations` opened and locked."""

from alembic import context

from bot.kit.db import Table

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Table.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
    # The lock's transaction is the one and only.
    transaction_per_migration=False,
)
context.run_migrations()
