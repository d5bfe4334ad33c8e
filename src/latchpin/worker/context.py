"""The parts that executing runs needs, put together once for a worker process."""

from __future__ import annotations

from dataclasses import dataclass

from latchpin.automation.admission import Admission
from latchpin.kit.file_store import FileStore
from latchpin.settings import Settings
from latchpin.storage import Database
from latchpin.storage.secrets import Secrets
from latchpin.worker.spare import SpareChild

PULSE_SECONDS = 1.0  # between two checks for orders, and two reports of a run that makes progress
STOP_SECONDS = 30.0  # that a run has to stop by itself


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The parts that executions share."""

    settings: Settings
    secrets: Secrets
    database: Database
    admission: Admission
    store: FileStore
    spare: SpareChild

    @property
    def renew_seconds(self) -> float:
        """How often a lease is renewed at least."""
        return self.settings.worker_lease_seconds / 3

    @property
    def hold_seconds(self) -> float:
        """How long after a renewal a run may go on without another: its child is ended before others may take it."""
        return self.settings.worker_lease_seconds * 5 / 6
