"""The assertions that a client has used are counted, so that no client fills the table.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    with op.batch_alter_table("oauth_assertions") as batch_op:
        batch_op.add_column(sa.Column("oauth_client_id", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(
            op.f("fk_oauth_assertions_oauth_client_id_oauth_clients"), "oauth_clients", ["oauth_client_id"], ["id"], ondelete="CASCADE"
        )
        batch_op.create_index(op.f("ix_oauth_assertions_oauth_client_id"), ["oauth_client_id"])


def downgrade() -> None:
    """Bring the schema back."""
    with op.batch_alter_table("oauth_assertions") as batch_op:
        batch_op.drop_index(op.f("ix_oauth_assertions_oauth_client_id"))
        batch_op.drop_constraint(op.f("fk_oauth_assertions_oauth_client_id_oauth_clients"), type_="foreignkey")
        batch_op.drop_column("oauth_client_id")
