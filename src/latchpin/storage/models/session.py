"""Browser sessions, and the counters that slow password guessing."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from latchpin.storage.models.base import NEVER_REUSED, Base
from latchpin.storage.types import UtcTime


class BrowserSession(Base):
    """A signed-in browser. The cookie's token is kept as SHA-256; `reauthenticated_at` is when the password was last entered."""

    __tablename__ = "browser_sessions"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcTime)
    reauthenticated_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
    address: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(String(400))
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)


class FormDraft(Base):
    """What a user typed into a form whose session had ended, encrypted; only the latest. The cookie's token is stored as SHA-256."""

    __tablename__ = "form_drafts"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(UtcTime)


class SignInFailures(Base):
    """Failed tries in one bucket (an account, an address, or both together) until `window_ends_at`."""

    __tablename__ = "sign_in_failures"

    bucket: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    failures: Mapped[int]
    window_ends_at: Mapped[datetime] = mapped_column(UtcTime, index=True)
