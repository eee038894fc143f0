"""Default profiles."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

#: True for a migration that deletes data: it then runs only with `--allow-data-loss`.
loses_data = False


def upgrade() -> None:
    op.create_table(
        "profile_default",
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("profile_id", sa.String(length=32), nullable=False),
        sa.Column("set_by", sa.String(length=80), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["profile_id"], ["profile.id"], name=op.f("fk_profile_default_profile_id_profile")
        ),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_profile_default_token_id_token")),
        sa.PrimaryKeyConstraint("token_id", "platform", name=op.f("pk_profile_default")),
    )
    with op.batch_alter_table("profile_default", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_profile_default_profile_id"), ["profile_id"], unique=False)

    with op.batch_alter_table("assignment_request", schema=None) as batch_op:
        batch_op.add_column(sa.Column("platforms", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("sync_id", sa.String(length=32), nullable=True))
        batch_op.create_index(batch_op.f("ix_assignment_request_sync_id"), ["sync_id"], unique=False)

    with op.batch_alter_table("device_sync", schema=None) as batch_op:
        batch_op.add_column(sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("device_sync", schema=None) as batch_op:
        batch_op.drop_column("judged_at")

    with op.batch_alter_table("assignment_request", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_assignment_request_sync_id"))
        batch_op.drop_column("sync_id")
        batch_op.drop_column("platforms")

    with op.batch_alter_table("profile_default", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_profile_default_profile_id"))

    op.drop_table("profile_default")
