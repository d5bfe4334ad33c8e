"""SQLite's cursor with one trip to the connection's thread for each statement, where aiosqlite's own makes four.

Each trip costs as much as a small statement itself, so this about halves what one costs. All rows are read in that trip; nothing here
streams.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Self

import aiosqlite


class Cursor:
    """What SQLAlchemy needs of a driver's cursor (its adapter for asyncio drivers, in sqlalchemy.connectors.asyncio)."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Sequence[Any] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        """Begin; nothing is opened before a statement runs."""
        return self

    async def execute(self, statement: str, parameters: Iterable[Any] = ()) -> Self:
        """Run a statement and read all of its rows."""
        await self._trip(sqlite3.Connection.execute, statement, parameters)
        return self

    async def executemany(self, statement: str, parameters: Iterable[Any]) -> Self:
        """Run a statement with many rows of parameters."""
        await self._trip(sqlite3.Connection.executemany, statement, parameters)
        return self

    async def fetchall(self) -> list[Any]:
        """Return the rows, once."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """End; the driver's cursor was closed when its rows were read."""

    async def _trip(self, how: Any, statement: str, parameters: Iterable[Any]) -> None:  # noqa: ANN401  one of the two above
        run: Any = self._connection._execute  # noqa: SLF001  aiosqlite has no public way into its thread
        await run(self._run, how, statement, parameters)

    def _run(self, how: Any, statement: str, parameters: Iterable[Any]) -> None:  # noqa: ANN401  as above
        cursor = how(self._connection._conn, statement, parameters)  # noqa: SLF001  in the connection's thread
        self.description, self.lastrowid = cursor.description, cursor.lastrowid
        self._rows = cursor.fetchall()
        self.rowcount = cursor.rowcount
        cursor.close()


def use(connection: aiosqlite.Connection) -> None:
    """Let a connection make cursors of this kind."""
    connection.cursor = lambda: Cursor(connection)  # type: ignore[assignment, method-assign, return-value]
