"""The engine, the two kinds of transaction that routes, pages and commands open, and an executor, which uses none.

On SQLite a writing transaction takes the write lock when it begins (BEGIN IMMEDIATE), so that it cannot fail half way
because it does not get it; a reading one sees one consistent state and blocks nobody (WAL). On PostgreSQL both are ordinary transactions.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVarTuple

from sqlalchemy import Connection, Row, Select, event, text
from sqlalchemy.exc import NoResultFound
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_, greenlet_spawn

from latchpin.settings import Settings
from latchpin.storage import sqlite_driver
from latchpin.storage.generation import invalidated, raise_generation, shared_counter, split_tls
from latchpin.storage.outages import Outage, OutageLog, outage_of, plain_errors
from latchpin.storage.pooler import Pooler
from latchpin.storage.sqlite_file import SqliteFile
from latchpin.storage.time_limit import SECONDS, renew, seconds_of, time_limit

Session = AsyncSession  # the name that routes, pages and commands import
Columns = TypeVarTuple("Columns")
BUSY_TIMEOUT_MS = 10_000
MOST_LISTS = 4  # that are read at the same time, of some ten connections
READY_SECONDS = 1.5  # so that a readiness check is answered within two seconds, whatever the database does
LEAST_FREE_BYTES = 4_000_000  # with less than this, the embedded database's disk is reported as full
_CLOSE_SECONDS = 2.0
_SAMPLE = 400  # entries of each index that are looked at for statistics
_RECYCLE_SECONDS = 3600  # SQLite reads the statistics that another connection has gathered when it opens the file
_A_MOMENT = 0.01  # seconds
_BEFORE_COMMIT = "latchpin_before_commit"
_AFTER_COMMIT = "latchpin_after_commit"
_THREAD = "latchpin_thread"


class Database:
    """One deployment's database, for one event loop. `may_create` lets it make the embedded database's file where there is none."""

    def __init__(self, settings: Settings, *, may_create: bool = False) -> None:
        self.is_sqlite = settings.is_sqlite
        self._file = SqliteFile(settings.database_url, may_create=may_create) if settings.is_sqlite else None
        self.outages = OutageLog()
        self._pooler = Pooler()
        self._engine = create_engine(settings, self._pooler, self._file)
        self._writing = self._engine.execution_options(latchpin_writes=True)
        self._executor = Executor(self._engine, self._pooler, self.outages, is_sqlite=self.is_sqlite)
        self._counter = shared_counter(settings, self.outages)
        self._turn = asyncio.Lock()
        self._lists = asyncio.Semaphore(MOST_LISTS)
        self._checking: asyncio.Task[None] | None = None

    @property
    def engine(self) -> AsyncEngine:
        """The engine, for migrations and tests; features get a session instead."""
        return self._engine

    @property
    def executor(self) -> Executor:
        """The executor, which reads single rows without a transaction."""
        return self._executor

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Open a writing transaction; it commits when the block ends and rolls back when the block raises.

        To commit a change although the request is refused, leave the block first and then raise the refusal.
        Raises Unavailable where the database cannot be reached, Malformed for a text that PostgreSQL cannot hold.
        """
        async with self._writer(), self._session(self._writing) as session:
            yield session

    @asynccontextmanager
    async def _writer(self) -> AsyncIterator[None]:
        """Let the writers of this process take turns on SQLite, which allows one writer at a time and would itself sleep and retry.

        A waiting writer holds no connection, so that connections are left for readers.
        """
        if self._file is None:
            yield
            return
        try:
            async with asyncio.timeout(BUSY_TIMEOUT_MS / 1000):
                await self._turn.acquire()
        except TimeoutError as error:
            raise self.outages.unavailable(Outage.BUSY, "another writer of this process does not end") from error
        try:
            self._require_file()
            yield
            self._require_file()  # a write to a file that was deleted or renamed meanwhile is not acknowledged
        finally:
            self._turn.release()

    def _require_file(self) -> None:
        if self._file is not None:
            with plain_errors(self.outages):
                self._file.check()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction for reading one consistent state; raises Unavailable as `transaction` does."""
        async with self._session(self._engine) as session:
            yield session

    @asynccontextmanager
    async def read_list(self) -> AsyncIterator[AsyncSession]:
        """As `read`, for pages and lists that may read many rows: few at a time, so that there are connections left for credentials.

        A waiting caller holds no connection. Also raises Unavailable when the wait takes too long.
        """
        try:
            async with asyncio.timeout(BUSY_TIMEOUT_MS / 1000):
                await self._lists.acquire()
        except TimeoutError as error:
            raise self.outages.unavailable(Outage.SLOW, "the lists that are being read do not end") from error
        try:
            async with self.read() as session:
                yield session
        finally:
            self._lists.release()

    async def gather_statistics(self) -> None:
        """Let SQLite sample each index, so that its query plans fit tables that have grown; PostgreSQL does that by itself.

        SQLite's PRAGMA optimize would analyze only what this connection has queried before.
        """
        if self.is_sqlite:
            async with self.transaction() as session:
                await session.execute(text(f"PRAGMA analysis_limit = {_SAMPLE}"))
                await session.execute(text("ANALYZE"))

    @asynccontextmanager
    async def _session(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        with plain_errors(self.outages):
            async with time_limit(seconds_of(engine)), AsyncSession(engine, expire_on_commit=False) as session:
                async with session.begin():
                    yield session
                    await session.flush()  # each transaction locks its rows before the locks that all share: no deadlocks
                    for step in session.info.get(_BEFORE_COMMIT, ()):
                        await step(session)
                    await self._invalidate(session)
                for done in session.info.get(_AFTER_COMMIT, ()):
                    done()

    async def _invalidate(self, session: AsyncSession) -> None:
        """Make all processes drop what they cache of the subjects that the transaction changes, from its commit on."""
        if not (slots := invalidated(session)):
            return
        if self._counter is None:
            await raise_generation(session, slots)
        else:
            thread: sqlite_driver.Thread = (await session.connection()).sync_connection.info[_THREAD]  # type: ignore[union-attr]
            thread.commit_within(self._counter.change(slots))

    async def require_ready(self) -> None:
        """Raise Unavailable unless the database can be read and, as far as is known, written; takes READY_SECONDS at most.

        Concurrent calls share one check.
        """
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check())
        done, _ = await asyncio.wait({self._checking}, timeout=READY_SECONDS)
        if not done:
            raise self.outages.unavailable(Outage.SLOW, f"no answer for {READY_SECONDS} seconds")
        if error := self._checking.exception():
            raise error

    async def _check(self) -> None:
        self._require_file()
        async with self.read() as session:
            state = await session.scalar(text("SELECT 1" if self.is_sqlite else "SHOW transaction_read_only"))
        if state == "on":
            raise self.outages.unavailable(Outage.READ_ONLY, "transaction_read_only is on")
        if self._file is not None and (error := self._file.hindrance(LEAST_FREE_BYTES)):
            raise self.outages.unavailable(outage_of(error), str(error))
        if outage := self.outages.unwritable():
            raise self.outages.unavailable(outage, "a write failed a moment ago")

    async def close(self) -> None:
        """Close all connections; those of a database that does not answer are dropped."""
        if self._checking is not None:
            self._checking.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._engine.dispose()
        if self._counter is not None:
            await self._counter.close()


class Executor:
    """Reads one row by one statement, which sees one consistent state by itself; a second statement may see another state.

    This takes one round trip to the database, where a transaction takes three.
    """

    def __init__(self, engine: AsyncEngine, pooler: Pooler, outages: OutageLog, *, is_sqlite: bool) -> None:
        self._options: dict[str, Any] = {"latchpin_alone": True} if is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._engine = engine.sync_engine
        self._seconds = seconds_of(engine)
        self._pooler = pooler
        self._outages = outages

    async def fetch(self, query: Select[*Columns], values: Mapping[str, Any]) -> Row[*Columns]:
        """Return the query's only row; raises Unavailable as `transaction` does."""
        row = await self.find(query, values)
        if row is None:
            raise NoResultFound
        return row

    async def find(self, query: Select[*Columns], values: Mapping[str, Any]) -> Row[*Columns] | None:
        """Return the query's only row, or None where there is none; raises Unavailable as `transaction` does."""
        with plain_errors(self._outages):
            async with time_limit(self._seconds):
                return await greenlet_spawn(self._row, query, values)  # in one step what an AsyncConnection does in several

    def _row(self, query: Select[*Columns], values: Mapping[str, Any]) -> Row[*Columns] | None:
        with self._engine.connect() as connection:
            alone = connection if self._pooler.is_there else connection.execution_options(**self._options)
            return alone.execute(query, values).one_or_none()


Queryable = AsyncSession | Executor


async def fetch_one(reader: Queryable, query: Select[*Columns], values: Mapping[str, Any]) -> Row[*Columns]:
    """Return a query's only row, by an executor or in the transaction of a session."""
    return await reader.fetch(query, values) if isinstance(reader, Executor) else (await reader.execute(query, values)).one()


def before_commit(session: AsyncSession, step: Callable[[AsyncSession], Awaitable[None]]) -> None:
    """Run `step` as one of the transaction's last statements, for work that takes a lock everybody needs (the audit chain)."""
    session.info.setdefault(_BEFORE_COMMIT, []).append(step)


def after_commit(session: AsyncSession, step: Callable[[], None]) -> None:
    """Call `step` once the transaction has been committed, before its block ends; not after a rollback. It must not raise or wait."""
    steps: dict[Callable[[], None], None] = session.info.setdefault(_AFTER_COMMIT, {})
    steps[step] = None


def create_engine(settings: Settings, pooler: Pooler | None = None, file: SqliteFile | None = None) -> AsyncEngine:
    """Make the engine of a deployment; connects to nothing yet.

    `pooler` records whether there is one. `file` is the embedded database's; by default it is created where it is missing.
    """
    if not settings.is_sqlite:
        url, tls = split_tls(settings.database_url)
        engine = create_async_engine(
            url,
            pool_size=10,
            max_overflow=10,
            pool_timeout=5,
            pool_pre_ping=True,
            execution_options={SECONDS: settings.database_timeout_seconds},
            hide_parameters=True,  # error texts are logged; digests and e-mail addresses must not be
            connect_args={
                **tls,
                "timeout": min(5, settings.database_timeout_seconds),
                "server_settings": {"application_name": "latchpin", "timezone": "UTC"},
            },
        )
        event.listen(engine.sync_engine, "do_connect", (pooler or Pooler()).connect)
        event.listen(engine.sync_engine, "before_cursor_execute", renew)
        return engine
    engine = create_async_engine(
        settings.database_url, pool_size=10, max_overflow=0, pool_timeout=10, pool_recycle=_RECYCLE_SECONDS, hide_parameters=True
    )
    watched = file or SqliteFile(settings.database_url, may_create=True)
    event.listen(engine.sync_engine, "do_connect", lambda *_: watched.before_connecting())
    event.listen(engine.sync_engine, "connect", _configure_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, record: ConnectionPoolEntry) -> None:  # noqa: ANN401  the driver's own type
    record.info[_THREAD] = sqlite_driver.use(connection.driver_connection)
    connection.isolation_level = None  # transactions are begun here, never by the driver
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "synchronous = FULL",  # an acknowledged change survives a power cut
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    _use_wal(cursor)
    cursor.close()


def _use_wal(cursor: Any) -> None:  # noqa: ANN401  the driver's own type
    """Switch a new file to WAL. SQLite does not wait here while another process opens the new file, so we retry."""
    patience = BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or patience <= 0:
                raise
        else:
            return
        await_(asyncio.sleep(_A_MOMENT))
        patience -= _A_MOMENT


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("latchpin_alone", False):  # a statement alone is a transaction by itself
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("latchpin_writes", False) else "BEGIN")
