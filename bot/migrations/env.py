"""Lets alembic work on the connection that `bot.kit.migrations` opened and locked."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext

from bot.kit.db import Table


def render_plain(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write a type of our own as the column type behind it: a migration outlives the code."""
    if kind == "type" and isinstance(item, sa.types.TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Table.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    render_item=render_plain,
    compare_type=True,
    # The lock's transaction is the one and only.
    transaction_per_migration=False,
)
context.run_migrations()
