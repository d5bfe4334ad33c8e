"""The form that registered an app, so that sending it again registers no second one.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.add_column("oauth_clients", sa.Column("form_id", sa.String(length=64), nullable=True))
    op.create_index(op.f("ix_oauth_clients_form_id"), "oauth_clients", ["form_id"], unique=True)


def downgrade() -> None:
    """Bring the schema back."""
    op.drop_index(op.f("ix_oauth_clients_form_id"), "oauth_clients")
    op.drop_column("oauth_clients", "form_id")
