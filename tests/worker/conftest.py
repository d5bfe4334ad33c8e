"""A site for all tests of runs, and one worker of the shared deployment for those of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.people import Organization
from tests.support.server import Server
from tests.support.site import Site, site
from tests.support.workers import Runs, WorkerProcess, working


@pytest.fixture(scope="session")
def shop() -> Iterator[Site]:
    """A site of thirty products."""
    with site() as running_site:
        yield running_site


@pytest.fixture(scope="module")
def worker(server: Server, shop: Site) -> Iterator[WorkerProcess]:
    """A worker that may reach the site."""
    with working(server, agent_networks=shop.address) as running:
        yield running


@pytest.fixture
def runs(organization: Organization, worker: WorkerProcess) -> Runs:
    """Runs of a fresh organization, which the worker executes."""
    return Runs(organization)
