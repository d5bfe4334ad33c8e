"""The generation: exact across processes on SQLite, one honest query for many waiters on PostgreSQL."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import update

from latchpin import settings
from latchpin.errors import Unavailable
from latchpin.settings import Settings
from latchpin.storage import Database
from latchpin.storage.generation import SharedQuery, invalidate, open_generation, shared_counter
from latchpin.storage.models import Deployment
from latchpin.storage.outages import OutageLog
from latchpin.storage.shared_counter import SharedCounter
from tests.support.databases import POSTGRESQL, Templates, reachable

pytestmark = pytest.mark.both_databases("the counter is a shared file on SQLite and a column on PostgreSQL")

_ADVANCE = """
import sys
from pathlib import Path
from latchpin.storage.shared_counter import SharedCounter
counter = SharedCounter(Path(sys.argv[1]))
sys.stdin.readline()
for _ in range(2000):
    counter.advance()
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
    """Four processes add 2,000 each to one counter."""
    path = tmp_path / "generation"
    counter = SharedCounter(path)
    before = counter.current_nowait()
    running = [subprocess.Popen([sys.executable, "-c", _ADVANCE, str(path)], stdin=subprocess.PIPE, text=True) for _ in range(4)]

    for process in running:
        process.communicate("go\n", timeout=60)

    assert counter.current_nowait() == before + 8000
    asyncio.run(counter.close())


async def test_one_process_sees_at_once_what_another_object_counted(tmp_path: Path) -> None:
    """Two openings of the file are one counter, and a new opening keeps its value."""
    one, two = SharedCounter(tmp_path / "generation"), SharedCounter(tmp_path / "generation")
    before = one.current_nowait()
    one.advance()
    assert two.current_nowait() == before + 1
    two.advance()
    assert one.current_nowait() == before + 2
    again = SharedCounter(tmp_path / "generation")
    assert again.current_nowait() == before + 2
    for counter in (one, two, again):
        await counter.close()


async def test_a_narrowing_transaction_raises_the_generation_before_its_block_returns(database: Database, chosen: Settings) -> None:
    """An ordinary one does not."""
    generation = open_generation(chosen, OutageLog())
    first = await generation.current()

    async with database.transaction():
        pass
    assert await generation.current() == first

    async with database.transaction() as session:
        invalidate(session)
    assert await generation.current() == first + 1
    await generation.close()


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
        generation = await ask()
        read.set()
        await hold.wait()
        return generation

    monkeypatch.setattr(query, "_ask", slow)
    early = asyncio.create_task(query.current())
    await read.wait()  # its query has read generation 1, and is not answered yet

    async with prepared.transaction() as session:
        invalidate(session)
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
            invalidate(session)
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
