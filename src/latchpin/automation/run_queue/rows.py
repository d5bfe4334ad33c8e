"""The queue of the embedded database: the rows of admitted runs themselves, and the deployment's one worker that looks at them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.automation.run_queue.interface import Handler
from latchpin.errors import Unavailable
from latchpin.kit.logger import Logger
from latchpin.kit.wakeup import Wakeup
from latchpin.storage import Database
from latchpin.storage.database import after_commit
from latchpin.storage.models import Run
from latchpin.storage.models.agent import RunStatus

_POLL_SECONDS = 1.0  # in case that a signal was lost
_log = Logger(__name__)
_ADMITTED = (Run.status == RunStatus.QUEUING, Run.admitted_at.is_not(None), Run.ended_at.is_(None))


class RowQueue:
    """See RunQueue. `path` is that of the named pipe by which web processes wake the worker."""

    def __init__(self, database: Database, path: Path) -> None:
        self._database = database
        self._wakeup = Wakeup(path)
        self._running: dict[int, asyncio.Task[None]] = {}

    async def enqueue(self, session: AsyncSession, run_id: int, rank: int) -> None:
        """See RunQueue; the row itself is the queue's entry."""
        del run_id, rank
        after_commit(session, self._wakeup.send)

    async def cancel(self, session: AsyncSession, run_id: int) -> None:
        """See RunQueue; a row that is no longer Queuing is not handed out."""

    async def repair(self, database: Database) -> int:
        """See RunQueue; a row that was not taken is found again in any case."""
        del database
        return 0

    async def work(self, handler: Handler, *, slots: int) -> None:
        """See RunQueue."""
        self._wakeup.listen()
        while True:
            try:
                for run_id in await self._next(slots - len(self._running)):
                    task = asyncio.create_task(handler(run_id))
                    self._running[run_id] = task
                    task.add_done_callback(lambda _, run_id=run_id: self._done(run_id))  # type: ignore[misc]
            except Unavailable:
                _log.warning("queue.unavailable", detail="the database cannot be reached; asked again in a second")
            await self._wakeup.wait(_POLL_SECONDS)

    async def close(self) -> None:
        """See RunQueue; waits for running handlers."""
        if self._running:
            await asyncio.wait(self._running.values())
        self._wakeup.close()

    async def _next(self, free: int) -> list[int]:
        if free <= 0:
            return []
        query = select(Run.id).where(*_ADMITTED, Run.id.not_in(self._running)).order_by(Run.queue_rank, Run.admitted_at, Run.id).limit(free)
        async with self._database.read() as session:
            return list((await session.scalars(query)).all())

    def _done(self, run_id: int) -> None:
        self._running.pop(run_id, None)
        self._wakeup.nudge()
