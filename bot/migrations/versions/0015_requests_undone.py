"""Requests: what undoes them, what has changed since, who was reminded, and why they rest."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

#: True for a migration that deletes data: it then runs only with `--allow-data-loss`.
loses_data = False


def upgrade() -> None:
    with op.batch_alter_table("assignment_device", schema=None) as batch_op:
        batch_op.add_column(sa.Column("target_uuid", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("why", sa.String(length=200), nullable=True))

    with op.batch_alter_table("assignment_request", schema=None) as batch_op:
        batch_op.add_column(sa.Column("undoes_id", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("changes", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("decided_as", sa.String(length=80), nullable=True))
        batch_op.add_column(sa.Column("glass_open_since", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("glass_broken_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("glass_told_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("rests_because", sa.String(length=500), nullable=True))
        batch_op.add_column(sa.Column("permalink", sa.String(length=500), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_assignment_request_undoes_id_assignment_request"),
            "assignment_request",
            ["undoes_id"],
            ["id"],
        )


def downgrade() -> None:
    with op.batch_alter_table("assignment_request", schema=None) as batch_op:
        batch_op.drop_constraint(
            batch_op.f("fk_assignment_request_undoes_id_assignment_request"), type_="foreignkey"
        )
        batch_op.drop_column("permalink")
        batch_op.drop_column("rests_because")
        batch_op.drop_column("reminded_at")
        batch_op.drop_column("glass_told_at")
        batch_op.drop_column("glass_broken_at")
        batch_op.drop_column("glass_open_since")
        batch_op.drop_column("decided_as")
        batch_op.drop_column("changes")
        batch_op.drop_column("undoes_id")

    with op.batch_alter_table("assignment_device", schema=None) as batch_op:
        batch_op.drop_column("why")
        batch_op.drop_column("target_uuid")
