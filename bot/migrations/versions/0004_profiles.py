"""Enrollment profiles, their versions, and drafts."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

#: True for a migration that deletes data: it then runs only with `--allow-data-loss`.
loses_data = False


def upgrade() -> None:

    op.create_table(
        "profile",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=125), nullable=False),
        sa.Column("name_key", sa.String(length=400), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("is_adopted", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_by", sa.String(length=80), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_profile_token_id_token")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profile")),
    )
    with op.batch_alter_table("profile", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_profile_token_id"), ["token_id"], unique=False)
        batch_op.create_index(
            "uq_profile_live_name",
            ["token_id", "name_key"],
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )

    op.create_table(
        "profile_unknown_uuid",
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("profile_uuid", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["token_id"], ["token.id"], name=op.f("fk_profile_unknown_uuid_token_id_token")
        ),
        sa.PrimaryKeyConstraint("token_id", "profile_uuid", name=op.f("pk_profile_unknown_uuid")),
    )
    op.create_table(
        "profile_draft",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("person", sa.String(length=80), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=True),
        sa.Column("profile_id", sa.String(length=32), nullable=True),
        sa.Column("base_version", sa.Integer(), nullable=True),
        sa.Column("step", sa.String(length=20), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("remarks", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("sending_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["profile_id"], ["profile.id"], name=op.f("fk_profile_draft_profile_id_profile")
        ),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_profile_draft_token_id_token")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profile_draft")),
    )
    with op.batch_alter_table("profile_draft", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_profile_draft_person"), ["person"], unique=False)
        batch_op.create_index(batch_op.f("ix_profile_draft_profile_id"), ["profile_id"], unique=False)

    op.create_table(
        "profile_version",
        sa.Column("profile_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("profile_uuid", sa.String(length=64), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("defined_by", sa.String(length=80), nullable=False),
        sa.Column("defined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["profile_id"], ["profile.id"], name=op.f("fk_profile_version_profile_id_profile")
        ),
        sa.PrimaryKeyConstraint("profile_id", "number", name=op.f("pk_profile_version")),
    )
    with op.batch_alter_table("profile_version", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_profile_version_profile_uuid"), ["profile_uuid"], unique=False)


def downgrade() -> None:

    with op.batch_alter_table("profile_version", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_profile_version_profile_uuid"))

    op.drop_table("profile_version")
    with op.batch_alter_table("profile_draft", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_profile_draft_profile_id"))
        batch_op.drop_index(batch_op.f("ix_profile_draft_person"))

    op.drop_table("profile_draft")
    op.drop_table("profile_unknown_uuid")
    with op.batch_alter_table("profile", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_profile_live_name",
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_profile_token_id"))

    op.drop_table("profile")
