"""A worker in a process of its own, and short ways to start runs and to wait for what becomes of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from latchpin.automation import agents
from latchpin.storage.models.agent import RunStatus
from tests.support.load import ROOT
from tests.support.people import Key, Organization, Person
from tests.support.plain_http import PLAIN
from tests.support.processes import environment
from tests.support.server import Server

FINISHED = {RunStatus.FAILURE, RunStatus.FAILED, RunStatus.STOPPED, RunStatus.COMPLETED, RunStatus.SUCCESS, RunStatus.SKIPPED}


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A running `latchpin worker`; `output` is the file of what it logged."""

    process: subprocess.Popen[bytes]
    output: Path

    def log(self) -> str:
        """What it has logged so far."""
        return self.output.read_text(encoding="utf-8")


@contextmanager
def working(server: Server, **values: Any) -> Iterator[WorkerProcess]:
    """Run a worker of a served deployment for the length of the block; `values` are further settings."""
    settings = server.settings
    url = "" if settings.is_sqlite else settings.database_url
    output = settings.data_dir / f"worker-{time.monotonic_ns()}.log"
    chosen = {
        "secrets_file": settings.secrets_file,
        "files_dir": settings.files_dir,
        "worker_drain_seconds": 0,
        "log_level": "info",
        **values,
    }
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "latchpin", "worker"],
            env=environment(settings.data_dir, url, **chosen),
            cwd=ROOT,
            stdout=sink,
            stderr=sink,
        )
        try:
            yield WorkerProcess(process, output)
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


class Runs:
    """Runs of one organization over HTTP, with a key."""

    def __init__(self, organization: Organization, key: Key | None = None) -> None:
        self.organization = organization
        self.server = organization.server
        self.key = key or organization.key()

    def agent(self, definition: str, space_id: int | None = None, owner: Person | None = None) -> int:
        """Make an agent from a definition."""
        who = owner or self.organization.admin

        async def work(session: Any) -> int:
            return (await agents.create(session, who.principal, definition, space_id=space_id, by=who.actor)).id

        return self.organization.write(work)

    def start(self, agent_id: int, **body: Any) -> httpx.Response:
        """Start a run."""
        return self.organization.post(f"/agent/{agent_id}/start", self.key, body)

    def started(self, agent_id: int, **body: Any) -> int:
        """Start a run, which must be possible, and return its id."""
        response = self.start(agent_id, **body)
        assert response.status_code == 202, response.text
        return int(response.json()["id"])

    def status(self, agent_id: int, run_id: int) -> dict[str, Any]:
        """Return a run."""
        response = self.organization.get(f"/agent/{agent_id}/run/{run_id}/status", self.key)
        assert response.status_code == 200, response.text
        run_status: dict[str, Any] = response.json()
        return run_status

    def act(self, agent_id: int, run_id: int, verb: str) -> httpx.Response:
        """Stop, kill or restart a run."""
        return self.organization.post(f"/agent/{agent_id}/run/{run_id}/{verb}", self.key)

    def wait(self, agent_id: int, run_id: int, *statuses: RunStatus, seconds: float = 60) -> dict[str, Any]:
        """Return a run once it has one of these statuses, by default a final one."""
        expected = set(statuses) or FINISHED
        until = time.monotonic() + seconds
        while (run_status := self.status(agent_id, run_id))["status"] not in expected:
            assert time.monotonic() < until, f"still {RunStatus(run_status['status']).name}: {run_status}"
            time.sleep(0.05)
        return run_status

    def files(self, agent_id: int, run_id: int) -> dict[str, dict[str, Any]]:
        """Return a run's files by name."""
        response = self.organization.get(f"/agent/{agent_id}/run/{run_id}/files", self.key)
        assert response.status_code == 200, response.text
        return {each["name"]: each for each in response.json()}

    def text(self, agent_id: int, run_id: int, name: str) -> str:
        """Download a file as the official client does, without the header at the second address."""
        file = self.files(agent_id, run_id)[name]
        response = self.organization.get(f"/agent/{agent_id}/run/{run_id}/file/{file['id']}/download", self.key)
        assert response.status_code == 302, response.text
        return httpx.get(response.headers["location"], trust_env=False, verify=PLAIN).text


def until_seen(look: Callable[[], bool], *, seconds: float = 60) -> None:
    """Return once `look()` is true."""
    until = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < until, "did not come"
        time.sleep(0.05)
