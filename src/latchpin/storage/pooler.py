"""Poolers between us and PostgreSQL, such as PgBouncer, which lend out a server connection for one transaction only.

State that a session keeps on the server is lost with them, so prepared statements are not cached, and no statement is sent outside a
transaction: the driver sends a statement and its values separately, and a pooler may send the two to different servers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Dialect
from sqlalchemy.util import await_

if TYPE_CHECKING:  # imported where PostgreSQL is used
    import asyncpg


class Pooler:
    """Finds out, at the first connection of a process, whether there is a pooler. `is_there` is None until then."""

    def __init__(self) -> None:
        self.is_there: bool | None = None

    def connect(self, dialect: Dialect, _record: object, args: tuple[Any, ...], options: dict[str, Any]) -> Any:  # noqa: ANN401  SQLAlchemy's event
        """Connect for SQLAlchemy (its event `do_connect`), once more where the first connection shows that there is a pooler."""
        if self.is_there is None:
            connection = dialect.connect(*args, **options)
            self.is_there = await_(stands_between(connection.driver_connection))
            if not self.is_there:
                return connection
            connection.close()
        unkept = {"statement_cache_size": 0, "prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
        return dialect.connect(*args, **options, **(unkept if self.is_there else {}))

    async def connect_alone(self, url: str, **options: Any) -> asyncpg.Connection:  # noqa: ANN401  the driver's own
        """Connect by the driver itself, for queries that go through `row`."""
        import asyncpg  # noqa: PLC0415  as above

        connection = await asyncpg.connect(url, **options, **({"statement_cache_size": 0} if self.is_there else {}))
        if self.is_there is None:
            self.is_there = await stands_between(connection)
            if self.is_there:
                await connection.close()
                return await self.connect_alone(url, **options)
        return connection

    async def row(self, connection: asyncpg.Connection, query: str, *values: Any) -> Any:  # noqa: ANN401  the driver's own
        """Return the one row of a query; one round trip where there is no pooler, a transaction where there is."""
        if not self.is_there:
            return await connection.fetchrow(query, *values)
        async with connection.transaction(readonly=True):
            return await connection.fetchrow(query, *values)


async def stands_between(connection: asyncpg.Connection) -> bool:
    """Whether the server process behind the connection is not the one that the handshake named. Leaves nothing behind on the server.

    PostgreSQL sends its process id when a connection starts; a pooler invents a number. The simple query protocol prepares no statement.
    """
    status: str = await connection.execute(f"SELECT WHERE pg_backend_pid() = {connection.get_server_pid():d}")
    return status == "SELECT 0"
