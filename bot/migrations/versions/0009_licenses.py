"""Content tokens, licence counts and upload links."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

#: True for a migration that deletes data: it then runs only with `--allow-data-loss`.
loses_data = False


def upgrade() -> None:
    op.create_table(
        "content_token",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("name_key", sa.String(length=40), nullable=False),
        sa.Column("location_id", sa.String(length=64), nullable=False),
        sa.Column("location_name", sa.String(length=255), nullable=False),
        sa.Column("org_name", sa.String(length=255), nullable=True),
        sa.Column("country", sa.String(length=8), nullable=True),
        sa.Column("is_education", sa.Boolean(), nullable=False),
        sa.Column("manager", sa.String(length=255), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("threshold", sa.Integer(), nullable=True),
        sa.Column("added_by", sa.String(length=80), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("installed_by", sa.String(length=80), nullable=False),
        sa.Column("installed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_by", sa.String(length=80), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("secret_version", sa.Integer(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.String(length=10), nullable=True),
        sa.Column("trouble_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_content_token")),
    )
    with op.batch_alter_table("content_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_content_token_due_at"), ["due_at"], unique=False)
        batch_op.create_index(
            "uq_content_token_live_location",
            ["location_id"],
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )
        batch_op.create_index(
            "uq_content_token_live_name",
            ["name_key"],
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )

    op.create_table(
        "content_token_secret",
        sa.Column("content_token_id", sa.String(length=32), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["content_token_id"],
            ["content_token.id"],
            name=op.f("fk_content_token_secret_content_token_id_content_token"),
        ),
        sa.PrimaryKeyConstraint("content_token_id", name=op.f("pk_content_token_secret")),
    )
    op.create_table(
        "content_token_tag",
        sa.Column("content_token_id", sa.String(length=32), nullable=False),
        sa.Column("tag", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["content_token_id"],
            ["content_token.id"],
            name=op.f("fk_content_token_tag_content_token_id_content_token"),
        ),
        sa.PrimaryKeyConstraint("content_token_id", "tag", name=op.f("pk_content_token_tag")),
    )
    with op.batch_alter_table("content_token_tag", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_content_token_tag_tag"), ["tag"], unique=False)

    op.create_table(
        "licence_change",
        sa.Column("content_token_id", sa.String(length=32), nullable=False),
        sa.Column("app_id", sa.String(length=64), nullable=False),
        sa.Column("pricing", sa.String(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("assigned", sa.Integer(), nullable=False),
        sa.Column("available", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["content_token_id"],
            ["content_token.id"],
            name=op.f("fk_licence_change_content_token_id_content_token"),
        ),
        sa.PrimaryKeyConstraint(
            "content_token_id", "app_id", "pricing", "at", name=op.f("pk_licence_change")
        ),
    )
    with op.batch_alter_table("licence_change", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_licence_change_at"), ["at"], unique=False)

    op.create_table(
        "licence_count",
        sa.Column("content_token_id", sa.String(length=32), nullable=False),
        sa.Column("app_id", sa.String(length=64), nullable=False),
        sa.Column("pricing", sa.String(length=20), nullable=False),
        sa.Column("is_book", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("bundle_id", sa.String(length=255), nullable=True),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("assigned", sa.Integer(), nullable=False),
        sa.Column("available", sa.Integer(), nullable=True),
        sa.Column("retired", sa.Integer(), nullable=False),
        sa.Column("device_assignable", sa.Boolean(), nullable=False),
        sa.Column("platforms", sa.String(length=200), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["content_token_id"],
            ["content_token.id"],
            name=op.f("fk_licence_count_content_token_id_content_token"),
        ),
        sa.PrimaryKeyConstraint("content_token_id", "app_id", "pricing", name=op.f("pk_licence_count")),
    )
    op.create_table(
        "licence_threshold",
        sa.Column("content_token_id", sa.String(length=32), nullable=False),
        sa.Column("app_id", sa.String(length=64), nullable=False),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["content_token_id"],
            ["content_token.id"],
            name=op.f("fk_licence_threshold_content_token_id_content_token"),
        ),
        sa.PrimaryKeyConstraint("content_token_id", "app_id", name=op.f("pk_licence_threshold")),
    )
    op.create_table(
        "upload_link",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content_token_id", sa.String(length=32), nullable=True),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("tags", sa.String(length=1000), nullable=False),
        sa.Column("made_by", sa.String(length=80), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["content_token_id"],
            ["content_token.id"],
            name=op.f("fk_upload_link_content_token_id_content_token"),
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_upload_link")),
    )
    with op.batch_alter_table("upload_link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_upload_link_expires_at"), ["expires_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("upload_link", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_upload_link_expires_at"))

    op.drop_table("upload_link")
    op.drop_table("licence_threshold")
    op.drop_table("licence_count")
    with op.batch_alter_table("licence_change", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_licence_change_at"))

    op.drop_table("licence_change")
    with op.batch_alter_table("content_token_tag", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_content_token_tag_tag"))

    op.drop_table("content_token_tag")
    op.drop_table("content_token_secret")
    with op.batch_alter_table("content_token", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_content_token_live_name",
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )
        batch_op.drop_index(
            "uq_content_token_live_location",
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_content_token_due_at"))

    op.drop_table("content_token")
