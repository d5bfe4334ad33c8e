"""`latchpin serve` as a whole where something is missing: its database at the start, or what a server process needs to start again."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.support.databases import Templates, reachable
from tests.support.processes import Serving, serving
from tests.support.tcp_proxy import TcpProxy, through_proxy
from tests.support.waiting import until


@pytest.fixture
def proxied(templates: Templates, tmp_path: Path) -> Iterator[tuple[str, TcpProxy]]:
    """A deployment on PostgreSQL behind a proxy that does not listen yet."""
    if lack := reachable():
        missing("tests on PostgreSQL", lack)
    with templates.fresh("postgresql", tmp_path) as url, through_proxy(url) as behind:
        yield behind


def test_serve_waits_for_its_database_and_says_so_once(proxied: tuple[str, TcpProxy], tmp_path: Path) -> None:
    """A machine that boots starts both at once; until then nothing listens."""
    url, proxy = proxied
    with serving(tmp_path, url, ready=False) as server:
        until(lambda: "database.awaited" in server.log(), "it tells that it waits")
        refused = server.status("/health/live")
        proxy.start()
        server.wait_for("/health/ready", 200, seconds=60)

        assert refused == 0
        assert server.log().count("database.awaited") == 1


def test_serve_ends_with_one_line_where_the_database_does_not_come(proxied: tuple[str, TcpProxy], tmp_path: Path) -> None:
    """After the time that the settings give it."""
    with serving(tmp_path, proxied[0], ready=False, database_wait_seconds=0) as server:
        code = server.process.wait(60)

    assert code == 3
    assert "cannot be used" in server.log()
    assert "Traceback" not in server.log()


def test_a_server_process_that_dies_while_the_database_is_away_comes_back_with_it(proxied: tuple[str, TcpProxy], tmp_path: Path) -> None:
    """However often it has tried; the other one answers meanwhile."""
    url, proxy = proxied
    proxy.start()
    with serving(tmp_path, url, workers=2, log_level="info") as server:
        until(lambda: _started(server) == 2, "both serve")
        proxy.cut()
        os.kill(server.workers()[0], signal.SIGKILL)
        until(lambda: server.log().count("server_process.failed") >= 2, "it tried twice")
        alive = {server.status("/health/live") for _ in range(4)}
        proxy.start()
        until(lambda: _started(server) == 3, "it serves again")
        server.wait_for("/health/ready", 200, seconds=60)
        code = server.stop()

    assert alive == {200}
    assert code == 0
    assert "process.killed" not in server.log()


def _started(server: Serving) -> int:
    """How many server processes have begun to serve so far."""
    return server.log().count("server_process.started")


def test_a_server_process_that_dies_without_its_secrets_comes_back_with_them(templates: Templates, tmp_path: Path) -> None:
    """It makes no other ones, under which no key would count."""
    secrets = tmp_path / "secrets.json"
    with templates.fresh("sqlite", tmp_path) as url, serving(tmp_path, url, workers=2, log_level="info") as server:
        until(lambda: _started(server) == 2, "both serve")
        secrets.rename(tmp_path / "kept.json")
        os.kill(server.workers()[0], signal.SIGKILL)
        until(lambda: server.log().count("server_process.failed") >= 2, "it tried twice")
        alive = {server.status("/health/ready") for _ in range(4)}
        were_made = secrets.exists()
        (tmp_path / "kept.json").rename(secrets)
        until(lambda: _started(server) == 3, "it serves again")

    assert alive == {200}
    assert not were_made
    assert str(secrets) in server.log()


def test_no_request_is_refused_while_the_server_processes_are_replaced(templates: Templates, tmp_path: Path) -> None:
    """SIGHUP while others call, each on a connection of its own; nobody is killed, and nobody is said to have been."""
    with (
        templates.fresh("sqlite", tmp_path) as url,
        serving(tmp_path, url, workers=2, log_level="info") as server,
        ThreadPoolExecutor(1) as pool,
    ):
        before = server.workers()
        is_over = threading.Event()
        calling = pool.submit(_call_until, is_over, server)
        server.process.send_signal(signal.SIGHUP)
        try:
            until(lambda: "reload.finished" in server.log(), "the reload is over")
        finally:
            is_over.set()
        after = server.workers()

    assert len(after) == 2
    assert not set(before) & set(after)
    assert set(calling.result()) == {200}
    assert "process.killed" not in server.log()


def _call_until(is_over: threading.Event, server: Serving) -> list[int]:
    statuses = [server.status("/health/ready")]
    while not is_over.wait(0.01):
        statuses.append(server.status("/health/ready"))
    return statuses


def test_the_port_is_free_when_the_main_process_was_killed(templates: Templates, tmp_path: Path) -> None:
    """Its server processes end with it, so that the next `latchpin serve` can start."""
    with templates.fresh("sqlite", tmp_path) as url, serving(tmp_path, url) as server:
        server.process.kill()
        server.process.wait(20)
        until(lambda: server.status("/health/live") == 0, "nobody answers")
        with serving(tmp_path, url, port=server.settings.port) as again:
            assert again.status("/health/ready") == 200


def test_a_worker_runs_beside_the_server_and_ends_with_it(templates: Templates, tmp_path: Path) -> None:
    """Unless the settings say otherwise; it is asked to stop and says that it has."""
    with templates.fresh("sqlite", tmp_path) as url, serving(tmp_path, url, worker="on", log_level="info") as server:
        until(lambda: "worker.ready" in server.log(), "the worker has begun")
        code = server.stop()

    assert code == 0
    assert "worker.stopped" in server.log()
