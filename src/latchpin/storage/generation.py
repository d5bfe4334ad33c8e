"""The generation: a number that rises with every change that can narrow a right, before that change is answered.

A process may keep what it verified only for the generation it verified it under. Read the generation first, the rows after: a change
that is answered in between then shows as a newer generation on the next request (docs/decisions/0003).

Two ways to read it, both seen by every process of the deployment, the command line included:
- SQLite: a counter in a small file next to the database file (`shared_counter`). A read is one system call.
- PostgreSQL: a column that the change's own transaction raises. All requests that wait at the same time share one query, and a request
  only takes the answer of a query that was sent after the request came, so no clock and no lease is involved.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.settings import Settings
from latchpin.storage.models import Deployment
from latchpin.storage.outages import OutageLog
from latchpin.storage.pooler import Pooler
from latchpin.storage.shared_counter import SharedCounter
from latchpin.storage.sqlite_file import sqlite_file

if TYPE_CHECKING:  # imported where PostgreSQL is used
    import asyncpg

_INVALIDATES = "latchpin_narrows"


def invalidate(session: AsyncSession) -> None:
    """Say that this transaction can narrow somebody's right. Call it in every function that makes such a change.

    On PostgreSQL the generation rises with the commit itself; on SQLite `Database` raises the file's counter after the commit and
    before the transaction block returns to the edge.
    """
    session.info[_INVALIDATES] = True


async def increment_generation(session: AsyncSession) -> None:
    """Raise the generation column; the last statement of a narrowing transaction, so that its row lock is short."""
    await session.execute(update(Deployment).values(generation=Deployment.generation + 1))


def is_invalidating(session: AsyncSession) -> bool:
    """Whether `narrow` was called in this session."""
    return bool(session.info.get(_INVALIDATES))


class Generation(Protocol):
    """Reads the generation; `peek` answers at once where that is possible, else None and `current` must be awaited."""

    def current_nowait(self) -> int | None:
        """Return the generation without waiting, or None; raises Unavailable where it cannot be known."""

    async def current(self) -> int:
        """Return a generation read after this call began; raises Unavailable where it cannot be known."""

    async def close(self) -> None:
        """Let go of what is held."""


class SharedQuery:
    """Reads the generation column of PostgreSQL, one query for all who wait."""

    def __init__(self, url: str, outages: OutageLog | None = None, seconds: float = 5) -> None:
        plain, self._tls = split_tls(url)
        self._outages = outages or OutageLog()
        self._seconds = seconds
        self._url = plain.set(drivername="postgresql").render_as_string(hide_password=False)
        self._pooler = Pooler()
        self._connection: asyncpg.Connection | None = None
        self._running: asyncio.Task[int] | None = None
        self._next: asyncio.Task[int] | None = None

    def current_nowait(self) -> None:
        """There is no answer without asking."""

    async def current(self) -> int:
        """Return a generation from a query that starts after this call; raises Unavailable where it gets no answer."""
        import asyncpg  # noqa: PLC0415  as above

        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        try:
            return await asyncio.shield(self._next)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            detail = "The database cannot be reached, so the credential cannot be checked. Try again in a moment."
            raise self._outages.refusal(error, detail) from error

    async def _after(self, running: asyncio.Task[int] | None) -> int:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None  # whoever comes from here on waits for the query after this one
        return await asyncio.wait_for(self._ask(), timeout=self._seconds)

    async def _ask(self) -> int:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._pooler.connect_alone(self._url, timeout=self._seconds * 0.6, **self._tls)
        try:
            return int(await self._pooler.value(self._connection, "SELECT generation FROM deployment"))
        except BaseException:
            self._connection.terminate()  # a connection in doubt is not asked again
            self._connection = None
            raise

    async def close(self) -> None:
        """Close the connection."""
        for task in (self._running, self._next):
            if task is not None:
                with contextlib.suppress(Exception):
                    await task
        if self._connection is not None:
            with contextlib.suppress(OSError):
                await self._connection.close(timeout=1)


def split_tls(url: str) -> tuple[URL, dict[str, str]]:
    """Take `sslmode=` out of a database's address, as the driver takes it: a keyword of its own with libpq's words.

    Without it the driver does as PGSSLMODE says, by default TLS where the server offers it.
    """
    parsed = make_url(url)
    mode = parsed.query.get("sslmode")
    return parsed.difference_update_query(["sslmode"]), {"ssl": mode} if isinstance(mode, str) else {}


def shared_counter(settings: Settings, outages: OutageLog | None = None) -> SharedCounter | None:
    """Open the counter of an embedded database, or return None for PostgreSQL."""
    if not settings.is_sqlite:
        return None
    file = sqlite_file(settings.database_url)
    return SharedCounter(file.with_name(file.name + ".generation"), outages)


def open_generation(settings: Settings, outages: OutageLog) -> Generation:
    """Open the generation of a deployment for reading; `outages` takes note where it cannot be read."""
    return shared_counter(settings, outages) or SharedQuery(settings.database_url, outages, min(5, settings.database_timeout_seconds))
