"""Agents and their versions. The definition's text lives in the version; the agent row has what lists show."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from latchpin.storage.models.base import NEVER_REUSED, Base
from latchpin.storage.types import NumberEnum, UtcTime


class ConfigType(IntEnum):
    """What an agent row is, as the wire contract numbers it."""

    AGENT = 1
    SHARED_FILE = 2
    TEMPLATE = 3
    COMMAND = 4


class ValidationStatus(IntEnum):
    """Whether the current definition can be run."""

    UNKNOWN = 1
    INVALID = 2
    VALID = 3


class RunStatus(IntEnum):
    """The state of a run, as the wire contract numbers it."""

    INVALID = 0
    RUNNING = 1
    EXPORTING = 2
    STARTING = 3
    QUEUING = 4
    STOPPING = 5
    FAILURE = 6
    FAILED = 7
    STOPPED = 8
    COMPLETED = 9
    SUCCESS = 10
    SKIPPED = 11
    WAITING = 12
    UPDATING_DATA_SET = 13


class Agent(Base):
    """A web-data agent, in one Space or (space_id NULL) in its owner's personal Space.

    `user_id` is its owner; NULL if an app made it on its own behalf, which is possible in a Space only.
    """

    __tablename__ = "agents"
    __table_args__ = (
        Index("ix_agents_organization_id_space_id", "organization_id", "space_id"),
        CheckConstraint("space_id IS NOT NULL OR user_id IS NOT NULL", name="owner"),
        NEVER_REUSED,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    space_id: Mapped[int | None] = mapped_column(ForeignKey("spaces.id"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    documentation: Mapped[str | None] = mapped_column(Text)
    config_type: Mapped[ConfigType] = mapped_column(NumberEnum(ConfigType), default=ConfigType.AGENT)
    start_url: Mapped[str | None] = mapped_column(Text)
    input_parameters: Mapped[str] = mapped_column(Text, default="{}")  # JSON: name -> default text
    status: Mapped[RunStatus | None] = mapped_column(NumberEnum(RunStatus))
    validation_status: Mapped[ValidationStatus] = mapped_column(NumberEnum(ValidationStatus), default=ValidationStatus.VALID)
    version: Mapped[int] = mapped_column(default=1)
    last_activity_at: Mapped[datetime | None] = mapped_column(UtcTime)
    active_runs: Mapped[int] = mapped_column(default=0, server_default="0")  # runs that have not ended
    started_runs: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), default=0, server_default="0")  # runs in all
    archived_at: Mapped[datetime | None] = mapped_column(UtcTime)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)


class AgentVersion(Base):
    """One saved definition of an agent. Versions are only added; restoring adds a copy of an old one."""

    __tablename__ = "agent_versions"
    __table_args__ = (UniqueConstraint("agent_id", "version"), NEVER_REUSED)

    id: Mapped[int] = mapped_column(primary_key=True)
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"))
    version: Mapped[int]
    definition: Mapped[str] = mapped_column(Text)
    file_size: Mapped[int]
    comments: Mapped[str | None] = mapped_column(String(500))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    user_name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
