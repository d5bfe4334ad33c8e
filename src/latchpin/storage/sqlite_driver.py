"""A SQLite connection that makes one trip to its thread for each statement, where aiosqlite's own makes four.

Each trip costs as much as a small statement itself, so this about halves the cost of a statement. All rows are read in that trip; nothing
is streamed. A plain BEGIN is sent with the first statement, and a transaction without a statement needs no COMMIT.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Self

import aiosqlite

_DEFERRED = "BEGIN"


class Thread:
    """A connection's thread, and the state of its transaction. The state changes in the event loop only, so that there are no races."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._begins_with_next = False
        self._may_have_begun = False
        self._around: AbstractContextManager[None] | None = None
        self._commit, self._rollback = connection.commit, connection.rollback

    async def run(self, how: Any, statement: str, parameters: Iterable[Any], cursor: Cursor) -> None:  # noqa: ANN401  a method of sqlite3's
        """Run a statement in the thread and read its result into the cursor."""
        if statement == _DEFERRED:
            self._begins_with_next = True
            return
        begin, self._begins_with_next = self._begins_with_next, False
        self._may_have_begun = self._may_have_begun or begin or statement.startswith(_DEFERRED)
        trip: Any = self._connection._execute  # noqa: SLF001  aiosqlite has no public way into its thread
        await trip(self._run, how, statement, parameters, cursor, begin)

    def _run(self, how: Any, statement: str, parameters: Iterable[Any], cursor: Cursor, begin: bool) -> None:  # noqa: ANN401, FBT001  in the thread
        connection = self._connection._conn  # noqa: SLF001  as above
        if begin:
            connection.execute(_DEFERRED)
        cursor.take(how(connection, statement, parameters))

    def commit_within(self, around: AbstractContextManager[None]) -> None:
        """Run the transaction's commit, if there is one, within `around` and in one trip, which cannot be cancelled half way."""
        self._around = around

    async def commit(self) -> None:
        """Commit the transaction, if one has begun."""
        around, self._around = self._around, None
        await self._end(self._commit if around is None else lambda: self._commit_within(around))

    async def _commit_within(self, around: AbstractContextManager[None]) -> None:
        trip: Any = self._connection._execute  # noqa: SLF001  as above
        await trip(self._run_commit, around)

    def _run_commit(self, around: AbstractContextManager[None]) -> None:
        with around:
            self._connection._conn.commit()  # noqa: SLF001  as above

    async def rollback(self) -> None:
        """Roll back the transaction, if one has begun."""
        self._around = None
        await self._end(self._rollback)

    async def _end(self, how: Callable[[], Awaitable[None]]) -> None:
        self._begins_with_next = False
        if self._may_have_begun:
            await how()
            self._may_have_begun = False


class Cursor:
    """What SQLAlchemy needs of a driver's cursor (its adapter for asyncio drivers, in sqlalchemy.connectors.asyncio)."""

    def __init__(self, thread: Thread) -> None:
        self._thread = thread
        self._rows: list[Any] = []
        self.description: Sequence[Any] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        """Return the cursor; nothing is opened before a statement runs."""
        return self

    async def execute(self, statement: str, parameters: Iterable[Any] = ()) -> Self:
        """Run a statement and read all of its rows."""
        await self._thread.run(sqlite3.Connection.execute, statement, parameters, self)
        return self

    async def executemany(self, statement: str, parameters: Iterable[Any]) -> Self:
        """Run a statement once for each set of parameters."""
        await self._thread.run(sqlite3.Connection.executemany, statement, parameters, self)
        return self

    async def fetchall(self) -> list[Any]:
        """Return the rows, once."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Do nothing: the driver's cursor was closed when its rows were read."""

    def take(self, cursor: sqlite3.Cursor) -> None:
        """Read the result of the driver's cursor; runs in the connection's thread."""
        self.description, self.lastrowid = cursor.description, cursor.lastrowid
        self._rows = cursor.fetchall()
        self.rowcount = cursor.rowcount
        cursor.close()


def use(connection: aiosqlite.Connection) -> Thread:
    """Make a connection use these cursors, with their commit and rollback; returns its thread."""
    thread = Thread(connection)
    connection.cursor = lambda: Cursor(thread)  # type: ignore[assignment, method-assign, return-value]
    connection.commit, connection.rollback = thread.commit, thread.rollback  # type: ignore[method-assign]
    return thread
