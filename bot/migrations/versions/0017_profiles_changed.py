"""Syncs: how many devices they found with another profile than they had here."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

#: True for a migration that deletes data: it then runs only with `--allow-data-loss`.
loses_data = False


def upgrade() -> None:
    with op.batch_alter_table("device_sync", schema=None) as batch_op:
        batch_op.add_column(sa.Column("profiles_changed", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("device_sync", schema=None) as batch_op:
        batch_op.drop_column("profiles_changed")
