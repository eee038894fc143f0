"""Assignment requests."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: True for a migration that deletes data: it then runs only with `--allow-data-loss`.
loses_data = False


def upgrade() -> None:

    op.create_table(
        "assignment_request",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("action", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("profile_id", sa.String(length=32), nullable=True),
        sa.Column("profile_version", sa.Integer(), nullable=True),
        sa.Column("profile_uuid", sa.String(length=64), nullable=True),
        sa.Column("profile_name", sa.String(length=125), nullable=True),
        sa.Column("devices", sa.Integer(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("requested_by", sa.String(length=80), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(length=80), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.String(length=500), nullable=True),
        sa.Column("stop_asked_by", sa.String(length=80), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_tries", sa.Integer(), nullable=False),
        sa.Column("rests_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("channel", sa.String(length=40), nullable=True),
        sa.Column("message_ts", sa.String(length=40), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("shown", sa.Integer(), nullable=False),
        sa.Column("result_told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requester_told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tell_again_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tell_tries", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["profile_id"], ["profile.id"], name=op.f("fk_assignment_request_profile_id_profile")
        ),
        sa.ForeignKeyConstraint(
            ["token_id"], ["token.id"], name=op.f("fk_assignment_request_token_id_token")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment_request")),
        sa.UniqueConstraint("number", name=op.f("uq_assignment_request_number")),
    )
    with op.batch_alter_table("assignment_request", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_assignment_request_requested_by"), ["requested_by"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_assignment_request_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_assignment_request_token_id"), ["token_id"], unique=False)

    op.create_table(
        "assignment_batch",
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("devices", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["assignment_request.id"],
            name=op.f("fk_assignment_batch_request_id_assignment_request"),
        ),
        sa.PrimaryKeyConstraint("request_id", "number", name=op.f("pk_assignment_batch")),
    )
    op.create_table(
        "assignment_device",
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("previous_uuid", sa.String(length=64), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("again_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["assignment_request.id"],
            name=op.f("fk_assignment_device_request_id_assignment_request"),
        ),
        sa.PrimaryKeyConstraint("request_id", "serial", name=op.f("pk_assignment_device")),
    )
    op.create_table(
        "assignment_hold",
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["assignment_request.id"],
            name=op.f("fk_assignment_hold_request_id_assignment_request"),
        ),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_assignment_hold")),
    )
    with op.batch_alter_table("assignment_hold", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_assignment_hold_request_id"), ["request_id"], unique=False)


def downgrade() -> None:

    with op.batch_alter_table("assignment_hold", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_assignment_hold_request_id"))

    op.drop_table("assignment_hold")
    op.drop_table("assignment_device")
    op.drop_table("assignment_batch")
    with op.batch_alter_table("assignment_request", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_assignment_request_token_id"))
        batch_op.drop_index(batch_op.f("ix_assignment_request_state"))
        batch_op.drop_index(batch_op.f("ix_assignment_request_requested_by"))

    op.drop_table("assignment_request")
