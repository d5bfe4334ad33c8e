"""What one credential did is found in the audit trail without reading all of it.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_index("ix_audit_events_credential_kind_credential_id", "audit_events", ["credential_kind", "credential_id", "id"])


def downgrade() -> None:
    """Bring the schema back."""
    op.drop_index("ix_audit_events_credential_kind_credential_id", "audit_events")
