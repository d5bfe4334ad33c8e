"""Lists of keys and of the audit trail are read in the order of an index, however many rows there are.

Revision ID: 0019
Revises: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_AUDIT = "audit_events"
_KEYS = "api_keys"
_TARGETS = "ix_audit_events_target_kind_target_id"
_UNUSUAL = sa.text("outcome <> 'done'")
_WITHOUT_ID = sa.text("credential_id IS NULL")
_NOT_REVOKED = sa.text("revoked_at IS NULL")


def upgrade() -> None:
    """Bring the schema forward."""
    op.drop_index(_TARGETS, _AUDIT)
    op.create_index(_TARGETS, _AUDIT, ["target_kind", "target_id", "id"])
    op.create_index(
        "ix_audit_events_credential_kind", _AUDIT, ["credential_kind", "id"], sqlite_where=_WITHOUT_ID, postgresql_where=_WITHOUT_ID
    )
    op.create_index("ix_audit_events_actor_id", _AUDIT, ["actor_id", "id"])
    op.create_index("ix_audit_events_action", _AUDIT, ["action", "id"])
    op.create_index("ix_audit_events_at", _AUDIT, ["at", "id"])
    op.create_index("ix_audit_events_outcome", _AUDIT, ["outcome", "id"], sqlite_where=_UNUSUAL, postgresql_where=_UNUSUAL)
    op.create_index("ix_api_keys_prefix", _KEYS, ["prefix"])
    for owner in ("user_id", "organization_id"):
        columns = [owner, "expires_at", "id"]
        op.create_index(f"ix_api_keys_{owner}_expires_at", _KEYS, columns, sqlite_where=_NOT_REVOKED, postgresql_where=_NOT_REVOKED)


def downgrade() -> None:
    """Bring the schema back."""
    for owner in ("user_id", "organization_id"):
        op.drop_index(f"ix_api_keys_{owner}_expires_at", _KEYS)
    op.drop_index("ix_api_keys_prefix", _KEYS)
    for name in ("outcome", "at", "action", "actor_id", "credential_kind"):
        op.drop_index(f"ix_audit_events_{name}", _AUDIT)
    op.drop_index(_TARGETS, _AUDIT)
    op.create_index(_TARGETS, _AUDIT, ["target_kind", "target_id"])
