"""Who has opened the Home tab lately."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

#: True for a migration that deletes data: it then runs only with `--allow-data-loss`.
loses_data = False


def upgrade() -> None:
    op.create_table(
        "home_reader",
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_home_reader")),
    )
    with op.batch_alter_table("home_reader", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_home_reader_opened_at"), ["opened_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("home_reader", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_home_reader_opened_at"))

    op.drop_table("home_reader")
