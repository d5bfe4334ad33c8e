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
    with serving(tmp_path, url, ready=False, worker="off") as served:
        until(lambda: "database.awaited" in served.log(), "it tells that it waits")
        refused = served.status("/health/live")
        proxy.start()
        served.wait_for("/health/ready", 200, seconds=60)

        assert refused == 0
        assert served.log().count("database.awaited") == 1


def test_serve_ends_with_one_line_where_the_database_does_not_come(proxied: tuple[str, TcpProxy], tmp_path: Path) -> None:
    """After the time that the settings give it."""
    with serving(tmp_path, proxied[0], ready=False, database_wait_seconds=0) as served:
        code = served.process.wait(60)

    assert code == 3
    assert "cannot be used" in served.log()
    assert "Traceback" not in served.log()


def test_a_server_process_that_dies_while_the_database_is_away_comes_back_with_it(proxied: tuple[str, TcpProxy], tmp_path: Path) -> None:
    """However often it has tried; the other one answers meanwhile."""
    url, proxy = proxied
    proxy.start()
    with serving(tmp_path, url, workers=2, worker="off", log_level="info") as served:
        until(lambda: _started(served) == 2, "both serve")
        proxy.cut()
        os.kill(served.workers()[0], signal.SIGKILL)
        until(lambda: served.log().count("server_process.failed") >= 2, "it tried twice")
        alive = {served.status("/health/live") for _ in range(4)}
        proxy.start()
        until(lambda: _started(served) == 3, "it serves again")
        served.wait_for("/health/ready", 200, seconds=60)
        code = served.stop()

    assert alive == {200}
    assert code == 0
    assert "process.killed" not in served.log()


def _started(served: Serving) -> int:
    """How many server processes have begun to serve so far."""
    return served.log().count("server_process.started")


def test_a_server_process_that_dies_without_its_secrets_comes_back_with_them(templates: Templates, tmp_path: Path) -> None:
    """It makes no other ones, under which no key would count."""
    secrets = tmp_path / "secrets.json"
    with templates.fresh("sqlite", tmp_path) as url, serving(tmp_path, url, workers=2, worker="off", log_level="info") as served:
        until(lambda: _started(served) == 2, "both serve")
        secrets.rename(tmp_path / "kept.json")
        os.kill(served.workers()[0], signal.SIGKILL)
        until(lambda: served.log().count("server_process.failed") >= 2, "it tried twice")
        alive = {served.status("/health/ready") for _ in range(4)}
        were_made = secrets.exists()
        (tmp_path / "kept.json").rename(secrets)
        until(lambda: _started(served) == 3, "it serves again")

    assert alive == {200}
    assert not were_made
    assert str(secrets) in served.log()


def test_no_request_is_refused_while_the_server_processes_are_replaced(templates: Templates, tmp_path: Path) -> None:
    """SIGHUP while others call, each on a connection of its own; nobody is killed, and nobody is said to have been."""
    with (
        templates.fresh("sqlite", tmp_path) as url,
        serving(tmp_path, url, workers=2, worker="off", log_level="info") as served,
        ThreadPoolExecutor(1) as pool,
    ):
        before = served.workers()
        is_over = threading.Event()
        calling = pool.submit(_call_until, is_over, served)
        served.process.send_signal(signal.SIGHUP)
        try:
            until(lambda: "reload.finished" in served.log(), "the reload is over")
        finally:
            is_over.set()
        after = served.workers()

    assert len(after) == 2
    assert not set(before) & set(after)
    assert set(calling.result()) == {200}
    assert "process.killed" not in served.log()


def _call_until(is_over: threading.Event, served: Serving) -> list[int]:
    statuses = [served.status("/health/ready")]
    while not is_over.wait(0.01):
        statuses.append(served.status("/health/ready"))
    return statuses


def test_the_port_is_free_when_the_main_process_was_killed(templates: Templates, tmp_path: Path) -> None:
    """Its server processes end with it, so that the next `latchpin serve` can start."""
    with templates.fresh("sqlite", tmp_path) as url, serving(tmp_path, url, worker="off") as served:
        served.process.kill()
        served.process.wait(20)
        until(lambda: served.status("/health/live") == 0, "nobody answers")
        with serving(tmp_path, url, worker="off", port=served.settings.port) as again:
            assert again.status("/health/ready") == 200
