"""Authorization requests that were sent ahead (RFC 9126), and tokens bound to a key (RFC 9449).

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "oauth_pushed_requests",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("oauth_client_id", sa.Integer(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["oauth_client_id"],
            ["oauth_clients.id"],
            name=op.f("fk_oauth_pushed_requests_oauth_client_id_oauth_clients"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_oauth_pushed_requests")),
    )
    op.create_index(op.f("ix_oauth_pushed_requests_oauth_client_id"), "oauth_pushed_requests", ["oauth_client_id"])
    op.create_index(op.f("ix_oauth_pushed_requests_expires"), "oauth_pushed_requests", ["expires"])
    for name in ("require_pushed", "dpop_bound"):
        op.add_column("oauth_clients", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    for table in ("oauth_grants", "oauth_codes"):
        op.add_column(table, sa.Column("dpop_jkt", sa.String(length=43), nullable=True))


def downgrade() -> None:
    """Bring the schema back."""
    for table in ("oauth_codes", "oauth_grants"):
        op.drop_column(table, "dpop_jkt")
    for name in ("dpop_bound", "require_pushed"):
        op.drop_column("oauth_clients", name)
    op.drop_table("oauth_pushed_requests")
