"""The generation: exact across processes on SQLite, one honest query for many waiters on PostgreSQL."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text, update

from latchpin import settings
from latchpin.errors import Unavailable
from latchpin.settings import Settings
from latchpin.storage import Database, generation, subjects
from latchpin.storage.generation import SharedQuery, invalidate, open_generation, shared_counter
from latchpin.storage.models import Deployment
from latchpin.storage.outages import OutageLog
from latchpin.storage.shared_counter import SharedCounter
from latchpin.storage.subjects import EVERYTHING, Subject
from tests.support.databases import POSTGRESQL, Templates, reachable

pytestmark = pytest.mark.both_databases("the counter is a shared file on SQLite and a column on PostgreSQL")

_ADVANCE = """
import sys
from pathlib import Path
from latchpin.storage.shared_counter import SharedCounter
from latchpin.storage.subjects import EVERYTHING, Subject
counter = SharedCounter(Path(sys.argv[1]))
sys.stdin.readline()
for _ in range(500):
    counter.advance()
    with counter.change([int(sys.argv[2])]):
        before = counter.current_nowait()
        assert counter.current_nowait() == before, "another one wrote at the same time"
"""


@pytest.fixture
def on_postgresql(templates: Templates, tmp_path: Path) -> Iterator[Settings]:
    """Settings that name a fresh PostgreSQL database."""
    from tests.conftest import missing  # noqa: PLC0415  pytest has loaded it by then

    if lack := reachable():
        missing("tests on PostgreSQL", lack)
    with templates.fresh("postgresql", tmp_path) as url:
        yield settings.load({}, data_dir=tmp_path, database_url=url)


@pytest.fixture
async def prepared(on_postgresql: Settings) -> AsyncIterator[Database]:
    """A PostgreSQL database with the deployment's row at generation 1."""
    database = Database(on_postgresql)
    yield database
    await database.close()


@pytest.fixture
async def query(prepared: Database, on_postgresql: Settings) -> AsyncIterator[SharedQuery]:
    """The shared query on that database."""
    shared = SharedQuery(on_postgresql.database_url)
    yield shared
    await shared.close()


def _counted(shared: SharedQuery, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the queries that are really sent."""
    sent: list[int] = []
    ask = shared._ask

    async def counting() -> int:
        sent.append(1)
        return await ask()

    monkeypatch.setattr(shared, "_ask", counting)
    return sent


def test_processes_that_count_at_once_lose_no_step(tmp_path: Path) -> None:
    """Four processes change one counter 1,000 times each, and none while another one is at it."""
    path = tmp_path / "generation"
    counter = SharedCounter(path)
    before = counter.current_nowait()
    running = [
        subprocess.Popen([sys.executable, "-c", _ADVANCE, str(path), str(slot)], stdin=subprocess.PIPE, text=True) for slot in range(1, 5)
    ]

    for process in running:
        process.communicate("go\n", timeout=60)

    assert [process.returncode for process in running] == [0] * 4
    assert counter.current_nowait() >= before + 8000
    asyncio.run(counter.close())


async def test_one_process_sees_at_once_what_another_object_counted(tmp_path: Path) -> None:
    """Two openings of the file are one counter, and a new opening keeps its value."""
    one, two = SharedCounter(tmp_path / "generation"), SharedCounter(tmp_path / "generation")
    before = one.current_nowait()
    one.advance()
    between = two.current_nowait()
    assert between > before
    two.advance()
    after = one.current_nowait()
    assert after > between
    again = SharedCounter(tmp_path / "generation")
    assert again.current_nowait() == after
    for counter in (one, two, again):
        await counter.close()


async def test_a_narrowing_transaction_raises_the_generation_before_its_block_returns(database: Database, chosen: Settings) -> None:
    """An ordinary one does not."""
    versions = open_generation(chosen, OutageLog())
    first = await versions.current()

    async with database.transaction():
        pass
    assert await versions.current() == first

    async with database.transaction() as session:
        invalidate(session, EVERYTHING)
    assert await versions.current() > first
    await versions.close()


async def test_many_who_wait_share_one_query(query: SharedQuery, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred requests that come together cost one query, or two where one was already on its way."""
    sent = _counted(query, monkeypatch)

    generations = await asyncio.gather(*(query.current() for _ in range(100)))

    assert set(generations) == {1}
    assert len(sent) == 1


async def test_nobody_gets_the_answer_of_a_query_that_was_sent_before_they_came(
    query: SharedQuery, prepared: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that comes while a query is under way waits for the next one, and sees what was committed in between."""
    read, hold = asyncio.Event(), asyncio.Event()
    ask = query._ask

    async def slow() -> int:
        answer = await ask()
        read.set()
        await hold.wait()
        return answer

    monkeypatch.setattr(query, "_ask", slow)
    early = asyncio.create_task(query.current())
    await read.wait()  # its query has read generation 1, and is not answered yet

    async with prepared.transaction() as session:
        invalidate(session, EVERYTHING)
    late = [asyncio.create_task(query.current()) for _ in range(10)]
    await asyncio.sleep(0)
    hold.set()

    assert await early == 1
    assert set(await asyncio.gather(*late)) == {2}


async def test_a_failed_query_is_unavailable_for_all_who_wait_and_the_next_one_works(query: SharedQuery, on_postgresql: Settings) -> None:
    """The server ends the connection; nobody is told an old number, and no restart is needed."""
    assert await query.current() == 1
    assert query._connection is not None
    server_pid = query._connection.get_server_pid()
    admin = await asyncpg.connect(f"{POSTGRESQL}/postgres")
    await admin.execute("SELECT pg_terminate_backend($1)", server_pid)
    await admin.close()

    first = await asyncio.gather(*(query.current() for _ in range(5)), return_exceptions=True)

    assert all(isinstance(result, Unavailable) or result == 1 for result in first), first
    assert await query.current() == 1


async def test_a_database_that_is_gone_is_unavailable(query: SharedQuery, monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection, no answer, no number."""
    nowhere = SharedQuery("postgresql+asyncpg://postgres@127.0.0.1:1/nothing")

    results = await asyncio.gather(*(nowhere.current() for _ in range(3)), return_exceptions=True)

    assert [type(result) for result in results] == [Unavailable] * 3
    await nowhere.close()


async def test_a_waiter_who_gives_up_takes_nobody_else_along(query: SharedQuery) -> None:
    """A client that hangs up cancels its own request only."""
    leaving = asyncio.create_task(query.current())
    staying = asyncio.create_task(query.current())
    await asyncio.sleep(0)
    leaving.cancel()

    assert await staying == 1
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_the_generation_column_only_rises_with_the_commit(prepared: Database, query: SharedQuery) -> None:
    """A narrowing change that fails raises nothing on PostgreSQL."""

    async def failing() -> None:
        async with prepared.transaction() as session:
            invalidate(session, EVERYTHING)
            await session.execute(update(Deployment).values(setup_digest=b"x" * 32))
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  our own
        await failing()

    assert await query.current() == 1


def test_every_name_of_a_database_file_finds_one_counter(tmp_path: Path) -> None:
    """A process that reaches the file through a symbolic link must see what another one revokes."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    one = shared_counter(settings.load({}, data_dir=tmp_path / "real"))
    other = shared_counter(settings.load({}, data_dir=tmp_path / "link"))
    assert one is not None
    assert other is not None

    one.advance()

    assert other.current_nowait() == one.current_nowait()
    for counter in (one, other):
        asyncio.run(counter.close())


async def _change(prepared: Database, *concerned: Subject) -> None:
    async with prepared.transaction() as session:
        invalidate(session, *concerned)


async def _run(prepared: Database, statement: str) -> None:
    async with prepared.transaction() as session:
        await session.execute(text(statement))


def _held(query: SharedQuery, since: int, now: int) -> list[bool]:
    """Whether what depends on users 1, 2 and 3 is known still."""
    return [query.holds(subjects.slots(subjects.user(number)), since, now) for number in (1, 2, 3)]


async def test_what_changed_between_two_questions_is_forgotten_and_nothing_else(prepared: Database, query: SharedQuery) -> None:
    """Two changes, told by one answer."""
    await _change(prepared, subjects.user(9))
    since = await query.current()
    await _change(prepared, subjects.user(1))
    await _change(prepared, subjects.user(3), subjects.key(5))

    now = await query.current()

    assert _held(query, since, now) == [False, True, False]
    assert _held(query, now, now) == [True, True, True]


async def test_a_change_of_everything_leaves_nothing_known(prepared: Database, query: SharedQuery) -> None:
    """So does one that names more than fit."""
    for concerned in ([EVERYTHING], [subjects.user(number) for number in range(100, 3000)]):
        await _change(prepared, subjects.user(9))
        since = await query.current()
        await _change(prepared, *concerned)
        assert _held(query, since, await query.current()) == [False, False, False]


_UNKNOWN = {
    "was removed": ["UPDATE deployment SET generation = generation + 2", "DELETE FROM invalidations"],
    "an older version did not tell": ["UPDATE deployment SET generation = generation + 1"],
    "is long ago": [
        "INSERT INTO invalidations SELECT generation + number, 'x' FROM deployment, generate_series(1, 10001) AS number",
        "UPDATE deployment SET generation = generation + 10001",
    ],
    "happened in another past": [
        "UPDATE invalidations SET slots = 'another ' || slots",
        "INSERT INTO invalidations SELECT generation + 1, 'word 7' FROM deployment",
        "UPDATE deployment SET generation = generation + 1",
    ],
    "is undone by a restore": ["UPDATE deployment SET generation = generation - 1"],
}


@pytest.mark.parametrize("statements", _UNKNOWN.values(), ids=_UNKNOWN)
async def test_where_it_is_not_known_what_changed_everything_is_forgotten(
    prepared: Database, query: SharedQuery, statements: list[str]
) -> None:
    """And what is returned rises, also where the column fell."""
    await _change(prepared, subjects.user(9))
    await _change(prepared, subjects.user(9))
    since = await query.current()
    for statement in statements:
        await _run(prepared, statement)

    now = await query.current()

    assert now > since
    assert _held(query, since, now) == [False, False, False]
    await _change(prepared, subjects.user(1))
    later = await query.current()
    assert later > now
    assert not _held(query, now, later)[0]


async def test_a_lost_connection_alone_lets_nothing_be_forgotten(prepared: Database, query: SharedQuery) -> None:
    """Where the new one leads to the same generation by the same change."""
    await _change(prepared, subjects.user(1))
    since = await query.current()
    assert query._connection is not None
    query._connection.terminate()

    assert await query.current() == since
    assert _held(query, since, since) == [True, True, True]


async def test_what_no_process_needs_is_removed(prepared: Database) -> None:
    """The last hundred thousand generations stay."""
    rows = "INSERT INTO invalidations SELECT generation + number, 'x' FROM deployment, generate_series(1, 100010) AS number"
    await _run(prepared, rows)
    await _run(prepared, "UPDATE deployment SET generation = generation + 100010")

    async with prepared.transaction() as session:
        await generation.purge_expired(session)
        count = await session.scalar(text("SELECT count(*) FROM invalidations"))

    assert count == 100_001
