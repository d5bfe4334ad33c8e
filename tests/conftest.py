"""Fixtures: both databases, a served deployment on each, and what could not be run, said plainly."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from latchpin.kit import clock as kit_clock
from tests.support import databases
from tests.support.people import Organization
from tests.support.server import Server, served

CI = os.environ.get("CI") == "true"
_missing: dict[str, str] = {}


def missing(what: str, how: str) -> None:
    """Skip for want of a service and say how to provide it; with CI=true that is a failure."""
    _missing[what] = how
    if CI:
        pytest.fail(how)
    pytest.skip(how)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that started this one what it could not run."""
    told: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["missing"] = _missing


class _Gathers:
    """Takes in what the other processes could not run."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hear of a process that has ended."""
        _missing.update(getattr(node, "workeroutput", {}).get("missing", {}))


def pytest_configure(config: pytest.Config) -> None:
    """Listen to the other processes, and let the programs that tests start take Ctrl-C as they do on a terminal."""
    config.pluginmanager.register(_Gathers())
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell has what it starts in the background ignore it, children included
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print plainly what was not run, and how to provide it."""
    if _missing:
        terminalreporter.section("not run")
        for what, how in _missing.items():
            terminalreporter.write_line(f"{what}: {how}")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[databases.Templates]:
    """Migrated databases to copy."""
    made = databases.Templates(tmp_path_factory.mktemp("templates"))
    yield made
    made.close()


@pytest.fixture(scope="session", params=databases.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database; every test that asks for it runs on each."""
    if request.param == "postgresql" and (lack := databases.reachable()):
        missing("tests on PostgreSQL", lack)
    found: str = request.param
    return found


@pytest.fixture(scope="session")
def server(kind: str, templates: databases.Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A served deployment that tests share; each makes its own organization in it."""
    data_dir = tmp_path_factory.mktemp(f"shared-{kind}")
    with templates.fresh(kind, data_dir) as url, served(url, data_dir) as running:
        yield running
        assert not running.failure()


@pytest.fixture
def organization(server: Server) -> Organization:
    """A fresh organization with an administrator."""
    return Organization(server)


@pytest.fixture
def other(server: Server) -> Organization:
    """A second organization, which must see nothing of the first."""
    return Organization(server)


@pytest.fixture
def serve(kind: str, templates: databases.Templates, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Serve a deployment of the test's own, with other settings: `serve(rate_limit=5)`."""
    with ExitStack() as stack:
        number = 0

        def start(**overrides: Any) -> Server:
            nonlocal number
            number += 1
            data_dir = tmp_path / f"deployment-{number}"
            url = stack.enter_context(templates.fresh(kind, data_dir))
            return stack.enter_context(served(url, data_dir, **overrides))

        yield start


@pytest.fixture
def clock() -> Iterator[kit_clock.Frozen]:
    """The process's clock, standing still at the present until the test moves it."""
    with kit_clock.Frozen(datetime.now(UTC)) as frozen:
        yield frozen
