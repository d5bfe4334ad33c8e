"""Each process logs a checkpoint of the audit trail at its start and daily, because logs are stored apart from the database."""

from __future__ import annotations

import asyncio

from latchpin.audit import chain
from latchpin.audit.chain import Checkpoint
from latchpin.errors import Unavailable
from latchpin.kit import clock
from latchpin.kit.logger import Logger
from latchpin.storage import Database

DAY_SECONDS = 86_400
_LOOK_SECONDS = 60
_log = Logger(__name__)


class CheckpointLog:
    """Logs the newest event's id and chain value; `run` runs until it is cancelled."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: Checkpoint | None = None
        self._due = 0.0

    async def run(self) -> None:
        """Call `write_if_due` once a minute."""
        while True:
            try:
                await self.write_if_due()
            except Unavailable:
                _log.warning("audit.checkpoint_failed", detail="the database cannot be reached; tried again in a minute")
            await asyncio.sleep(_LOOK_SECONDS)

    async def write_if_due(self) -> None:
        """Log a checkpoint once a day, and an error where the event of the last one is gone or has changed; raises Unavailable."""
        now = clock.monotonic()
        if self._due > now:
            return
        async with self._database.read() as session:
            lost = self._last is not None and not await chain.holds(session, self._last)
            newest = await chain.newest(session)
        if lost:
            _log.error(
                "audit.cut_off",
                expected=str(self._last),
                detail="the event of the last checkpoint is gone or has changed: run latchpin audit verify --expect with older checkpoints",
            )
        if newest is not None:
            _log.info("audit.checkpoint", checkpoint=str(newest))
        self._last, self._due = newest, now + DAY_SECONDS
