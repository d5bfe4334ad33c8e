"""The keys that sign tokens. The private key is encrypted under the deployment's secrets; the public key is for everybody."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from latchpin.storage.models.base import NEVER_REUSED, Base
from latchpin.storage.types import UtcTime


class SigningKey(Base):
    """One key pair. It is published from `created_at` until `published_until`, and signs from `signs_from` to `signs_until`."""

    __tablename__ = "signing_keys"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    kid: Mapped[str] = mapped_column(String(64), unique=True)
    algorithm: Mapped[str] = mapped_column(String(16))
    private: Mapped[bytes] = mapped_column(LargeBinary)
    public: Mapped[str] = mapped_column(Text)  # a JWK (RFC 7517), public members only
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    signs_from: Mapped[datetime] = mapped_column(UtcTime)
    signs_until: Mapped[datetime | None] = mapped_column(UtcTime)
    published_until: Mapped[datetime | None] = mapped_column(UtcTime, index=True)
