"""Transactions: whole or not at all, in order, and with one plain error where the database is away."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from sqlalchemy import func, literal_column, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin import settings
from latchpin.errors import Conflict, Unavailable
from latchpin.kit import clock
from latchpin.storage import Database
from latchpin.storage.database import MOST_LISTS, before_commit, fetch_one
from latchpin.storage.models import Organization
from tests.support import shortcuts
from tests.support.ports import free_port

pytestmark = pytest.mark.both_databases("locks, snapshots and lost connections are each database's own")

_HOW_MANY = select(func.count()).select_from(Organization)


def _organization(name: str) -> Organization:
    return Organization(name=name, created_at=clock.now())


async def _names(database: Database) -> list[str]:
    async with database.read() as session:
        return list((await session.scalars(select(Organization.name).order_by(Organization.id))).all())


async def test_a_block_that_ends_well_is_committed(database: Database) -> None:
    """Another transaction sees it."""
    async with database.transaction() as session:
        session.add(_organization("Acme"))

    assert await _names(database) == ["Acme"]


async def test_a_refused_transaction_leaves_nothing(database: Database) -> None:
    """Even what was flushed before the refusal."""

    async def refused() -> None:
        async with database.transaction() as session:
            session.add(_organization("Acme"))
            await session.flush()
            raise Conflict("no")

    with pytest.raises(Conflict):
        await refused()

    assert await _names(database) == []


async def test_a_cancelled_transaction_leaves_nothing(database: Database) -> None:
    """A client that hangs up in the middle changes nothing by half."""
    inside, never = asyncio.Event(), asyncio.Event()

    async def hanging() -> None:
        async with database.transaction() as session:
            session.add(_organization("Acme"))
            await session.flush()
            inside.set()
            await never.wait()

    task = asyncio.create_task(hanging())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await _names(database) == []


async def test_steps_before_the_commit_run_in_order_and_inside_the_transaction(database: Database) -> None:
    """What they add is committed with the rest; a step that fails takes all along."""
    order: list[str] = []

    def step(name: str) -> None:
        async def run(session: AsyncSession) -> None:
            order.append(name)
            session.add(_organization(name))

        before_commit(session, run)

    async with database.transaction() as session:
        step("first")
        step("second")
        order.append("block")

    assert order == ["block", "first", "second"]
    assert sorted(await _names(database)) == ["first", "second"]


async def test_rows_are_written_before_the_last_steps_take_their_locks(database: Database) -> None:
    """A step takes a lock that everybody needs; a row locked after it, against one locked before it, would be a deadlock."""
    unwritten: list[int] = []

    async def step(session: AsyncSession) -> None:
        unwritten.append(len(session.new) + len(session.dirty))

    async with database.transaction() as session:
        session.add(row := _organization("Acme"))
        await session.flush()
        before_commit(session, step)
        row.name = "Acme and Sons"
        session.add(_organization("Other"))

    assert unwritten == [0]


async def test_a_failing_step_before_the_commit_undoes_the_block(database: Database) -> None:
    """An audit event that cannot be written blocks the change it speaks of."""

    async def fail(_session: AsyncSession) -> None:
        raise Conflict("the audit trail cannot be written")

    async def change() -> None:
        async with database.transaction() as session:
            session.add(_organization("Acme"))
            before_commit(session, fail)

    with pytest.raises(Conflict):
        await change()

    assert await _names(database) == []


async def test_writers_at_the_same_moment_wait_for_each_other(database: Database) -> None:
    """Twenty read-then-write transactions on the same row lose no step."""
    async with database.transaction() as session:
        session.add(row := _organization("0"))

    async def add() -> None:
        async with database.transaction() as session:
            organization = await session.scalar(select(Organization).where(Organization.id == row.id).with_for_update())
            assert organization is not None
            organization.name = str(int(organization.name) + 1)

    await asyncio.gather(*(add() for _ in range(20)))

    assert await _names(database) == ["20"]


async def test_a_reader_sees_one_moment_and_blocks_nobody(database: Database, kind: str) -> None:
    """On SQLite a reading transaction does not see what is committed after its first look."""
    if kind != "sqlite":
        pytest.skip("PostgreSQL reads each statement at its own moment")
    async with database.read() as reader:
        assert (await reader.scalars(select(Organization.name))).all() == []
        async with database.transaction() as session:
            session.add(_organization("Acme"))
        assert (await reader.scalars(select(Organization.name))).all() == []

    assert await _names(database) == ["Acme"]


async def test_a_failed_look_leaves_nothing_open(database: Database) -> None:
    """The connection it had serves the next ones as if nothing had been."""
    for _ in range(3):
        with pytest.raises((DBAPIError, Unavailable)):
            async with database.read() as reader:
                await reader.execute(text("SELECT nothing FROM nowhere"))

    async with database.transaction() as session:
        session.add(_organization("Acme"))

    assert await _names(database) == ["Acme"]


async def test_a_look_that_is_cancelled_under_way_leaves_nothing_open(database: Database, kind: str) -> None:
    """Wherever the statement is by then: not sent, being run, or answered."""
    if kind != "sqlite":
        pytest.skip("what becomes of a cancelled statement is SQLite's thread's affair")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT count(*) FROM n"

    async def look() -> None:
        async with database.read() as reader:
            await reader.execute(text(endless))

    for turns in range(12):
        task = asyncio.create_task(look())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    async with database.transaction() as session:
        session.add(_organization(kind))

    assert await asyncio.gather(*(_names(database) for _ in range(10))) == [[kind]] * 10


async def test_a_glance_goes_before_and_after_transactions_on_one_connection(database: Database) -> None:
    """It sees what was committed before it, and neither leaves the other its way of beginning."""

    async def refused() -> None:
        async with database.transaction() as session:
            session.add(_organization("undone"))
            await session.flush()
            raise Conflict("no")

    for number in range(3):
        result = await fetch_one(database.executor, _HOW_MANY, {})
        with pytest.raises(Conflict):
            await refused()
        async with database.transaction() as session:
            session.add(_organization(str(number)))

        assert result == (number,)

    assert await _names(database) == ["0", "1", "2"]


async def test_a_row_that_is_read_in_a_transaction_is_of_its_moment(database: Database) -> None:
    """What the transaction itself wrote is there, what it did not commit is not there for a glance."""
    async with database.transaction() as session:
        session.add(_organization("Acme"))
        assert await fetch_one(session, _HOW_MANY, {}) == (1,)
        assert await fetch_one(database.executor, _HOW_MANY, {}) == (0,)


async def test_a_glance_that_fails_or_is_cancelled_leaves_nothing_open(database: Database) -> None:
    """The connection it had serves the next ones as if nothing had been."""
    for turns in range(8):
        task = asyncio.create_task(database.executor.fetch(_HOW_MANY, {}))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        with pytest.raises((DBAPIError, Unavailable)):
            await database.executor.fetch(select(literal_column("nothing")), {})
    async with database.transaction() as session:
        session.add(_organization("Acme"))

    assert await asyncio.gather(*(database.executor.fetch(_HOW_MANY, {}) for _ in range(10))) == [(1,)] * 10
    assert await _names(database) == ["Acme"]


async def test_foreign_keys_are_kept_on_both_engines(database: Database) -> None:
    """SQLite only does where it is told to."""
    with pytest.raises(IntegrityError):
        async with database.transaction() as session:
            await session.execute(
                text("INSERT INTO space_members (space_id, user_id, role, created_at) VALUES (999, 999, 1, '2026-01-01 00:00:00')")
            )


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    """Nobody above the storage has to know a driver's errors."""
    database = Database(settings.load({}, data_dir=tmp_path, database_url=f"postgresql+asyncpg://postgres@127.0.0.1:{free_port()}/gone"))

    with pytest.raises(Unavailable):
        await database.require_ready()
    with pytest.raises(Unavailable):
        await database.executor.fetch(_HOW_MANY, {})

    await database.close()


async def test_an_error_of_the_database_tells_the_log_no_value(database: Database) -> None:
    """The statement may be shown, what was to be stored may not."""
    with pytest.raises(IntegrityError) as raised:
        async with database.transaction() as session:
            await session.execute(text("INSERT INTO users (full_name) VALUES (:name)"), {"name": "planted value"})

    assert "planted value" not in str(raised.value).partition("DETAIL")[0]


async def test_an_answered_change_of_the_embedded_database_survives_a_power_cut(tmp_path: Path) -> None:
    """A deployment's commits wait for the disk (`synchronous` is FULL, 2), on every connection."""
    with shortcuts.durable_commits():
        opened = Database(settings.load({}, data_dir=tmp_path), may_create=True)
        async with opened.transaction() as one, opened.read() as other:
            levels = [await session.scalar(text("PRAGMA synchronous")) for session in (one, other)]
        await opened.close()

    assert levels == [2, 2]


def test_the_embedded_database_is_its_owner_s_alone(tmp_path: Path) -> None:
    """Also in a directory that everybody may read."""
    tmp_path.chmod(0o755)

    async def begin() -> None:
        database = Database(settings.load({}, data_dir=tmp_path), may_create=True)
        async with database.transaction() as session:
            await session.execute(text("CREATE TABLE one (id INTEGER)"))
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}  # noqa: ASYNC240  nothing else runs here
        await database.close()
        assert set(modes.values()) == {0o600}, modes

    asyncio.run(begin())


async def test_lists_leave_connections_to_others(database: Database) -> None:
    """However many are asked for: those that wait hold none, and go on when one has ended."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MOST_LISTS):
            await stack.enter_async_context(database.read_list())
        waiting = asyncio.create_task(_list(database))
        await asyncio.sleep(0.05)

        assert await _names(database) == []
        assert not waiting.done()

    assert await waiting == 0


async def _list(database: Database) -> int:
    async with database.read_list() as session:
        return await session.scalar(_HOW_MANY) or 0


async def test_statistics_are_gathered_where_the_database_does_not_do_it_by_itself(database: Database) -> None:
    """SQLite knows how many rows there are afterwards."""
    async with database.transaction() as session:
        session.add(_organization("Acme"))

    await database.gather_statistics()

    if database.is_sqlite:
        async with database.read() as session:
            assert "organizations" in (await session.scalars(text("SELECT tbl FROM sqlite_stat1"))).all()
