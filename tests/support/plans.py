"""How a database would execute what a piece of work asks of it, from its own plans."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.storage import Database

T = TypeVar("T")
Work = Callable[[AsyncSession], Awaitable[T]]
_SORTS = ("USE TEMP B-TREE", "Sort")


@contextmanager
def listening(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Collect the SELECT statements, with their parameters, that are sent while the block runs."""
    heard: list[tuple[str, Any]] = []

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        if statement.lstrip().startswith("SELECT"):
            heard.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", hear)


async def plans(database: Database, work: Work[Any]) -> list[str]:
    """Run `work(session)` and return the plan of each SELECT that it sent, as text.

    PostgreSQL reads a small table from end to end whatever its indexes; what it would do with a large one shows where that is dear.
    """
    with listening(database) as heard:
        async with database.read() as session:
            await work(session)
    found = []
    async with database.read() as session:
        if not database.is_sqlite:
            for way in ("seqscan", "bitmapscan"):
                await session.execute(text(f"SET LOCAL enable_{way} = off"))
        connection = await session.connection()
        for statement, parameters in heard:
            explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
            rows = (await connection.exec_driver_sql(explain + statement, parameters)).all()
            found.append("\n".join(str(row[-1]) for row in rows))
    return found


def sorts(plan: str) -> bool:
    """Whether a plan sorts rows, where it could read them in order."""
    return any(each in plan for each in _SORTS)
