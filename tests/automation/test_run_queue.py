"""The run queue: the same behaviour on both databases, whichever implementation hands the runs out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.automation import run_leases, workers
from latchpin.automation.run_engine import open_engine
from latchpin.automation.run_leases import Counters, Outcome
from latchpin.automation.run_lifecycle import Cause
from latchpin.automation.run_queue import RunQueue
from latchpin.kit import clock
from latchpin.storage.models import Run, Worker
from latchpin.storage.models.agent import RunStatus
from latchpin.storage.models.run import TransitionCause
from tests.support import databases, site
from tests.support.people import Organization
from tests.support.server import Server, served
from tests.support.workers import Runs, until_seen

pytestmark = pytest.mark.both_databases("PostgreSQL hands runs out by a library of its own")


@pytest.fixture
def quiet(kind: str, templates: databases.Templates, tmp_path: Path) -> Iterator[Server]:
    """A deployment without a worker process."""
    with templates.fresh(kind, tmp_path) as url, served(url, tmp_path, max_concurrent_runs=1000) as running:
        yield running


class Hands:
    """A worker without child processes: takes what the queue hands out, and ends it when it is let."""

    def __init__(self, server: Server, name: str = "hands") -> None:
        self.server = server
        self.admission = open_engine(server.settings, server.database, server.services.secrets).admission
        self.queue = self.admission.queue
        self.seen: list[int] = []
        self.taken: list[int] = []
        self.most = self.now = 0
        self.may_end = asyncio.Event()
        self._row: Worker = server.run(self._connect(name))
        self._task: asyncio.Task[None] | None = None

    async def _connect(self, name: str) -> Worker:
        async with self.server.database.transaction() as session:
            return await workers.connect(session, name=name, host="test", process_id=1, slots=4)

    def begin(self, slots: int = 4, *, at_once: bool = True) -> None:
        """Begin to work."""

        async def start() -> None:
            if at_once:
                self.may_end.set()
            self._task = asyncio.create_task(self.queue.work(self._handle, slots=slots))

        self.server.run(start())

    def end(self) -> None:
        """Stop taking runs; those that were taken go on."""

        async def stop() -> None:
            assert self._task is not None
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

        self.server.run(stop())

    def release(self) -> None:
        """Let the runs end, and wait until they have."""

        async def let() -> None:
            self.may_end.set()
            await self.queue.close()

        self.server.run(let())

    async def _handle(self, run_id: int) -> None:
        self.seen.append(run_id)
        database = self.server.database
        async with database.transaction() as session:
            taken = await run_leases.take(session, run_id, self._row, lease_seconds=60)
        if taken is None:
            return
        self.taken.append(run_id)
        self.now += 1
        self.most = max(self.most, self.now)
        await self.may_end.wait()
        outcome = Outcome(RunStatus.FAILURE, "done", Cause(TransitionCause.WORKER), Counters())
        async with database.transaction() as session:
            await run_leases.end(session, taken.lease, outcome, self.admission)
        self.now -= 1


@pytest.fixture
def runs(quiet: Server) -> Runs:
    """Runs of an organization."""
    return Runs(Organization(quiet))


def test_what_is_enqueued_is_handed_out_in_the_order_of_rank(quiet: Server, runs: Runs) -> None:
    """The smaller rank goes first, whenever it came; each run is taken once."""
    agent = runs.agent(site.agent("https://shop.example"))
    ids = [runs.started(agent, IsExclusive=False) for _ in range(4)]
    crowded = runs.organization.write(_ranks)
    assert [rank for _, rank in crowded] == [0, 1, 2, 3]
    other = Runs(Organization(quiet))
    late = other.started(other.agent(site.agent("https://shop.example")), IsExclusive=False)
    hands = Hands(quiet)

    hands.begin(slots=1)
    until_seen(lambda: len(hands.taken) == 5)
    hands.end()

    assert hands.taken == [ids[0], late, *ids[1:]]


async def _ranks(session: AsyncSession) -> list[tuple[int, int]]:
    return [(row[0], row[1]) for row in (await session.execute(select(Run.id, Run.queue_rank).order_by(Run.id))).all()]


def test_a_rollback_hands_nothing_out(quiet: Server, runs: Runs) -> None:
    """A run is enqueued by the transaction that inserts it, or not at all."""
    agent = runs.agent(site.agent("https://shop.example"))

    async def fail(session: AsyncSession) -> None:
        queue: RunQueue = quiet.services.engine.admission.queue
        await queue.enqueue(session, 4711, 0)
        raise LookupError

    with pytest.raises(LookupError):
        runs.organization.write(fail)
    run = runs.started(agent)
    hands = Hands(quiet)
    hands.begin()
    until_seen(lambda: run in hands.taken)
    hands.end()

    assert hands.seen == [run]


def test_a_run_that_was_stopped_while_it_waited_is_not_taken(quiet: Server, runs: Runs) -> None:
    """Cancelling takes it out of the queue; the next one of the agent goes."""
    agent = runs.agent(site.agent("https://shop.example"))
    first, second = (runs.started(agent, IsExclusive=False) for _ in range(2))
    assert runs.act(agent, first, "stop").status_code == 204
    hands = Hands(quiet)

    hands.begin()
    until_seen(lambda: second in hands.taken)
    hands.end()

    assert hands.seen == [second]


def test_a_worker_takes_as_many_as_it_has_slots_and_no_more_after_its_end(quiet: Server, runs: Runs) -> None:
    """Two at a time; when it stops taking, those two go on to their end, and the others wait for another worker."""
    agent = runs.agent(site.agent("https://shop.example"))
    ids = [runs.started(agent, IsExclusive=False) for _ in range(4)]
    hands = Hands(quiet)
    hands.begin(slots=2, at_once=False)
    until_seen(lambda: len(hands.taken) == 2)

    hands.end()
    hands.release()

    assert sorted(hands.taken) == ids[:2]
    assert hands.most == 2
    assert [runs.status(agent, run)["status"] for run in ids] == [RunStatus.FAILURE] * 2 + [RunStatus.QUEUING] * 2
    another = Hands(quiet, "another")
    another.begin()
    until_seen(lambda: sorted(another.taken) == ids[2:])
    another.end()


def test_a_hundred_runs_of_twenty_spaces_are_each_done_once(quiet: Server, runs: Runs) -> None:
    """Four workers on PostgreSQL, the one worker of the embedded database: nothing is lost and nothing is done twice."""
    organization = runs.organization
    spaces = [organization.space(f"Space {number}") for number in range(20)]
    agents = {space: runs.agent(site.agent("https://shop.example"), space) for space in spaces}
    ids = [runs.started(agents[space], IsExclusive=False) for _ in range(5) for space in spaces]
    crew = [Hands(quiet, f"worker-{number}") for number in range(1 if quiet.settings.is_sqlite else 4)]

    for hands in crew:
        hands.begin()
    until_seen(lambda: sum(len(hands.taken) for hands in crew) == 100)
    for hands in crew:
        hands.end()
        hands.release()

    assert sorted(run for hands in crew for run in hands.taken) == sorted(ids)
    assert {run["status"] for space in spaces for run in organization.get(f"/agent/{agents[space]}/runs", runs.key).json()} == {
        RunStatus.FAILURE
    }


def test_a_run_whose_job_died_with_its_worker_is_handed_out_again(quiet: Server, runs: Runs) -> None:
    """A worker that is killed between getting a job and taking the run takes the job along; `repair` replaces it."""
    if quiet.settings.is_sqlite:
        pytest.skip("the embedded database's queue is the rows themselves")
    agent = runs.agent(site.agent("https://shop.example"))
    run = runs.started(agent)

    async def kill(session: AsyncSession) -> None:
        await session.execute(text("UPDATE procrastinate_jobs SET status = 'doing'"))
        await session.execute(update(Run).values(admitted_at=clock.now() - timedelta(minutes=5)))

    runs.organization.write(kill)
    hands = Hands(quiet)
    hands.begin()

    assert quiet.run(hands.queue.repair(quiet.database)) == 1
    until_seen(lambda: run in hands.taken)
    hands.end()
    assert quiet.run(hands.queue.repair(quiet.database)) == 0
