"""The server's processes: starting together, dying, stopping, and requests that outlive their key."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
from sqlalchemy import func, select, text

from latchpin import settings
from latchpin.storage import Database
from latchpin.storage.models import ApiKey, AuditEvent
from tests.conftest import missing
from tests.support.databases import Templates, reachable
from tests.support.load import ROOT, Plan, loads
from tests.support.office import Issued, office
from tests.support.people import Organization
from tests.support.processes import Serving, environment, serving
from tests.support.server import Server
from tests.support.waiting import until

pytestmark = pytest.mark.both_databases("server processes share each database in its own way")


class SlowPost:
    """A POST whose body is sent in two parts, with the test's doings in between."""

    def __init__(self, port: int, path: str, key: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._body = b'{"content": "restored slowly"}'
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ApiKey {key}\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(self._body)}\r\nConnection: close\r\n\r\n"
        self._socket.sendall(head.encode() + self._body[:5])

    def finish(self) -> int:
        """Send the rest and return the answer's status."""
        self._socket.sendall(self._body[5:])
        with self._socket, self._socket.makefile("rb") as response:
            return int(response.readline().split(b" ")[1])


# ---- requests that outlive their key ----


def test_a_request_whose_body_is_still_coming_completes_after_its_key_was_revoked(serve: Callable[..., Server]) -> None:
    """It was accepted before; the next one is refused (promise 5)."""
    server = serve()
    organization = Organization(server)
    agent, key = organization.agent(), organization.key()
    slow = SlowPost(server.settings.port, f"/api/v1/agent/{agent}/version/1/restore", key.secret)
    verified = server.services.keys.cache.verified
    until(lambda: len(verified) > 0, "the key passed the gate")

    organization.revoke(key)

    assert organization.get("/agent/all", key).status_code == 401
    assert slow.finish() == 204
    assert organization.get(f"/agent/{agent}/versions", organization.key()).json()[0]["version"] == 2


# ---- starting ----


@pytest.fixture
def empty_postgresql(templates: Templates, tmp_path: Path) -> Iterator[str]:
    """The address of a PostgreSQL database without tables."""
    if lack := reachable():
        missing("tests on PostgreSQL", lack)
    with templates.empty("postgresql", tmp_path) as url:
        yield url


def _serve_once(data_dir: Path, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "latchpin", "serve"],
        env=environment(data_dir, url, port=1),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_serve_refuses_an_empty_postgresql_database_with_the_command_to_run(empty_postgresql: str, tmp_path: Path) -> None:
    """It never migrates a database that others may be using."""
    refused = _serve_once(tmp_path / "data", empty_postgresql)

    assert refused.returncode == 3
    assert "latchpin db upgrade" in refused.stderr
    assert "Traceback" not in refused.stderr


async def _set_revision(data_dir: Path, url: str) -> None:
    database = Database(settings.load({}, data_dir=data_dir, database_url=url))
    async with database.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = 'of_tomorrow'"))
    await database.close()


def test_serve_refuses_a_postgresql_database_at_another_revision(templates: Templates, tmp_path: Path) -> None:
    """It names both revisions, so that somebody who went back to an older version understands."""
    if lack := reachable():
        missing("tests on PostgreSQL", lack)
    with templates.fresh("postgresql", tmp_path) as url:
        anyio.run(_set_revision, tmp_path, url)

        refused = _serve_once(tmp_path, url)

    assert refused.returncode == 3
    assert "of_tomorrow" in refused.stderr
    assert "Install the newer version" in refused.stderr


async def _keys(server: Serving, count: int) -> list[Issued]:
    async with office(server) as own:
        return await own.keys(await own.user(), count)


async def _revoke(server: Serving, key: Issued) -> None:
    async with office(server) as own:
        await own.revoke(key)


def test_two_servers_that_start_at_once_on_an_empty_directory_agree(tmp_path: Path) -> None:
    """One set of secrets, one schema, one generation: both accept the same key and both refuse it once it is revoked."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(serving(tmp_path, ready=False, workers=2)) for _ in range(2))
        for server in (first, second):
            server.wait_for("/health/ready", 200)
        key = anyio.run(_keys, first, 1)[0]

        accepted = [server.status("/api/v1/agent/all", key.secret) for server in (first, second) for _ in range(4)]
        anyio.run(_revoke, first, key)
        refused = [server.status("/api/v1/agent/all", key.secret) for server in (first, second) for _ in range(4)]

    assert accepted == [200] * 8
    assert refused == [401] * 8


# ---- dying and stopping ----


def test_when_a_server_process_is_killed_under_load_the_others_go_on(kind: str, templates: Templates, tmp_path: Path) -> None:
    """Nothing but 200 and 401 is ever answered, the dead one is replaced, and a key revoked meanwhile is dead everywhere."""
    with templates.fresh(kind, tmp_path) as url, serving(tmp_path, url, workers=3) as server:
        keys = anyio.run(_keys, server, 10)
        before = server.workers()
        with loads(
            [Plan(server.settings.port, "/api/v1/agent/all", [key.secret for key in keys], str(tmp_path / "progress"))] * 2
        ) as reports:
            os.kill(before[0], signal.SIGKILL)
            anyio.run(_revoke, server, keys[0])
            until(lambda: len(server.workers()) == 3 and before[0] not in server.workers(), "the dead process is replaced")
            refused = {server.status("/api/v1/agent/all", keys[0].secret) for _ in range(12)} - {0}
            accepted = {server.status("/api/v1/agent/all", keys[1].secret) for _ in range(12)} - {0}

    assert refused == {401}
    assert accepted == {200}
    assert {status for report in reports for status in report.statuses} <= {"200", "401"}
    assert sum(report.requests for report in reports) > 50


async def _left_behind(chosen: settings.Settings, key_id: int) -> tuple[bool, int]:
    """Return whether the key's last use was written, and how many uses the audit trail counts."""
    database = Database(chosen)
    async with database.read() as session:
        key = await session.get(ApiKey, key_id)
        uses = select(func.sum(AuditEvent.count)).where(AuditEvent.action == "api_key.used", AuditEvent.target_id == key_id)
        counted = await session.scalar(uses) or 0
    await database.close()
    assert key is not None
    return key.last_used_at is not None, counted


def test_a_stopping_server_lets_a_running_request_finish_and_writes_what_it_collected(
    kind: str, templates: Templates, tmp_path: Path
) -> None:
    """SIGTERM in the middle of a request: it is answered, the exit is clean, and every use is in the audit trail."""
    with templates.fresh(kind, tmp_path) as url, serving(tmp_path, url) as server:
        key = anyio.run(_keys, server, 1)[0]
        uses = [server.status("/api/v1/agent/all", key.secret) for _ in range(7)]
        slow = SlowPost(server.settings.port, "/api/v1/agent/1/version/1/restore", key.secret)
        until(lambda: server.status("/health/live") == 200, "the server has read what was sent before")

        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.status("/health/live") == 0, "no new connection is taken")
        finished = slow.finish()
        code = server.process.wait(40)
        has_last_use, counted = anyio.run(_left_behind, server.settings, key.id)

    assert uses == [200] * 7
    assert finished == 404  # there is no such agent; what counts is that the request was answered
    assert code == 0
    assert has_last_use
    assert counted == 8
