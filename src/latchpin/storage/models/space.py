"""Spaces and who is a member of them. A user's personal Space has no row: it is `space_id` NULL on what belongs there."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from latchpin.storage.models.base import NEVER_REUSED, Base
from latchpin.storage.types import UtcTime, WordEnum


class SpaceScope(StrEnum):
    """Who sees a Space without being a member: nobody, the whole organization, or every organization (read-only)."""

    PRIVATE = "Private"
    PUBLIC = "Public"
    GLOBAL = "Global"


class Space(Base):
    """A group of agents. `is_default_access` lets every user of the organization operate it without being a member."""

    __tablename__ = "spaces"
    __table_args__ = (UniqueConstraint("organization_id", "name"), NEVER_REUSED)

    id: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(String(2000))
    scope: Mapped[SpaceScope] = mapped_column(WordEnum(SpaceScope), default=SpaceScope.PRIVATE)
    is_default_access: Mapped[bool] = mapped_column(default=False)
    run_retention_hours: Mapped[int | None]
    max_concurrent_runs: Mapped[int | None]  # NULL: the limit of the settings
    initiated_by: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)


class SpaceMember(Base):
    """One user's role in one Space; `role` is the number of identity.roles.Role."""

    __tablename__ = "space_members"

    space_id: Mapped[int] = mapped_column(ForeignKey("spaces.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    role: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcTime)
