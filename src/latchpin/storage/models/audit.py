"""The audit trail. Rows are only added: the database itself refuses to change or delete them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from latchpin.storage.models.base import NEVER_REUSED, Base
from latchpin.storage.types import UtcTime


def _where(condition: str) -> dict[str, Any]:
    """Return the index options that limit an index to the rows of a condition."""
    return {f"{dialect}_where": text(condition) for dialect in ("sqlite", "postgresql")}


class AuditEvent(Base):
    """What happened. Actor and target are kept as text as well as by id, so that history survives their deletion.

    No foreign keys: an event outlives everything it refers to. `chain` is a keyed hash over this row and the hash of the row before it.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_organization_id_id", "organization_id", "id"),
        Index("ix_audit_events_target_kind_target_id", "target_kind", "target_id", "id"),
        Index("ix_audit_events_credential_kind_credential_id", "credential_kind", "credential_id", "id"),
        Index("ix_audit_events_credential_kind", "credential_kind", "id", **_where("credential_id IS NULL")),  # command line or none
        Index("ix_audit_events_actor_id", "actor_id", "id"),
        Index("ix_audit_events_action", "action", "id"),
        Index("ix_audit_events_at", "at", "id"),
        Index("ix_audit_events_outcome", "outcome", "id", **_where("outcome <> 'done'")),  # few events are refused or fail
        NEVER_REUSED,
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)  # enough for years of events
    at: Mapped[datetime] = mapped_column(UtcTime)
    organization_id: Mapped[int | None]
    action: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(200))
    actor_id: Mapped[int | None]
    actor_name: Mapped[str] = mapped_column(String(254))
    credential_kind: Mapped[str] = mapped_column(String(32))
    credential_id: Mapped[int | None]
    credential_name: Mapped[str] = mapped_column(String(500))
    target_kind: Mapped[str | None] = mapped_column(String(32))
    target_id: Mapped[int | None]
    target_name: Mapped[str | None] = mapped_column(String(500))
    address: Mapped[str | None] = mapped_column(String(64))
    user_agent: Mapped[str | None] = mapped_column(String(400))
    request_id: Mapped[str | None] = mapped_column(String(64))
    changes: Mapped[str | None] = mapped_column(Text)  # JSON: field -> [old, new], never a secret
    count: Mapped[int] = mapped_column(default=1)
    chain: Mapped[bytes] = mapped_column(LargeBinary(32))
