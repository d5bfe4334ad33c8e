"""How long a use of the database may wait for an answer: for a connection, and for each statement anew.

A driver's own time limit for statements is not enough: after it SQLAlchemy sends a ROLLBACK on the same connection, which waits as well.
A cancellation by this limit makes it drop the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine

SECONDS = "latchpin_seconds"  # the engine's execution option for its limit


def seconds_of(engine: AsyncEngine) -> float | None:
    """Return an engine's limit in seconds; None for the embedded database, which waits for its lock only."""
    seconds: float | None = engine.sync_engine.get_execution_options().get(SECONDS)
    return seconds


class _Limit(NamedTuple):
    timeout: asyncio.Timeout
    seconds: float


_current: ContextVar[_Limit | None] = ContextVar("database_time_limit", default=None)


@asynccontextmanager
async def time_limit(seconds: float | None) -> AsyncIterator[None]:
    """Raise TimeoutError in the block once so many seconds have passed since its start or last statement (`renew`); None sets no limit."""
    async with asyncio.timeout(seconds) as timeout:
        outer = _current.get()
        _current.set(None if seconds is None else _Limit(timeout, seconds))
        try:
            yield
        finally:
            _current.set(outer)


def renew(*_event: object) -> None:
    """Restart the time of the innermost block; each statement does so (SQLAlchemy's event `before_cursor_execute`)."""
    limit = _current.get()
    if limit is not None and not limit.timeout.expired():
        limit.timeout.reschedule(asyncio.get_running_loop().time() + limit.seconds)
