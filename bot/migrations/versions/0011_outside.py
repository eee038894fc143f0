"""Events for the webhook, and how far the audit was followed."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

#: True for a migration that deletes data: it then runs only with `--allow-data-loss`.
loses_data = False

_WAITS = sa.text("ended_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "outside_event",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=130), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_taken", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_outside_event")),
        sa.UniqueConstraint("id", name=op.f("uq_outside_event_id")),
    )
    with op.batch_alter_table("outside_event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outside_event_waiting",
            ["subject", "number"],
            sqlite_where=_WAITS,
            postgresql_where=_WAITS,
        )
        batch_op.create_index(batch_op.f("ix_outside_event_ended_at"), ["ended_at"], unique=False)
    op.create_table(
        "outside_position",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outside_position")),
    )


def downgrade() -> None:
    op.drop_table("outside_position")
    op.drop_table("outside_event")
