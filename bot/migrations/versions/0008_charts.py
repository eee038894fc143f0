"""Workspaces that refuse charts."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

#: True for a migration that deletes data: it then runs only with `--allow-data-loss`.
loses_data = False


def upgrade() -> None:
    op.create_table(
        "slack_chart_refusal",
        sa.Column("team_id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("team_id", name=op.f("pk_slack_chart_refusal")),
    )


def downgrade() -> None:
    op.drop_table("slack_chart_refusal")
