"""Organizations and their users."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from latchpin.storage.models.base import NEVER_REUSED, Base
from latchpin.storage.types import UtcTime, WordEnum


class UserStatus(StrEnum):
    """Whether a user may sign in at all."""

    ACTIVE = "active"
    DISABLED = "disabled"


class AuthMethod(StrEnum):
    """How a user proves who they are: Local is e-mail and password."""

    LOCAL = "Local"


class Organization(Base):
    """A set of users. The key policy holds days; None means the deployment's setting.

    With `app_approval` an administrator must approve an app that the organization did not make, before its users can grant it access.
    """

    __tablename__ = "organizations"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    key_default_days: Mapped[int | None]
    key_max_days: Mapped[int | None]
    app_approval: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class User(Base):
    """A person of exactly one organization. `email_key` is the case-folded address that signing in compares."""

    __tablename__ = "users"
    __table_args__ = NEVER_REUSED

    id: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"), index=True)
    full_name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(String(254), unique=True)
    user_group: Mapped[str] = mapped_column(String(32))
    auth_method: Mapped[AuthMethod] = mapped_column(WordEnum(AuthMethod), default=AuthMethod.LOCAL)
    password_hash: Mapped[str] = mapped_column(String(200))
    must_change_password: Mapped[bool] = mapped_column(default=False)
    status: Mapped[UserStatus] = mapped_column(WordEnum(UserStatus), default=UserStatus.ACTIVE)
    last_sign_in_at: Mapped[datetime | None] = mapped_column(UtcTime)
    created_at: Mapped[datetime] = mapped_column(UtcTime)

    organization: Mapped[Organization] = relationship(lazy="raise")
