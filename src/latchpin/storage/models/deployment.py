"""The one row about the deployment itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from latchpin.storage.models.base import Base
from latchpin.storage.types import UtcTime


class Deployment(Base):
    """`generation` rises with every change that can narrow a right (on PostgreSQL; an embedded database counts in a file).

    `secrets_fingerprint` and `pepper_fingerprints` ("1:TEXT 2:TEXT", by version) reveal a wrong secrets file at the start.
    """

    __tablename__ = "deployment"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    generation: Mapped[int] = mapped_column(BigInteger, default=1)
    secrets_fingerprint: Mapped[str] = mapped_column(String(64))
    pepper_fingerprints: Mapped[str] = mapped_column(Text, default="", server_default="")
    setup_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    setup_expires_at: Mapped[datetime | None] = mapped_column(UtcTime)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
