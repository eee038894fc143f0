"""the first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

#: True for a migration that deletes data: it then runs only with `--allow-data-loss`.
loses_data = False


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("actor_kind", sa.String(length=10), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject_kind", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=80), nullable=False),
        sa.Column("subject_name", sa.String(length=200), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("reference", sa.String(length=40), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_entry")),
    )
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_entry_action"), ["action"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_entry_actor"), ["actor"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_entry_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_entry_subject_id"), ["subject_id"], unique=False)

    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "claimed",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_claimed")),
    )
    with op.batch_alter_table("claimed", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_claimed_at"), ["at"], unique=False)

    op.create_table(
        "device",
        sa.Column("serial", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("kind_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("operation_at", sa.BigInteger(), nullable=True),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.Column("removed_reason", sa.String(length=40), nullable=True),
        sa.Column("forgotten_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_device")),
    )
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.create_index("ix_device_first_seen_at_serial", ["first_seen_at", "serial"], unique=False)
        batch_op.create_index("ix_device_kind_id_serial", ["kind_id", "serial"], unique=False)
        batch_op.create_index(
            "ix_device_removed_at_serial",
            ["removed_at", "serial"],
            unique=False,
            sqlite_where=sa.text("removed_at IS NOT NULL"),
            postgresql_where=sa.text("removed_at IS NOT NULL"),
        )

    op.create_table(
        "device_change",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("serial", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("sync_id", sa.String(length=32), nullable=True),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_change")),
    )
    with op.batch_alter_table("device_change", schema=None) as batch_op:
        batch_op.create_index("ix_device_change_serial_id", ["serial", "id"], unique=False)

    op.create_table(
        "device_cursor",
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("phase", sa.String(length=10), nullable=False),
        sa.Column("cursor", sa.String(), nullable=True),
        sa.Column("full_id", sa.String(length=32), nullable=True),
        sa.Column("full_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unreadable", sa.Integer(), nullable=False),
        sa.Column("numbers", sa.Integer(), nullable=False),
        sa.Column("is_disturbed", sa.Boolean(), nullable=False),
        sa.Column("last_full_id", sa.String(length=32), nullable=True),
        sa.Column("last_full_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_full_ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_device_cursor")),
    )
    op.create_table(
        "device_kind",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("family", sa.String(), nullable=True),
        sa.Column("os", sa.String(), nullable=True),
        sa.Column("platform", sa.String(length=20), nullable=False),
        sa.Column("profile_status", sa.String(), nullable=False),
        sa.Column("profile_uuid", sa.String(), nullable=True),
        sa.Column("devices", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_kind")),
    )
    with op.batch_alter_table("device_kind", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_device_kind_profile_uuid"), ["profile_uuid"], unique=False)
        batch_op.create_index(batch_op.f("ix_device_kind_token_id"), ["token_id"], unique=False)

    op.create_table(
        "device_seen",
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("chunk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bits", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("token_id", "chunk", name=op.f("pk_device_seen")),
    )
    op.create_table(
        "device_sync",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("forced", sa.String(length=40), nullable=True),
        sa.Column("is_first", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("asked_by", sa.String(length=80), nullable=False),
        sa.Column("asked_by_person", sa.Boolean(), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resumed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resume_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("busy_ms", sa.Integer(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("modified", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.Column("returned", sa.Integer(), nullable=False),
        sa.Column("moved", sa.Integer(), nullable=False),
        sa.Column("ignored", sa.Integer(), nullable=False),
        sa.Column("unreadable", sa.Integer(), nullable=False),
        sa.Column("removals_judged", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("next_step", sa.String(), nullable=True),
        sa.Column("channel", sa.String(length=40), nullable=True),
        sa.Column("message_ts", sa.String(length=40), nullable=True),
        sa.Column("devices_before", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tell_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tell_tries", sa.Integer(), nullable=False),
        sa.Column("told_directly_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_sync")),
    )
    with op.batch_alter_table("device_sync", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_device_sync_ended_at"), ["ended_at"], unique=False)
        batch_op.create_index("ix_device_sync_token_id_started_at", ["token_id", "started_at"], unique=False)
        batch_op.create_index(
            "uq_device_sync_open",
            ["token_id"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "job_run",
        sa.Column("job", sa.String(length=80), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_by", sa.String(length=120), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("job", "slot", name=op.f("pk_job_run")),
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("holder", sa.String(length=120), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "secret_canary",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secret_canary")),
    )
    op.create_table(
        "token",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("name_key", sa.String(length=40), nullable=False),
        sa.Column("expected_apple_id", sa.String(length=254), nullable=True),
        sa.Column("mdm_url", sa.String(length=2000), nullable=True),
        sa.Column("channel", sa.String(length=40), nullable=True),
        sa.Column("approvals_channel", sa.String(length=40), nullable=True),
        sa.Column("owner", sa.String(length=40), nullable=True),
        sa.Column("warn_days", sa.String(length=80), nullable=True),
        sa.Column("agreed_wording", sa.String(length=500), nullable=True),
        sa.Column("agreed_by", sa.String(length=80), nullable=True),
        sa.Column("agreed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("added_by", sa.String(length=80), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_by", sa.String(length=80), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("server_uuid", sa.String(length=64), nullable=True),
        sa.Column("server_name", sa.String(length=255), nullable=True),
        sa.Column("org_name", sa.String(length=255), nullable=True),
        sa.Column("org_id", sa.String(length=64), nullable=True),
        sa.Column("org_type", sa.String(length=40), nullable=True),
        sa.Column("made_by", sa.String(length=254), nullable=True),
        sa.Column("consumer_key_digest", sa.String(length=64), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("installed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("installed_by", sa.String(length=80), nullable=True),
        sa.Column("secret_version", sa.Integer(), nullable=False),
        sa.Column("full_page_size", sa.Integer(), nullable=True),
        sa.Column("delta_page_size", sa.Integer(), nullable=True),
        sa.Column("renewal_opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("renewal_opened_by", sa.String(length=80), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_ok_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_first_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_word", sa.String(length=200), nullable=True),
        sa.Column("terms_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
    )
    with op.batch_alter_table("token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_token_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(
            "uq_token_live_name",
            ["name_key"],
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )
        batch_op.create_index(
            "uq_token_live_server",
            ["server_uuid"],
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )

    op.create_table(
        "token_key_pair",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("certificate_pem", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("private_key", sa.LargeBinary(), nullable=True),
        sa.Column("made_by", sa.String(length=80), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_token_key_pair_token_id_token")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_key_pair")),
    )
    with op.batch_alter_table("token_key_pair", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_token_key_pair_token_id"), ["token_id"], unique=False)
        batch_op.create_index(
            "uq_token_key_pair_current",
            ["token_id"],
            unique=True,
            sqlite_where=sa.text("state = 'current'"),
            postgresql_where=sa.text("state = 'current'"),
        )
        batch_op.create_index(
            "uq_token_key_pair_staged",
            ["token_id"],
            unique=True,
            sqlite_where=sa.text("state = 'staged'"),
            postgresql_where=sa.text("state = 'staged'"),
        )

    op.create_table(
        "token_secret",
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("credentials", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_token_secret_token_id_token")),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_token_secret")),
    )
    op.create_table(
        "token_session",
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_token_session_token_id_token")),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_token_session")),
    )
    op.create_table(
        "token_sync_wish",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("asked_by", sa.String(length=80), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("exempt", sa.Boolean(), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=True),
        sa.Column("user_id", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_token_sync_wish_token_id_token")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_sync_wish")),
    )
    with op.batch_alter_table("token_sync_wish", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_token_sync_wish_token_id"), ["token_id"], unique=False)

    op.create_table(
        "token_tag",
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("tag", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_token_tag_token_id_token")),
        sa.PrimaryKeyConstraint("token_id", "tag", name=op.f("pk_token_tag")),
    )
    with op.batch_alter_table("token_tag", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_token_tag_tag"), ["tag"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("token_tag", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_token_tag_tag"))

    op.drop_table("token_tag")
    with op.batch_alter_table("token_sync_wish", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_token_sync_wish_token_id"))

    op.drop_table("token_sync_wish")
    op.drop_table("token_session")
    op.drop_table("token_secret")
    with op.batch_alter_table("token_key_pair", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_token_key_pair_staged",
            sqlite_where=sa.text("state = 'staged'"),
            postgresql_where=sa.text("state = 'staged'"),
        )
        batch_op.drop_index(
            "uq_token_key_pair_current",
            sqlite_where=sa.text("state = 'current'"),
            postgresql_where=sa.text("state = 'current'"),
        )
        batch_op.drop_index(batch_op.f("ix_token_key_pair_token_id"))

    op.drop_table("token_key_pair")
    with op.batch_alter_table("token", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_token_live_server",
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )
        batch_op.drop_index(
            "uq_token_live_name",
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_token_expires_at"))

    op.drop_table("token")
    op.drop_table("secret_canary")
    op.drop_table("lease")
    op.drop_table("job_run")
    with op.batch_alter_table("device_sync", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_device_sync_open",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.drop_index("ix_device_sync_token_id_started_at")
        batch_op.drop_index(batch_op.f("ix_device_sync_ended_at"))

    op.drop_table("device_sync")
    op.drop_table("device_seen")
    with op.batch_alter_table("device_kind", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_device_kind_token_id"))
        batch_op.drop_index(batch_op.f("ix_device_kind_profile_uuid"))

    op.drop_table("device_kind")
    op.drop_table("device_cursor")
    with op.batch_alter_table("device_change", schema=None) as batch_op:
        batch_op.drop_index("ix_device_change_serial_id")

    op.drop_table("device_change")
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_device_removed_at_serial",
            sqlite_where=sa.text("removed_at IS NOT NULL"),
            postgresql_where=sa.text("removed_at IS NOT NULL"),
        )
        batch_op.drop_index("ix_device_kind_id_serial")
        batch_op.drop_index("ix_device_first_seen_at_serial")

    op.drop_table("device")
    with op.batch_alter_table("claimed", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_claimed_at"))

    op.drop_table("claimed")
    op.drop_table("audit_head")
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_entry_subject_id"))
        batch_op.drop_index(batch_op.f("ix_audit_entry_at"))
        batch_op.drop_index(batch_op.f("ix_audit_entry_actor"))
        batch_op.drop_index(batch_op.f("ix_audit_entry_action"))

    op.drop_table("audit_entry")
