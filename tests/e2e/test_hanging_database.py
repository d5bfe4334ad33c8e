"""A database that takes connections and does not answer, as behind a network that was cut: refused in time, and well again by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.support.databases import Templates, reachable
from tests.support.people import Organization
from tests.support.server import Server, served
from tests.support.tcp_proxy import TcpProxy, through_proxy


@pytest.fixture(scope="module")
def proxied(templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, TcpProxy]]:
    """A server whose PostgreSQL is behind a proxy, and waits a second for it."""
    if lack := reachable():
        missing("tests on PostgreSQL", lack)
    place = tmp_path_factory.mktemp("proxied")
    with templates.fresh("postgresql", place) as url, through_proxy(url) as (address, proxy):
        proxy.start()
        with served(address, place, database_timeout_seconds=1) as server:
            yield server, proxy
            proxy.resume()


def test_while_the_database_hangs_requests_are_refused_and_then_all_is_well(proxied: tuple[Server, TcpProxy]) -> None:
    """The API, pages and readiness, on connections that were there and on new ones; the log names the cause."""
    server, proxy = proxied
    organization = Organization(server)
    key = organization.key()
    assert organization.get("/agent/all", key).status_code == 200
    server.clear_log()

    proxy.hang()
    api = organization.get("/agent/all", key)
    page = server.http.get("/setup/any", headers={"Accept": "text/html"})
    ready, live = server.http.get("/health/ready"), server.http.get("/health/live")
    proxy.cut()
    proxy.start()
    anew = organization.get("/agent/all", key)
    log = server.log.getvalue()
    proxy.resume()

    assert (api.status_code, page.status_code, ready.status_code, anew.status_code) == (503, 503, 503, 503)
    assert live.status_code == 200
    assert '"cause": "slow"' in log
    assert organization.get("/agent/all", key).status_code == 200
    assert server.http.get("/health/ready").status_code == 200


def test_readiness_answers_however_long_the_database_may_take(templates: Templates, tmp_path: Path) -> None:
    """An hour for each statement is no hour for a load balancer."""
    if lack := reachable():
        missing("tests on PostgreSQL", lack)
    with templates.fresh("postgresql", tmp_path) as url, through_proxy(url) as (address, proxy):
        proxy.start()
        with served(address, tmp_path, database_timeout_seconds=3600) as server:
            proxy.hang()
            ready = [server.http.get("/health/ready").status_code for _ in range(2)]
            proxy.resume()

            assert ready == [503, 503]
            assert server.http.get("/health/ready").status_code == 200
