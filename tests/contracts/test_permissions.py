"""Every route against every set of scopes, generated from the OpenAPI document (security.md 96, 97, 99)."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from litestar import Router, get

from latchpin import app, settings
from latchpin.api.routing import UndeclaredPermission
from latchpin.storage import secrets
from tests.contracts import routes
from tests.contracts.routes import SETS
from tests.support.people import Key, Organization
from tests.support.server import Server
from tests.support.signed_in import problem


@pytest.fixture(scope="module")
def keys(server: Server) -> dict[str, Key]:
    """An administrator's keys, one for each set of scopes."""
    return routes.keys_of_every_set(Organization(server))


def test_every_route_says_who_may_use_it() -> None:
    """A route is public, or open to keys with a scope, or for sessions only; and those below /api/v1 are never public."""
    for route in routes.every():
        assert route.is_public != route.path.startswith("/api/v1"), route.name
        assert route.scope in {None, *SETS}, route.name
        assert {"Session": []} in route.operation["security"] or route.is_public, route.name


def test_a_route_without_a_declared_permission_fails_at_start(tmp_path: Path) -> None:
    """Forgetting to say who may use a route stops the application, with the route's name (security.md 97)."""

    @get("/forgotten")
    async def forgotten() -> None:
        """Answer anybody."""

    with pytest.raises(UndeclaredPermission, match="/api/v1/forgotten"):
        app.build(settings.load({}, data_dir=tmp_path), secrets.generate(), also=[Router("/api/v1", route_handlers=[forgotten])])


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_route_opens_to_exactly_the_sets_that_carry_its_scope(server: Server, keys: dict[str, Key], subtests: pytest.Subtests) -> None:
    """Every other set gets 403 `insufficient_scope` with the scope needed, in the body and in WWW-Authenticate."""
    for route, (name, members) in itertools.product(routes.scoped(), SETS.items()):
        with subtests.test(route=route.name, key=name):
            response = server.http.request(route.method, route.filled(), headers=keys[name].header, params=route.query(), json=route.body)
            if route.scope in members:
                assert response.status_code not in (401, 403), response.text
                continue
            refusal = problem(response, 403, "insufficient_scope")
            assert refusal["scope"] == route.scope
            challenge = response.headers["www-authenticate"]
            assert challenge.startswith("Bearer ")
            assert 'error="insufficient_scope"' in challenge
            assert f'scope="{route.scope}"' in challenge


@pytest.mark.parametrize("name", ["read-only", "billing-only"])
def test_a_key_that_reads_opens_nothing_that_changes(server: Server, keys: dict[str, Key], name: str) -> None:
    """A read-only and a billing-only key get 403 on every route that is not a GET (security.md 97)."""
    changing = [route for route in routes.every() if route.method != "GET"]
    assert len(changing) > 15

    for route in changing:
        response = server.http.request(route.method, route.filled(), headers=keys[name].header, json=route.body)
        assert response.status_code == 403, (route.name, response.text)


def test_a_runs_only_key_opens_no_space_and_no_administration(server: Server, keys: dict[str, Key]) -> None:
    """What is open to a runs-only key is agents and their runs, and nothing else."""
    opened = {
        route.path
        for route in routes.every()
        if not route.is_public
        and server.http.request(
            route.method, route.filled(), headers=keys["runs-only"].header, params=route.query(), json=route.body
        ).status_code
        != 403
    }

    assert opened == {route.path for route in routes.scoped() if str(route.scope).startswith(("agents:", "runs:"))}


def test_no_api_key_opens_administration(server: Server, keys: dict[str, Key], subtests: pytest.Subtests) -> None:
    """Not even an administrator's full key; the answer says where it is done (security.md 99)."""
    for route in routes.administration():
        with subtests.test(route=route.name):
            response = server.http.request(route.method, route.filled(), headers=keys["full"].header, json=route.body)

            assert "Control Center" in problem(response, 403, "credential_not_allowed")["detail"]


def test_nothing_opens_without_a_credential_unless_it_says_so(server: Server, subtests: pytest.Subtests) -> None:
    """No credential is 401 with a challenge, on every route that is not public."""
    for route in routes.every():
        with subtests.test(route=route.name):
            response = server.http.request(route.method, route.filled(), params=route.query(), json=route.body)

            if route.is_public:
                assert response.status_code == 200
            else:
                problem(response, 401, "unauthenticated")
                assert "ApiKey" in response.headers["www-authenticate"]
                assert "Bearer" in response.headers["www-authenticate"]
