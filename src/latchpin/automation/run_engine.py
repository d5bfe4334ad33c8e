"""The parts that starting, executing and ending runs need, put together once for each process."""

from __future__ import annotations

from dataclasses import dataclass

from latchpin.automation.admission import Admission
from latchpin.automation.run_queue import ProcrastinateQueue, RowQueue, RunQueue
from latchpin.kit.file_store import DirectoryStore, FileStore
from latchpin.settings import Settings
from latchpin.storage import Database
from latchpin.storage.secrets import Secrets
from latchpin.storage.sqlite_file import sqlite_file


@dataclass(frozen=True, slots=True)
class RunEngine:
    """Slots and queue, the secrets that encrypt inputs, and the file store."""

    admission: Admission
    secrets: Secrets
    store: FileStore


def open_engine(settings: Settings, database: Database, secrets: Secrets) -> RunEngine:
    """Put the engine of a deployment together; connects to nothing yet."""
    return RunEngine(Admission(_queue(settings, database), settings.max_concurrent_runs), secrets, DirectoryStore(settings.files_dir))


def _queue(settings: Settings, database: Database) -> RunQueue:
    if not settings.is_sqlite:
        return ProcrastinateQueue(settings)
    file = sqlite_file(settings.database_url)
    return RowQueue(database, file.with_name(f"{file.name}.runs"))
