"""Runs of agents: a run's state is in its row. Transitions, files and workers have tables of their own."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum, StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from latchpin.storage.models.agent import RunStatus
from latchpin.storage.models.base import NEVER_REUSED, Base
from latchpin.storage.types import NumberEnum, UtcTime, WordEnum

_INT64 = BigInteger().with_variant(Integer, "sqlite")
_UNFINISHED = text("ended_at IS NULL")


class RunOrigin(StrEnum):
    """What started a run."""

    USER = "user"
    API_KEY = "api_key"
    APP = "app"
    SCHEDULE = "schedule"
    RUN_ALL = "run_all"


class TransitionCause(StrEnum):
    """Why a run changed its status. The first three are callers; the others are parts of the deployment."""

    PERSON = "person"
    API_KEY = "api_key"
    APP = "app"
    SCHEDULE = "schedule"
    WORKER = "worker"
    CHILD = "child"
    LIMIT = "limit"
    CREDIT = "credit"
    WORKER_LOST = "worker_lost"
    WORKER_STOPPED = "worker_stopped"
    RETENTION = "retention"


class LogLevel(StrEnum):
    """The least severe lines of a run's log that are kept."""

    FATAL = "Fatal"
    ERROR = "Error"
    WARNING = "Warning"
    INFO = "Info"


class LogMode(StrEnum):
    """In which forms a run's log is kept."""

    TEXT = "Text"
    TEXT_AND_HTML = "TextAndHtml"


class ParallelExport(StrEnum):
    """Whether parallel sets of a run are exported into one file or one each."""

    COMBINED = "Combined"
    SEPARATED = "Separated"


class RunFileType(IntEnum):
    """What a file of a run is, as the wire contract numbers it."""

    DELIVERED_FILE = 1
    EXTRACTED_FILES = 2
    INTERNAL_EXPORT_FILES = 3
    INTERNAL_RUNTIME_FILES = 4
    INTERNAL_TRACKING_DB = 5
    LOG_TEXT = 6
    LOG_HTML = 7
    INTERNAL_CONTENT_CACHE = 8


class Run(Base):
    """One run of an agent.

    `space_id` NULL is the personal Space of `user_id`, the agent's owner; `user_id` is NULL if an app made the agent, in a Space.
    `concurrency_group` is the Space's id, or minus the owner's for a personal Space: runs of one group share its limit. `admitted_at` is
    when the run got one of its group's slots, which it holds until `ended_at`. `owner` is the id of the worker that executes it until
    `lease_expires_at`; each attempt has a new `fencing_token`.
    `input` is a JSON object of the plain input parameters, `sealed_input`, encrypted, of the secret ones. `traffic` is in bytes.
    """

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("agent_id", "sequence"),
        Index("ix_runs_agent_id_status", "agent_id", "status"),
        Index("ix_runs_organization_id_created_at", "organization_id", "created_at"),
        Index("ix_runs_space_id_created_at", "space_id", "created_at"),
        Index("ix_runs_user_id", "user_id"),
        Index("ix_runs_idempotency_key", "idempotency_key", unique=True),
        Index("ix_runs_unfinished_group", "concurrency_group", "id", sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED),
        Index("ix_runs_unfinished_agent", "agent_id", "id", sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED),
        NEVER_REUSED,
    )

    id: Mapped[int] = mapped_column(_INT64, primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    space_id: Mapped[int | None] = mapped_column(ForeignKey("spaces.id"))
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    sequence: Mapped[int] = mapped_column(_INT64)
    config_version: Mapped[int]
    status: Mapped[RunStatus] = mapped_column(NumberEnum(RunStatus))
    message: Mapped[str | None] = mapped_column(Text)

    origin: Mapped[RunOrigin] = mapped_column(WordEnum(RunOrigin))
    origin_id: Mapped[int | None] = mapped_column(_INT64)
    origin_name: Mapped[str] = mapped_column(String(200))
    input: Mapped[str | None] = mapped_column(Text)
    sealed_input: Mapped[bytes | None] = mapped_column(LargeBinary)
    parallelism: Mapped[int] = mapped_column(default=1)
    parallel_max_concurrency: Mapped[int] = mapped_column(default=1)
    parallel_export: Mapped[ParallelExport] = mapped_column(WordEnum(ParallelExport), default=ParallelExport.COMBINED)
    parallel_set: Mapped[int] = mapped_column(default=0)
    log_level: Mapped[LogLevel] = mapped_column(WordEnum(LogLevel), default=LogLevel.INFO)
    log_mode: Mapped[LogMode] = mapped_column(WordEnum(LogMode), default=LogMode.TEXT)
    is_exclusive: Mapped[bool] = mapped_column(default=True)
    is_wait_on_failure: Mapped[bool] = mapped_column(default=False)
    idempotency_key: Mapped[str | None] = mapped_column(String(64))  # digest of the caller and its key; NULL a day later
    request_digest: Mapped[str | None] = mapped_column(String(64))  # of the request with that key

    concurrency_group: Mapped[int]
    admitted_at: Mapped[datetime | None] = mapped_column(UtcTime)
    queue_rank: Mapped[int] = mapped_column(default=0)  # how many slots of its group were taken when it was admitted
    owner: Mapped[int | None] = mapped_column(_INT64)
    server_name: Mapped[str | None] = mapped_column(String(200))
    lease_expires_at: Mapped[datetime | None] = mapped_column(UtcTime)
    fencing_token: Mapped[int] = mapped_column(_INT64, default=0)
    stop_requested_at: Mapped[datetime | None] = mapped_column(UtcTime)
    stop_requested_by: Mapped[str | None] = mapped_column(String(200))
    kill_requested_at: Mapped[datetime | None] = mapped_column(UtcTime)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)
    archived_at: Mapped[datetime | None] = mapped_column(UtcTime)  # moved to history

    action_count: Mapped[int] = mapped_column(_INT64, default=0)
    page_count: Mapped[int] = mapped_column(_INT64, default=0)
    dynamic_page_count: Mapped[int] = mapped_column(_INT64, default=0)
    request_count: Mapped[int] = mapped_column(_INT64, default=0)
    data_count: Mapped[int] = mapped_column(_INT64, default=0)
    input_count: Mapped[int] = mapped_column(_INT64, default=0)
    error_count: Mapped[int] = mapped_column(_INT64, default=0)
    export_count: Mapped[int] = mapped_column(_INT64, default=0)
    traffic: Mapped[int] = mapped_column(_INT64, default=0)
    field_counts: Mapped[str | None] = mapped_column(Text)  # JSON: field -> number of records that have a value


class RunTransition(Base):
    """One change of a run's status. `from_status` is NULL for the first; `actor_id` is a user's, and the name outlives the user."""

    __tablename__ = "run_transitions"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    from_status: Mapped[RunStatus | None] = mapped_column(NumberEnum(RunStatus))
    to_status: Mapped[RunStatus] = mapped_column(NumberEnum(RunStatus))
    at: Mapped[datetime] = mapped_column(UtcTime)
    cause: Mapped[TransitionCause] = mapped_column(WordEnum(TransitionCause))
    actor_id: Mapped[int | None]
    actor_name: Mapped[str | None] = mapped_column(String(200))
    message: Mapped[str | None] = mapped_column(Text)


class RunFile(Base):
    """A file that an attempt of a run made. `storage_key` is its place in the file store; `removed_at` is when its bytes were deleted."""

    __tablename__ = "run_files"
    __table_args__ = (Index("ix_run_files_run_id", "run_id"), NEVER_REUSED)

    id: Mapped[int] = mapped_column(_INT64, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    fencing_token: Mapped[int] = mapped_column(_INT64)
    file_type: Mapped[RunFileType] = mapped_column(NumberEnum(RunFileType))
    name: Mapped[str] = mapped_column(String(200))
    size: Mapped[int] = mapped_column(_INT64, default=0)  # bytes
    storage_key: Mapped[str] = mapped_column(String(400))
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    removed_at: Mapped[datetime | None] = mapped_column(UtcTime)


class Worker(Base):
    """A worker process that is connected, or was until it stopped answering. One that ended normally leaves no row."""

    __tablename__ = "workers"
    __table_args__ = (NEVER_REUSED,)

    id: Mapped[int] = mapped_column(_INT64, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    host: Mapped[str] = mapped_column(String(200))
    process_id: Mapped[int]
    slots: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(UtcTime)
    heartbeat_at: Mapped[datetime] = mapped_column(UtcTime)
    draining_at: Mapped[datetime | None] = mapped_column(UtcTime)
