"""What each generation changed, on PostgreSQL; an embedded database keeps it in a file."""

from __future__ import annotations

from sqlalchemy import BigInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from latchpin.storage.models.base import Base


class Invalidation(Base):
    """`slots` is a word that is unique to the row, and then the slots of the subjects that the change concerned (`storage.subjects`)."""

    __tablename__ = "invalidations"

    generation: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    slots: Mapped[str] = mapped_column(Text)
