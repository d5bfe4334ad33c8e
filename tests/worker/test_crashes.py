"""Whatever is killed, at whatever moment: nothing lost, nothing doubled, and no run that says what is not so."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from latchpin.automation import run_lists
from latchpin.storage.models.agent import RunStatus
from tests.support import databases, site
from tests.support.databases import POSTGRESQL, wait_for
from tests.support.people import Organization
from tests.support.server import Server, served
from tests.support.site import Site
from tests.support.workers import Runs, until_seen, working

pytestmark = pytest.mark.both_databases("what a killed process leaves behind differs with the database")

LEASE = 6  # seconds, the shortest there is


@pytest.fixture
def shop() -> Iterator[Site]:
    """A site of this test's own, whose slow pages wait for its gate."""
    with site.site() as running_site:
        yield running_site


@pytest.fixture
def deployment(kind: str, templates: databases.Templates, tmp_path: Path) -> Iterator[Server]:
    """A deployment whose worker the test starts, and kills."""
    with templates.fresh(kind, tmp_path) as url, served(url, tmp_path, worker_lease_seconds=LEASE) as running:
        yield running


@pytest.fixture
def runs(deployment: Server) -> Runs:
    """Runs of an organization."""
    return Runs(Organization(deployment))


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """The process ids of a worker's children: runs, and the one that waits."""
    return [int(each) for each in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()]


def alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    return False


def started_slow(runs: Runs, shop: Site) -> tuple[int, int]:
    """Start a run that has saved three records and waits for the site's gate."""
    agent = runs.agent(site.agent(shop.url, path="/slow", follow=False, max_pages=3))
    run = runs.started(agent)
    until_seen(lambda: runs.status(agent, run)["dataCount"] == 3)
    return agent, run


def saved(runs: Runs, agent: int, run: int) -> list[str]:
    """The titles in the delivered records."""
    name = next(name for name, file in runs.files(agent, run).items() if name.startswith("records"))
    return [json.loads(line)["title"] for line in runs.text(agent, run, name).splitlines()]


def test_a_worker_killed_with_9_leaves_a_truthful_failure(deployment: Server, runs: Runs, shop: Site) -> None:
    """Its children die with it, another worker says within 30 seconds since when it was silent and what was saved, the slot is free,
    and Restart gives each record once.
    """
    with working(deployment, worker_lease_seconds=LEASE, agent_networks=shop.address, worker_name="first") as first:
        agent, run = started_slow(runs, shop)
        family = children(first.process)
        first.process.kill()
        first.process.wait()
        killed_at = time.monotonic()
        until_seen(lambda: not any(map(alive, family)), seconds=5)

    with working(deployment, worker_lease_seconds=LEASE, agent_networks=shop.address, worker_name="second"):
        lost = runs.wait(agent, run, RunStatus.FAILURE, seconds=30)
        assert time.monotonic() - killed_at < 30
        assert lost["message"].startswith("The worker first stopped answering at ")
        assert lost["message"].endswith(" UTC. 3 records were saved. Start the run again with Restart.")
        assert saved(runs, agent, run) == ["Product 1", "Product 2", "Product 3"]
        shop.gate.set()
        assert runs.act(agent, run, "restart").status_code == 202
        done = runs.wait(agent, run, RunStatus.COMPLETED)
        assert done["dataCount"] == len(saved(runs, agent, run)) == 9

    history = runs.organization.write(lambda session: run_lists.transitions(session, run))
    assert [(each.to_status.name, each.cause.value) for each in history if each.from_status in (RunStatus.RUNNING, None)] == [
        ("QUEUING", "api_key"),
        ("FAILURE", "worker_lost"),
        ("EXPORTING", "child"),
    ]


def test_a_run_whose_process_is_killed_says_so(deployment: Server, runs: Runs, shop: Site) -> None:
    """Failure with the signal; what was saved until then is there, and the log is whole. The worker goes on."""
    with working(deployment, agent_networks=shop.address) as worker:
        agent, run = started_slow(runs, shop)
        for pid in children(worker.process):
            os.kill(pid, signal.SIGKILL)

        failed = runs.wait(agent, run)

        assert failed["message"] == "The run's process ended unexpectedly (signal 9). 3 records were saved."
        assert len(saved(runs, agent, run)) == 3
        assert runs.text(agent, run, "log.txt").splitlines()[-1].endswith(failed["message"])
        shop.gate.set()
        again = runs.started(agent)
        done = runs.wait(agent, again)
        assert done["status"] == RunStatus.COMPLETED, done["message"]


def test_a_worker_that_is_asked_to_stop_hands_its_runs_back(deployment: Server, runs: Runs, shop: Site) -> None:
    """The run is Queuing again and no child is left; the next worker begins it from the start, and no record is there twice."""
    with working(deployment, agent_networks=shop.address, worker_name="first") as first:
        agent, run = started_slow(runs, shop)
        family = children(first.process)
        first.process.terminate()
        assert first.process.wait(30) == 0
        assert not any(map(alive, family))
    waiting = runs.status(agent, run)
    assert (waiting["status"], waiting["dataCount"], waiting["serverName"]) == (RunStatus.QUEUING, 0, None)

    shop.gate.set()
    with working(deployment, agent_networks=shop.address):
        done = runs.wait(agent, run)

    assert (done["status"], done["dataCount"]) == (RunStatus.COMPLETED, 9)
    assert len(saved(runs, agent, run)) == 9


def test_a_worker_lets_its_runs_end_within_the_drain_time(deployment: Server, runs: Runs, shop: Site) -> None:
    """It takes no other meanwhile."""
    with working(deployment, agent_networks=shop.address, worker_drain_seconds=60) as worker:
        agent, run = started_slow(runs, shop)
        worker.process.terminate()
        until_seen(lambda: "worker.draining" in worker.log())
        late = runs.started(agent, IsExclusive=False)
        shop.gate.set()
        assert worker.process.wait(60) == 0

    assert runs.status(agent, run)["status"] == RunStatus.COMPLETED
    assert runs.status(agent, late)["status"] == RunStatus.QUEUING


def test_a_worker_that_hangs_loses_its_runs_and_can_write_nothing_more(deployment: Server, runs: Runs, shop: Site) -> None:
    """Its child ends itself before the lease is over; when the worker wakes, the run stays as the other worker left it."""
    if deployment.settings.is_sqlite:
        pytest.skip("the embedded database has one worker")
    both = {"worker_lease_seconds": LEASE, "agent_networks": shop.address}
    with working(deployment, worker_name="hanging", **both) as hanging:
        agent, run = started_slow(runs, shop)
        (busy,) = [pid for pid in children(hanging.process) if _reads(pid, shop)]
        with working(deployment, worker_name="other", **both):
            hanging.process.send_signal(signal.SIGSTOP)
            lost = runs.wait(agent, run, RunStatus.FAILURE, seconds=30)
            assert not alive(busy)
            hanging.process.send_signal(signal.SIGCONT)
            shop.gate.set()
            until_seen(lambda: "run.lease_lost" in hanging.log())
            assert runs.status(agent, run) == {**lost, "runTimeSec": lost["runTimeSec"]}
            assert lost["message"].startswith("The worker hanging stopped answering")


def _reads(pid: int, shop: Site) -> bool:
    """Whether a process has a connection to the site."""
    port = f":{int(shop.address.rpartition(':')[2]):04X}"
    with contextlib.suppress(OSError):
        mine = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[2].endswith(port) and f"socket:[{fields[9]}]" in mine:
                return True
    return False


def test_a_short_absence_of_the_database_does_a_run_no_harm(deployment: Server, runs: Runs, shop: Site) -> None:
    """The run goes on, and what it found meanwhile is counted afterwards."""
    with working(deployment, worker_lease_seconds=60, agent_networks=shop.address):
        agent, run = started_slow(runs, shop)
        with away(deployment):
            shop.gate.set()
            time.sleep(3)  # what is tested is that time passes without a database

        done = runs.wait(agent, run)

    assert (done["status"], done["dataCount"]) == (RunStatus.COMPLETED, 9)


def test_a_long_absence_of_the_database_ends_a_run_truthfully(deployment: Server, runs: Runs, shop: Site) -> None:
    """Its child is ended before the lease is over, and the run is a Failure that says why as soon as the database is back."""
    with working(deployment, worker_lease_seconds=LEASE, agent_networks=shop.address) as worker:
        agent, run = started_slow(runs, shop)
        (busy,) = [pid for pid in children(worker.process) if _reads(pid, shop)]
        with away(deployment):
            until_seen(lambda: not alive(busy), seconds=LEASE + 10)

        lost = runs.wait(agent, run, seconds=30)

    assert lost["status"] == RunStatus.FAILURE
    assert re.fullmatch(
        r"Its worker could not reach the database in time, so the run was ended\. 3 records were saved\."
        r"|The worker \S+ stopped answering at \S+ UTC\. 3 records were saved\. Start the run again with Restart\.",
        lost["message"],
    )
    assert len(saved(runs, agent, run)) == 3


@contextmanager
def away(deployment: Server) -> Iterator[None]:
    """Keep everybody from the database for the length of the block."""
    if deployment.settings.is_sqlite:
        with contextlib.closing(sqlite3.connect(deployment.settings.data_dir / "latchpin.db", isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")  # nobody else writes; on WAL they still read
            yield
            connection.execute("ROLLBACK")
        return
    name = deployment.settings.database_url.rpartition("/")[2]
    wait_for(_admin(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false', name))
    try:
        yield
    finally:
        wait_for(_admin(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true', None))


async def _admin(statement: str, ended: str | None) -> None:
    connection = await asyncpg.connect(f"{POSTGRESQL}/postgres", timeout=5)
    try:
        await connection.execute(statement)
        if ended is not None:
            await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", ended)
    finally:
        await connection.close()
