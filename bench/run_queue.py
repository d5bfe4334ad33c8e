"""How fast admitted runs come to workers: `python -m bench.run_queue`. Runs are empty: taken, and ended at once.

Prints, for the embedded database and for PostgreSQL (LATCHPIN_TEST_POSTGRESQL), the time of a hundred runs of twenty Spaces, and the
time from a start to the end of one run when nothing else goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from pathlib import Path

from latchpin import settings
from latchpin.audit import Actor
from latchpin.automation import agents, run_leases, runs, workers
from latchpin.automation.run_engine import RunEngine, open_engine
from latchpin.automation.run_leases import Counters, Outcome
from latchpin.automation.run_lifecycle import Cause
from latchpin.automation.runs import NewRun
from latchpin.identity import organizations, passwords, spaces, users
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group
from latchpin.settings import Settings
from latchpin.storage import Database
from latchpin.storage.models import Agent, Worker
from latchpin.storage.models.agent import RunStatus
from latchpin.storage.models.run import TransitionCause
from latchpin.storage.secrets import generate
from tests.support.databases import Templates

SPACES, EACH, WORKERS, SLOTS, SINGLE = 20, 5, 4, 4, 30
_BY = Actor("bench")
_DEFINITION = "version: 1\nname: Empty\nstart_url: https://shop.example/\nrecord:\n  selector: li\n  fields:\n    - name: title\n"


async def _world(database: Database) -> list[Agent]:
    """Make an organization with an agent in each Space."""
    new_agents = []
    password = await passwords.temporary()
    async with database.transaction() as session:
        organization = await organizations.create(session, "Bench", by=_BY)
        new = users.NewUser(full_name="Ada", email="ada@example.com", group=Group.ADMINISTRATOR, password=password)
        user = (await users.create(session, organization.id, new, by=_BY)).user
        credential = Credential(CredentialKind.COMMAND_LINE, None, "bench")
        who = Principal(user.id, organization.id, "Ada", user.email, Group.ADMINISTRATOR, credential)
        for number in range(SPACES):
            space = await spaces.create(session, organization.id, spaces.SpaceFields(name=f"Space {number}"), by=_BY)
            new_agents.append(await agents.create(session, who, _DEFINITION, space_id=space.id, by=_BY))
    return new_agents


class _Crew:
    """Workers that end each run as soon as they have it."""

    def __init__(self, chosen: Settings, database: Database, engine: RunEngine) -> None:
        self.chosen, self.database, self.engine = chosen, database, engine
        self.done: dict[int, float] = {}
        self.tasks: list[asyncio.Task[None]] = []

    async def begin(self, count: int) -> None:
        """Begin to work."""
        for number in range(count):
            async with self.database.transaction() as session:
                row = await workers.connect(session, name=f"bench-{number}", host="bench", process_id=1, slots=SLOTS)
            admission = open_engine(self.chosen, self.database, self.engine.secrets).admission

            async def handle(run_id: int, row: Worker = row) -> None:
                async with self.database.transaction() as session:
                    taken = await run_leases.take(session, run_id, row, lease_seconds=15)
                if taken is not None:
                    outcome = Outcome(RunStatus.FAILURE, "empty", Cause(TransitionCause.WORKER), Counters())
                    async with self.database.transaction() as session:
                        await run_leases.end(session, taken.lease, outcome, self.engine.admission)
                    self.done[run_id] = time.perf_counter()

            self.tasks.append(asyncio.create_task(admission.queue.work(handle, slots=SLOTS)))
        await asyncio.sleep(2)

    async def wait(self, ids: list[int]) -> None:
        """Wait until these runs have ended."""
        while not self.done.keys() >= set(ids):  # noqa: ASYNC110  an event a run would cost more than looking
            await asyncio.sleep(0.002)

    async def end(self) -> None:
        """Stop."""
        for task in self.tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self.tasks)


async def _start(database: Database, engine: RunEngine, agent: Agent) -> int:
    definition = await agents.parse(_DEFINITION)
    async with database.transaction() as session:
        stored_agent = await session.get_one(Agent, agent.id)
        return (await runs.start(session, stored_agent, NewRun(is_exclusive=False), definition=definition, engine=engine, by=_BY)).id


async def _measure(kind: str, url: str, place: Path) -> None:
    chosen = settings.load({}, data_dir=place, database_url=url or None, max_concurrent_runs=EACH)
    database = Database(chosen)
    secrets = generate()
    engine = open_engine(chosen, database, secrets)
    new_agents = await _world(database)
    crew = _Crew(chosen, database, engine)
    before = time.perf_counter()
    ids = [await _start(database, engine, agent) for _ in range(EACH) for agent in new_agents]
    print(f"{kind}: {len(ids) / (time.perf_counter() - before):.0f} runs started a second, one after the other")
    count = 1 if chosen.is_sqlite else WORKERS
    before = time.perf_counter()
    begin = asyncio.create_task(crew.begin(count))
    await crew.wait(ids)
    took = time.perf_counter() - before
    print(f"{kind}: {len(ids)} runs of {SPACES} Spaces, {count} worker(s) of {SLOTS} slots: {took:.2f} s")
    await begin
    single = []
    for _ in range(SINGLE):
        before = time.perf_counter()
        run = await _start(database, engine, new_agents[0])
        await crew.wait([run])
        single.append((crew.done[run] - before) * 1000)
        await asyncio.sleep(0.05)
    print(f"{kind}: start to end of one run when idle: median {statistics.median(single):.0f} ms, longest {max(single):.0f} ms")
    await crew.end()
    await database.close()


def main() -> None:
    """Measure on both databases."""
    with tempfile.TemporaryDirectory() as directory:
        templates = Templates(Path(directory))
        for kind in ("sqlite", "postgresql"):
            place = Path(directory) / f"deployment-{kind}"
            with templates.fresh(kind, place) as url:
                asyncio.run(_measure(kind, url, place))
        templates.close()


if __name__ == "__main__":
    main()
