"""What a start compares with the secrets file: a fingerprint of each pepper.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.add_column("deployment", sa.Column("pepper_fingerprints", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Bring the schema back."""
    with op.batch_alter_table("deployment") as table:
        table.drop_column("pepper_fingerprints")
