"""The generation: a number that rises with every change that can narrow a right, before that change is answered.

A process caches a verified credential for as long as none of the subjects that it depends on was invalidated after the generation it
was verified under. Read the generation first, then the rows: a change between the two then shows as a newer generation on the next
request (docs/decisions/0021).

Two ways to read it, both seen by every process of the deployment, the command line included:
- SQLite: a counter and a cell for each slot of subjects in a small file next to the database file (`shared_counter`). A read is one
  system call.
- PostgreSQL: a column that the change's own transaction raises, and a row that says which slots. All requests that wait at the same
  time share one query, and a request only takes the answer of a query that was sent after the request came, so no clock and no lease
  is involved.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import delete, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.settings import Settings
from latchpin.storage.models import Deployment, Invalidation
from latchpin.storage.outages import OutageLog
from latchpin.storage.pooler import Pooler
from latchpin.storage.shared_counter import SharedCounter
from latchpin.storage.sqlite_file import sqlite_file
from latchpin.storage.subjects import EVERYTHING, SLOTS, Subject

if TYPE_CHECKING:  # imported where PostgreSQL is used
    import asyncpg

_INVALIDATES = "latchpin_invalidates"
_MOST_SLOTS = 1_000  # a change of more slots invalidates everything
_KEPT = 100_000  # generations
_NOWHERE = 1 << 62  # as `since`: asks for no changes, since no generation is as high
_RAISE = text(
    "WITH raised AS (UPDATE deployment SET generation = generation + 1 RETURNING generation)"
    " INSERT INTO invalidations (generation, slots) SELECT generation, :slots FROM raised"
    " ON CONFLICT (generation) DO UPDATE SET slots = excluded.slots"
)
_ASK = """
SELECT generation, CASE WHEN generation <> $1::bigint THEN ARRAY(
    SELECT slots FROM invalidations
    WHERE invalidations.generation BETWEEN least($1, deployment.generation) AND deployment.generation
    AND deployment.generation - $1 <= 10000
    ORDER BY invalidations.generation
) END FROM deployment
"""


def invalidate(session: AsyncSession, subject: Subject, *more: Subject) -> None:
    """Mark these subjects: this transaction can narrow a right that depends on them. Call it in every function that makes such a change.

    On PostgreSQL the generation rises with the commit itself; on SQLite `Database` marks the slots in the file before the commit, and
    releases them before the transaction block returns to the edge.
    """
    session.info.setdefault(_INVALIDATES, set()).update(each.slot for each in (subject, *more))


def invalidated(session: AsyncSession) -> tuple[int, ...]:
    """Return the slots that this session's transaction invalidates."""
    slots = session.info.get(_INVALIDATES, ())
    return tuple(sorted(slots)) if len(slots) <= _MOST_SLOTS else (EVERYTHING.slot,)


async def raise_generation(session: AsyncSession, slots: Sequence[int]) -> None:
    """Raise the generation column; the last statement of a narrowing transaction, so that its row lock is short.

    The row begins with a unique word, by which a process detects a database with another history, such as a restored copy.
    """
    await session.execute(_RAISE, {"slots": " ".join([secrets.token_urlsafe(8), *map(str, slots)])})


async def purge_expired(session: AsyncSession) -> None:
    """Remove rows so old that no process needs them; a process that is so far behind treats everything as changed."""
    newest = select(Deployment.generation).scalar_subquery()
    await session.execute(delete(Invalidation).where(Invalidation.generation < newest - _KEPT))


class Generation(Protocol):
    """Reads the generation; `current_nowait` answers at once where that is possible, else None and `current` must be awaited."""

    def current_nowait(self) -> int | None:
        """Return the generation without waiting, or None; raises Unavailable where it cannot be known."""

    async def current(self) -> int:
        """Return a generation read after this call began; raises Unavailable where it cannot be known."""

    def holds(self, slots: Sequence[int], since: int, generation: int) -> bool:
        """Whether none of the slots was invalidated after `since`, as of a generation that was read before this call."""

    async def close(self) -> None:
        """Release the resources that it holds."""


class SharedQuery:
    """Reads the generation column of PostgreSQL, and what changed since it was last read; all waiting requests share one query.

    Where it does not know all changes it treats everything as changed: at first, after many changes, and where the database is not
    the one that it queried before, but a copy that lacks the last changes. The generation that it returns rises even then.
    """

    def __init__(self, url: str, outages: OutageLog | None = None, seconds: float = 5) -> None:
        plain, self._tls = split_tls(url)
        self._outages = outages or OutageLog()
        self._seconds = seconds
        self._url = plain.set(drivername="postgresql").render_as_string(hide_password=False)
        self._pooler = Pooler()
        self._connection: asyncpg.Connection | None = None
        self._running: asyncio.Task[int] | None = None
        self._next: asyncio.Task[int] | None = None
        self._newest = _NOWHERE
        self._newest_row: str | None = None  # the row of the newest generation
        self._version = 0
        self._changed = [0] * SLOTS

    def current_nowait(self) -> None:
        """Return None: the generation is never known without a query."""

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
        self._running, self._next = self._next, None  # requests that come from here on wait for the query after this one
        return await asyncio.wait_for(self._ask(), timeout=self._seconds)

    async def _ask(self) -> int:
        since = self._newest
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._pooler.connect_alone(self._url, timeout=self._seconds * 0.6, **self._tls)
            since = _NOWHERE
        try:
            generation, rows = await self._pooler.row(self._connection, _ASK, since)
        except BaseException:
            self._connection.terminate()  # a connection that failed is not used again
            self._connection = None
            raise
        if generation != since:
            self._note(generation, since, rows)
        return self._version

    def _note(self, generation: int, since: int, rows: list[str]) -> None:
        """Record what changed; `rows` are those of all generations from `since` on, or the last one alone if `since` is too old."""
        last = rows[-1] if rows else None
        if (generation, last) == (self._newest, self._newest_row):
            return
        is_complete = generation > since and len(rows) == generation - since + 1 and rows[0] == self._newest_row
        self._newest, self._newest_row = generation, last
        self._version = max(self._version + 1, generation)
        for slot in _slots(rows[1:]) if is_complete else [EVERYTHING.slot]:
            self._changed[slot] = self._version

    def holds(self, slots: Sequence[int], since: int, generation: int) -> bool:  # noqa: ARG002  what is known is never older
        """Whether none of the slots was invalidated after `since`."""
        changed = self._changed
        return changed[EVERYTHING.slot] <= since and all(changed[slot] <= since for slot in slots)

    async def close(self) -> None:
        """Close the connection."""
        for task in (self._running, self._next):
            if task is not None:
                with contextlib.suppress(Exception):
                    await task
        if self._connection is not None:
            with contextlib.suppress(OSError):
                await self._connection.close(timeout=1)


def _slots(rows: Sequence[str]) -> list[int]:
    return [int(slot) for row in rows for slot in row.split()[1:]]


def split_tls(url: str) -> tuple[URL, dict[str, str]]:
    """Split `sslmode=` off a database's URL: the driver takes it as a keyword argument, with libpq's values.

    Without it the driver follows PGSSLMODE; its default is TLS where the server offers it.
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
    """Open the generation of a deployment for reading; `outages` records failures to read it."""
    return shared_counter(settings, outages) or SharedQuery(settings.database_url, outages, min(5, settings.database_timeout_seconds))
