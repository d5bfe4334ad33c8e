"""What a run queue does. It only hands out runs that were admitted; the order between Spaces is decided before."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.storage import Database

Handler = Callable[[int], Coroutine[Any, Any, None]]


class RunQueue(Protocol):
    """Hands admitted runs to workers. A run may be handed out more than once; the row decides who executes it."""

    async def enqueue(self, session: AsyncSession, run_id: int, rank: int) -> None:
        """Hand out a run after the session's commit; a smaller `rank` goes first, then what was enqueued first."""

    async def cancel(self, session: AsyncSession, run_id: int) -> None:
        """Do not hand out a run any more; no effect if it was handed out already."""

    async def repair(self, database: Database) -> int:
        """Hand out again the runs that went to a worker which died before it took them; returns how many."""

    async def work(self, handler: Handler, *, slots: int) -> None:
        """Call `handler(run_id)` for each run that is handed out to this process, `slots` at the same time, until cancelled.

        After the cancellation nothing more is handed out; running handlers continue.
        """

    async def close(self) -> None:
        """Wait for running handlers, and release resources."""
