"""API keys as stored: a keyed digest, what may be shown, and what the key may do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from latchpin.storage.models.base import NEVER_REUSED, Base
from latchpin.storage.types import UtcTime

_NOT_REVOKED: dict[str, Any] = {f"{dialect}_where": text("revoked_at IS NULL") for dialect in ("sqlite", "postgresql")}


class ApiKey(Base):
    """One key of one user. `scopes` and `networks` are space-separated; no networks means any address."""

    __tablename__ = "api_keys"
    __table_args__ = (
        Index("ix_api_keys_user_id_expires_at", "user_id", "expires_at", "id", **_NOT_REVOKED),
        Index("ix_api_keys_organization_id_expires_at", "organization_id", "expires_at", "id", **_NOT_REVOKED),
        NEVER_REUSED,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    pepper_version: Mapped[int]
    prefix: Mapped[str] = mapped_column(String(16), index=True)
    description: Mapped[str | None] = mapped_column(String(500))
    scopes: Mapped[str] = mapped_column(String(200))
    networks: Mapped[str] = mapped_column(String(2000), default="")
    rate_limit: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    created_by_name: Mapped[str] = mapped_column(String(200))
    idempotency_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcTime)
    last_used_address: Mapped[str | None] = mapped_column(String(64))
    revoked_at: Mapped[datetime | None] = mapped_column(UtcTime)
    revoked_by_name: Mapped[str | None] = mapped_column(String(200))
    revoked_reason: Mapped[str | None] = mapped_column(String(200))


class ApiKeyCount(Base):
    """How many keys of a user are not revoked and expire after `ApiKeyCountTime.counted_at`; triggers on the keys' table keep it."""

    __tablename__ = "api_key_counts"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)
    active: Mapped[int]


class ApiKeyCountTime(Base):
    """The time as of which keys are counted, in one row. Keys that expired between it and now are queried in addition to the counts."""

    __tablename__ = "api_key_count_time"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    counted_at: Mapped[datetime] = mapped_column(UtcTime)
