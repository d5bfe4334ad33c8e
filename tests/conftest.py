"""Fixtures: both databases, a served deployment on each, and what could not be run, said plainly."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import hypothesis
import pytest

from latchpin.kit import clock as kit_clock

if TYPE_CHECKING:  # the whole application is imported by the first fixture that needs it, so that a folder without a server starts at once
    from tests.support.databases import Templates
    from tests.support.deployments import Deployments
    from tests.support.people import Organization
    from tests.support.server import Server

KINDS = ("sqlite", "postgresql")
CI = os.environ.get("CI") == "true"
_missing: dict[str, str] = {}
# A busy machine is slow, and fails no test for it.
hypothesis.settings.register_profile(
    "suite",
    hypothesis.settings.get_profile("ci" if CI else "default"),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("suite")


# Files that take minutes, the dearest first, and then the folders whose tests start processes.
_DEAREST = (
    "test_strict_revocation",
    "test_fenced_commands",
    "test_strict_token_revocation",
    "test_crashes",
    "test_oauth_races",
    "test_supervision",
    "test_browser_journey",
    "test_consent_in_browser",
    "test_bound_tokens",
)
_DEAR_FOLDERS = ("e2e", "worker", "cli", "contracts", "oauth", "api")


def missing(what: str, how: str) -> None:
    """Skip for want of a service and say how to provide it; with CI=true that is a failure."""
    _missing[what] = how
    if CI:
        pytest.fail(how)
    pytest.skip(how)


def untried(what: str, why: str) -> NoReturn:
    """Skip what few machines can do, and say so plainly at the end of the run; unlike `missing`, never a failure."""
    _missing[what] = why
    pytest.skip(why)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that started this one what it could not run."""
    worker_output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if worker_output is not None:
        worker_output["missing"] = _missing


class _Gathers:
    """Takes in what the other processes could not run."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hear of a process that has ended."""
        _missing.update(getattr(node, "workeroutput", {}).get("missing", {}))


def pytest_configure(config: pytest.Config) -> None:
    """Listen to the other processes, and let the programs that tests start take Ctrl-C as they do on a terminal."""
    config.pluginmanager.register(_Gathers())
    if place := os.environ.get("TEST_MEASURE"):
        from tests.support.measure import Measure

        config.pluginmanager.register(Measure(Path(place)))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell has what it starts in the background ignore it, children included
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one process more than there are cores: each waits for what it started, such as a server, a browser or a lease that runs out."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let several processes begin with the dearest files: one of them at the end would keep one core busy while the others idle."""
    if hasattr(config, "workerinput"):
        items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    order = (*_DEAREST, *_DEAR_FOLDERS)
    return next((place for place, name in enumerate(order) if name in (item.path.stem, item.path.parent.name)), len(order))


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
def templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Templates]:
    """Migrated databases to copy."""
    from tests.support.databases import Templates

    database_templates = Templates(tmp_path_factory.mktemp("templates"))
    yield database_templates
    database_templates.close()


@pytest.fixture(scope="session")
def deployments(templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployments]:
    """The deployments that all tests of this process share."""
    from tests.support.deployments import Deployments

    shared_deployments = Deployments(templates, tmp_path_factory.mktemp("shared"))
    yield shared_deployments
    shared_deployments.close()


def _names(argnames: str | Sequence[str]) -> Sequence[str]:
    """Return the names that a test is parametrized by."""
    return argnames.replace(" ", "").split(",") if isinstance(argnames, str) else argnames


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on SQLite; on both databases where it is marked so, and say why."""
    given = [name for mark in metafunc.definition.iter_markers("parametrize") for name in _names(mark.args[0])]
    if "kind" not in metafunc.fixturenames or "kind" in given:
        return
    mark = metafunc.definition.get_closest_marker("both_databases")
    if mark is not None and not (len(mark.args) == 1 and isinstance(mark.args[0], str)):
        message = f"{metafunc.definition.nodeid}: both_databases takes one text, which says why"
        raise pytest.UsageError(message)
    metafunc.parametrize("kind", KINDS if mark else KINDS[:1], indirect=True, scope="module")


@pytest.fixture(scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database that the test runs on."""
    database_kind: str = request.param
    if database_kind == "postgresql":
        from tests.support import databases

        if lack := databases.reachable():
            missing("tests on PostgreSQL", lack)
    return database_kind


@pytest.fixture(scope="module")
def server(kind: str, deployments: Deployments) -> Iterator[Server]:
    """A served deployment that tests share, also those of other files; each makes its own organization in it."""
    running = deployments.shared(kind)
    yield running
    assert not running.failure()


@pytest.fixture
def organization(server: Server) -> Organization:
    """A fresh organization with an administrator."""
    from tests.support.people import Organization

    return Organization(server)


@pytest.fixture
def other(server: Server) -> Organization:
    """A second organization, which must see nothing of the first."""
    from tests.support.people import Organization

    return Organization(server)


@pytest.fixture(scope="module")
def shared(kind: str, deployments: Deployments) -> Callable[..., Server]:
    """Find the deployment with other settings that tests share: `shared(client_documents_private=True)`."""
    return partial(deployments.shared, kind)


@pytest.fixture
def serve(kind: str, deployments: Deployments) -> Iterator[Callable[..., Server]]:
    """Serve a deployment of the test's own, which nothing was done to: `serve(rate_limit=5)`."""
    with ExitStack() as stack:
        yield lambda **overrides: stack.enter_context(deployments.own(kind, **overrides))


@pytest.fixture
def clock() -> Iterator[kit_clock.Frozen]:
    """The process's clock, standing still at the present until the test moves it."""
    with kit_clock.Frozen(datetime.now(UTC)) as frozen:
        yield frozen
