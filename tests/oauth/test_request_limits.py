"""What is open to anybody takes little of it: bounded bodies and parameters, requests by subnet, and rows by the hour."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit.clock import Frozen
from latchpin.oauth import request_limits
from latchpin.oauth.params import MOST_BODY_BYTES, MOST_RESOURCES
from latchpin.storage.models import AuditEvent, DeviceCode, OAuthClient, PushedRequest
from latchpin.storage.models.oauth_client import ClientSource
from tests.oauth.test_registration import NATIVE, PATH, register
from tests.support.apps import CALLBACK, Apps
from tests.support.people import Organization
from tests.support.server import Server

DEVICE = "/api/oauth/device_authorization"
PAR = "/api/oauth/par"
CLI = {"client_id": "latchpin-cli"}
PROXY = {"trusted_proxies": (ipaddress.ip_network("127.0.0.0/8"),)}
FORMS = [
    DEVICE,
    PAR,
    "/api/oauth/token",
    "/api/oauth/introspect",
    "/api/oauth/revoke",
    "/api/oauth/userinfo",
    "/api/oauth/authorize",
    "/api/oauth/logout",
    "/login",
    "/setup/none",
]
Serve = Callable[..., Server]


def rows(server: Server, table: Any, *where: Any) -> int:
    """Count rows."""

    async def work() -> int:
        async with server.database.read() as session:
            return await session.scalar(select(func.count()).select_from(table).where(*where)) or 0

    return server.run(work())


def from_subnet(server: Server, path: str, data: dict[str, Any], address: str) -> httpx.Response:
    """Post a form through the proxy, for a client with this address."""
    return server.http.post(path, data=data, headers={"X-Forwarded-For": address})


def pushed(client_id: str) -> dict[str, str]:
    """The form of a sound request that is sent ahead."""
    return {
        "client_id": client_id,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "agents:read",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
    }


def test_a_device_that_asks_for_55_long_resources_leaves_nothing(organization: Organization) -> None:
    """880 KB in one request of an app that everybody can name."""
    server, before = organization.server, rows(organization.server, DeviceCode)

    response = server.http.post(DEVICE, data={**CLI, "resource": [f"https://a.example/{number}/{'x' * 16_000}" for number in range(55)]})

    assert response.status_code == 413, response.text
    assert str(MOST_BODY_BYTES) in response.json()["error_description"]
    assert rows(server, DeviceCode) == before


@pytest.mark.parametrize(
    ("resources", "status"),
    [
        (["https://a.example/" + "x" * 482], 200),
        (["https://a.example/" + "x" * 483], 400),
        ([f"https://a.example/{number}" for number in range(MOST_RESOURCES)], 200),
        ([f"https://a.example/{number}" for number in range(MOST_RESOURCES + 1)], 400),
        (["https://a.example/"] * (MOST_RESOURCES + 1), 400),
    ],
)
def test_resources_are_few_and_short(organization: Organization, resources: list[str], status: int) -> None:
    """However often each is named (RFC 8707 section 2: invalid_target)."""
    response = organization.server.http.post(DEVICE, data={**CLI, "resource": resources})

    assert response.status_code == status, response.text
    assert status == 200 or response.json()["error"] == "invalid_target"


@pytest.mark.parametrize("parameter", [{"nonsense": "x" * 10_001}, {"x" * 101: "nonsense"}, {str(each): "x" for each in range(61)}])
@pytest.mark.parametrize("path", [DEVICE, PAR, "/api/oauth/token", "/api/oauth/introspect", "/api/oauth/revoke"])
def test_parameters_are_few_and_short(organization: Organization, path: str, parameter: dict[str, str]) -> None:
    """Also those that nobody reads."""
    response = organization.server.http.post(path, data={**CLI, **parameter})

    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("path", FORMS)
def test_a_body_above_50_kb_is_not_read(organization: Organization, path: str) -> None:
    """Of no form that anybody may send."""
    ours = {"Origin": organization.server.url, "Sec-Fetch-Site": "same-origin"}

    response = organization.server.http.post(path, data={"client_id": "x" * MOST_BODY_BYTES}, headers=ours)

    assert response.status_code == 413, response.text


def test_every_route_that_anybody_may_post_to_bounds_its_body(organization: Organization) -> None:
    """Those outside the API, behind no browser session; a new one is among them by itself."""
    body_limits = {
        (route.path, method): handler.resolve_request_max_body_size()
        for route in organization.server.application.litestar.routes
        if not route.path.startswith("/api/v1")
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler) and "ctx" not in handler.resolve_dependencies()
        for method in handler.http_methods - {"GET", "HEAD", "OPTIONS"}
    }

    assert {path for path, _ in body_limits} >= {DEVICE, PAR, "/login", "/api/oauth/authorize", PATH}
    assert {where: most for where, most in body_limits.items() if most is None or most > MOST_BODY_BYTES} == {}


def test_an_authorization_request_is_as_long_by_link_as_by_form(organization: Organization) -> None:
    """What a browser brings by itself travels on or is kept, so it is bounded before anything is done with it."""
    app = Apps(organization).register()

    response = organization.server.http.get("/api/oauth/authorize", params={**pushed(app.client_id), "state": "x" * 8000})

    assert response.status_code == 400
    assert "too long" in response.text


def test_ten_apps_of_one_subnet_do_not_ask_ten_times_as_often(serve: Serve) -> None:
    """Each app has its limit, and their subnet has one of its own, at every endpoint that apps call; another subnet is not affected."""
    server = serve(token_limit=2, rate_limit=2, **PROXY)
    form = {"grant_type": "refresh_token", "refresh_token": "lpr_none", "token": "none"}
    for path in (DEVICE, PAR, "/api/oauth/token", "/api/oauth/revoke"):
        statuses = [
            from_subnet(server, path, {**form, "client_id": f"app-{number}"}, "2001:db8:1:1::" + str(number)).status_code
            for number in range(10)
            for _ in range(2)
        ]

        most = 2 * request_limits.APPS_PER_SUBNET
        assert 429 not in statuses[:most]
        assert set(statuses[most:]) == {429}
        assert from_subnet(server, path, {**form, "client_id": "app-0"}, "2001:db8:1:2::1").status_code != 429


def test_self_registered_resource_servers_ask_as_often_as_others(serve: Serve) -> None:
    """Introspection is for apps that prove themselves, and anybody can register one that does."""
    server = serve(rate_limit=3)
    registration = register(server, token_endpoint_auth_method="client_secret_post").json()
    form = {"client_id": registration["client_id"], "client_secret": registration["client_secret"], "token": "none"}

    statuses = [server.http.post("/api/oauth/introspect", data=form).status_code for _ in range(4)]

    assert statuses == [200, 200, 200, 429]


@pytest.mark.parametrize(("path", "table"), [(DEVICE, DeviceCode), (PAR, PushedRequest)])
def test_rows_that_anybody_leaves_are_bounded_by_the_hour(serve: Serve, clock: Frozen, path: str, table: Any) -> None:
    """By client subnet, and for all subnets together; the next hour begins anew."""
    server = serve(pending_limit=2, **PROXY)
    form = CLI if path == DEVICE else pushed(Apps(Organization(server)).register().client_id)

    statuses = [from_subnet(server, path, form, f"192.0.2.{number // 4}").status_code for number in range(4 * 25)]

    assert statuses[:4] == [200 if path == DEVICE else 201] * 2 + [429] * 2
    assert statuses[-4:] == [429] * 4
    assert rows(server, table) == 2 * request_limits.SUBNETS
    clock.advance(timedelta(hours=1, seconds=1))
    assert from_subnet(server, path, form, "192.0.2.1").is_success


def test_an_app_that_administrators_entered_and_that_proves_itself_is_not_held_up(serve: Serve) -> None:
    """Its limit is that of its requests."""
    organization = Organization(serve(pending_limit=1))
    app = Apps(organization).register(confidential=True)

    statuses = [organization.server.http.post(PAR, data={**pushed(app.client_id), **app.proof}).status_code for _ in range(3)]

    assert statuses == [201] * 3


def test_registrations_of_all_subnets_are_bounded_by_the_hour(serve: Serve) -> None:
    """Also where each app is removed at once, which leaves its rows in the audit trail."""
    server = serve(registration_limit=1, **PROXY)
    statuses = []
    for number in range(25):
        headers = {"X-Forwarded-For": f"192.0.2.{number}"}
        response = server.http.post(PATH, json=NATIVE, headers=headers)
        statuses.append(response.status_code)
        if response.status_code == 201:
            token = {"Authorization": f"Bearer {response.json()['registration_access_token']}"}
            assert server.http.delete(f"{PATH}/{response.json()['client_id']}", headers={**headers, **token}).status_code == 204

    assert statuses == [201] * request_limits.SUBNETS + [429] * 5
    assert rows(server, OAuthClient, OAuthClient.source == ClientSource.DYNAMIC) == request_limits.SUBNETS


def test_a_long_key_set_is_not_kept(organization: Organization) -> None:
    """What a key has beside its members is kept with it."""
    key = {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}
    key |= {"y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "note": "x" * 20_000}

    response = register(organization.server, token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key]})

    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")


def test_an_app_that_changes_long_texts_leaves_short_rows_in_the_trail(organization: Organization) -> None:
    """A long value is told by its beginning and its digest."""
    server = organization.server
    registration = register(server).json()
    addresses = [f"http://127.0.0.1/{number}/{'x' * 1900}" for number in range(20)]
    token = {"Authorization": f"Bearer {registration['registration_access_token']}"}
    body = {**NATIVE, "client_id": registration["client_id"], "redirect_uris": addresses}
    assert server.http.put(f"{PATH}/{registration['client_id']}", json=body, headers=token).status_code == 200

    async def changes(session: AsyncSession) -> str:
        query = select(AuditEvent.changes).where(AuditEvent.action == "client.changed").order_by(AuditEvent.id.desc()).limit(1)
        return await session.scalar(query) or ""

    recorded_changes = organization.write(changes)
    assert len(recorded_changes) < 2000
    assert "SHA-256" in recorded_changes
    assert "http://127.0.0.1/0/xxx" in recorded_changes
