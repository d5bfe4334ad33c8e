"""An approval is for one version of an app; those that are there are for the present ones.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.add_column("oauth_approvals", sa.Column("client_version", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE oauth_approvals SET client_version ="
        " (SELECT version FROM oauth_clients WHERE oauth_clients.id = oauth_approvals.oauth_client_id) WHERE approved IS NOT NULL"
    )


def downgrade() -> None:
    """Bring the schema back."""
    op.drop_column("oauth_approvals", "client_version")
