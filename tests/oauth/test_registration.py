"""Apps register themselves (RFC 7591), where the deployment lets them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit.clock import Frozen
from latchpin.oauth import client_admin, registration
from latchpin.storage.models import OAuthClient
from latchpin.storage.models.oauth_client import ClientSource
from tests.support.apps import App, Apps
from tests.support.authorizing import Journey
from tests.support.documents import RSA_KEY
from tests.support.people import Organization
from tests.support.server import Server

NATIVE_CALLBACK = "http://127.0.0.1/callback"
PATH = "/api/oauth/register"
METADATA = "/.well-known/oauth-authorization-server"
NATIVE = {
    "client_name": "Desk app",
    "redirect_uris": ["http://127.0.0.1/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
    "application_type": "native",
}
Serve = Callable[..., Server]


def register(server: Server, token: str | None = None, **changes: Any) -> httpx.Response:
    """Register the native app, with what the test says differently; None leaves a member out."""
    body = {name: value for name, value in (NATIVE | changes).items() if value is not None}
    return server.http.post(PATH, json=body, headers={"Authorization": f"Bearer {token}"} if token else {})


def test_an_app_registers_and_gets_tokens_for_a_user(organization: Organization) -> None:
    """A registered app is an app like any other."""
    response = register(organization.server)
    apps, app = Apps(organization), response.json()
    organization.agent("Book prices")

    tokens = apps.tokens(as_app(organization, app["client_id"]), redirect_uri="http://127.0.0.1/callback")

    assert response.status_code == 201, response.text
    assert [each["name"] for each in apps.get("/agent/all", tokens).json()] == ["Book prices"]


def test_the_answer_holds_what_was_registered(organization: Organization, clock: Frozen) -> None:
    """With the time of issue, and how the app looks after its entry (security.md 79, RFC 7591 section 3.2.1)."""
    response = register(organization.server)
    registration = response.json()

    assert {name: registration[name] for name in NATIVE} == NATIVE
    assert registration["client_id_issued_at"] == int(clock._at)
    assert registration["registration_client_uri"] == f"{organization.server.url}{PATH}/{registration['client_id']}"
    assert "client_secret" not in registration
    assert response.headers["cache-control"] == "no-store"


def test_generated_client_ids_are_no_addresses(organization: Organization) -> None:
    """A client_id that begins with https:// is a metadata document (security.md 77)."""
    client_ids = [register(organization.server).json()["client_id"] for _ in range(5)] + [client_admin.new_client_id() for _ in range(100)]

    assert len(set(client_ids)) == 105
    assert not any(each.startswith("http") or each.isdigit() for each in client_ids)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", None])
def test_a_confidential_app_gets_a_secret_once(organization: Organization, method: str | None) -> None:
    """It does not run out. Who says nothing authenticates by Basic (RFC 7591 section 2)."""
    registration = register(organization.server, token_endpoint_auth_method=method).json()

    assert registration["token_endpoint_auth_method"] == (method or "client_secret_basic")
    assert registration["client_secret_expires_at"] == 0
    assert len(registration["client_secret"]) > 40


def test_an_app_may_prove_itself_by_its_own_key(organization: Organization) -> None:
    """private_key_jwt with public keys."""
    response = register(organization.server, token_endpoint_auth_method="private_key_jwt", jwks={"keys": [RSA_KEY.as_dict(private=False)]})

    assert response.status_code == 201, response.text
    assert response.json()["jwks"]["keys"][0]["n"] == RSA_KEY.as_dict(private=False)["n"]


def test_an_app_can_bind_itself_to_more(organization: Organization) -> None:
    """To requests sent ahead (RFC 9126 section 6) and to tokens with proof of a key (RFC 9449 section 5.2); by default to neither."""
    flags: dict[str, Any] = {"require_pushed_authorization_requests": True, "dpop_bound_access_tokens": True}

    strict, plain = register(organization.server, **flags).json(), register(organization.server).json()

    assert {name: strict[name] for name in flags} == flags
    assert [plain[name] for name in flags] == [False, False]


def test_an_app_that_must_send_ahead_is_refused_otherwise(organization: Organization) -> None:
    """It has said so itself (security.md 89)."""
    registration = register(organization.server, require_pushed_authorization_requests=True).json()
    journey = Journey(Apps(organization), as_app(organization, registration["client_id"]), organization.admin, redirect_uri=NATIVE_CALLBACK)
    with closing(journey.browser.http):
        refused, taken = journey.ask(), journey.go_on(journey.pushed())

    assert refused.status_code == 400
    assert "ahead" in refused.text
    assert "wants to act for" in taken.text


def test_an_app_that_only_trades_codes_is_accepted(organization: Organization) -> None:
    """Without refresh tokens, said or by default (security.md 79)."""
    for grant_types in (["authorization_code"], None):
        registration = register(organization.server, grant_types=grant_types, response_types=None, scope="agents:read").json()

        assert registration["grant_types"] == ["authorization_code"]
        assert registration["scope"] == "agents:read"


def test_unknown_metadata_is_ignored(organization: Organization) -> None:
    """RFC 7591 section 2 (security.md 79)."""
    response = register(organization.server, software_statement_of_tomorrow={"a": [1]}, logo_uri="http://10.0.0.1/logo.png", contacts=[1])

    assert response.status_code == 201
    assert not {"software_statement_of_tomorrow", "logo_uri", "contacts"} & response.json().keys()


@pytest.mark.parametrize(
    ("app_kind", "uri"),
    [
        ("web", "com.example.app:/callback"),
        ("web", "cursor://anysphere.cursor-mcp/oauth/callback"),
        ("web", "http://partner.example/callback"),
        ("native", "http://partner.example/callback"),
        ("native", "https://partner.example/callback#fragment"),
        ("native", "https://*.partner.example/callback"),
        ("native", "https://user@partner.example/callback"),
        ("native", "javascript:alert(1)"),
        ("native", "data:text/html,x"),
        ("native", "file:///etc/passwd"),
        ("native", "ms-settings:/callback"),
        ("native", "/callback"),
        (None, "http://partner.example/callback"),
    ],
)
def test_redirect_addresses_must_fit_the_kind_of_app(organization: Organization, app_kind: str | None, uri: str) -> None:
    """Local programs are native, and plain http goes to the loopback address only (security.md 6, 79)."""
    response = register(organization.server, application_type=app_kind, redirect_uris=["https://partner.example/fine", uri])

    assert (response.status_code, response.json()["error"]) == (400, "invalid_redirect_uri")


def test_the_kind_of_an_app_is_seen_by_its_addresses(organization: Organization) -> None:
    """Where it does not say; and a loopback address makes it native where it says web, which the answer tells (security.md 79)."""
    web, local, own = "https://partner.example/callback", "http://localhost:3000/callback", "com.example.app:/callback"
    cases: list[tuple[str | None, list[str], str]] = [
        (None, [web], "web"),
        (None, [local], "native"),
        (None, [own], "native"),
        ("", [local], "native"),
        ("web", [web], "web"),
        ("web", [local], "native"),
        ("web", ["http://127.0.0.1/callback", web], "native"),
        ("web", ["http://[::1]:8400/callback"], "native"),
        ("native", [web], "native"),
    ]

    for application_type, uris, kind in cases:
        registration = register(organization.server, application_type=application_type, redirect_uris=uris).json()
        assert registration["application_type"] == kind, (application_type, uris)
        assert any("application_type is native" in note for note in registration["latchpin_notes"]) is (
            application_type == "web" != kind
        ), (application_type, uris)


def test_empty_text_and_null_count_as_not_sent(organization: Organization) -> None:
    """Many libraries write out what they have not set (RFC 7591 section 2)."""
    plain = {name: NATIVE[name] for name in ("redirect_uris", "client_name")}
    members = [
        *("scope", "client_uri", "logo_uri", "jwks", "jwks_uri", "post_logout_redirect_uris", "grant_types", "response_types"),
        *("token_endpoint_auth_method", "application_type", "software_id", "client_secret_expires_at"),
        *("require_pushed_authorization_requests", "dpop_bound_access_tokens"),
    ]
    http, varying = organization.server.http, {"client_id", "client_id_issued_at", "client_secret"}
    varying |= {"registration_access_token", "registration_client_uri"}

    def entry(metadata: dict[str, Any]) -> dict[str, Any]:
        response = http.post(PATH, json=metadata)
        assert response.status_code == 201, (metadata, response.text)
        return {name: value for name, value in response.json().items() if name not in varying}

    expected = entry(plain)
    for nothing in ("", None):
        assert entry(plain | dict.fromkeys(members, nothing)) == expected
        assert entry({"redirect_uris": NATIVE["redirect_uris"], "client_name": nothing})["client_name"] == "App at 127.0.0.1"


def test_an_app_on_a_device_may_have_a_scheme_without_a_dot(organization: Organization) -> None:
    """As Cursor has; its users are warned and asked each time, since another app can take the scheme as well (RFC 8252 section 8.4)."""
    uri = "cursor://anysphere.cursor-mcp/oauth/callback"
    registration = register(organization.server, application_type=None, redirect_uris=[uri]).json()
    apps = Apps(organization)
    journey = Journey(apps, as_app(organization, registration["client_id"]), organization.admin, redirect_uri=uri)
    with closing(journey.browser.http):
        for _ in range(2):
            page = journey.ask()
            assert "This program runs on your computer" in page.text
            assert "the program that opens <strong>cursor:</strong> addresses" in page.text
            assert journey.agree(page).status_code in (200, 303)

    refused = register(organization.server, redirect_uris=[uri], token_endpoint_auth_method="client_secret_basic")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_redirect_uri")
    assert "has a secret" in refused.json()["error_description"]


def test_the_answer_says_how_to_get_refresh_tokens(organization: Organization) -> None:
    """To an app that registered for them and not for the scope that gives them; nothing where there is nothing to say."""
    for scope, grants, expected in (
        (None, ["authorization_code", "refresh_token"], True),
        ("agents:read", ["authorization_code", "refresh_token"], True),
        ("agents:read offline_access", ["authorization_code", "refresh_token"], False),
        ("agents:read", ["authorization_code"], False),
    ):
        registration = register(organization.server, scope=scope, grant_types=grants).json()
        assert any("offline_access" in note for note in registration.get("latchpin_notes", [])) is expected, (scope, grants)
        own = {"Authorization": f"Bearer {registration['registration_access_token']}"}
        current = organization.server.http.get(f"{PATH}/{registration['client_id']}", headers=own).json()
        assert current.get("latchpin_notes") == registration.get("latchpin_notes")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://partner.example/callback"}, "invalid_redirect_uri"),
        ({"redirect_uris": [1]}, "invalid_redirect_uri"),
        ({"redirect_uris": [f"https://partner.example/{number}" for number in range(21)]}, "invalid_redirect_uri"),
        ({"grant_types": ["authorization_code", "client_credentials"]}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"grant_types": ["password"]}, "invalid_client_metadata"),
        ({"grant_types": "authorization_code"}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": ["none"]}, "invalid_client_metadata"),
        ({"application_type": "service"}, "invalid_client_metadata"),
        ({"client_name": "x" * 201}, "invalid_client_metadata"),
        ({"client_name": "two\nlines"}, "invalid_client_metadata"),
        ({"client_name": {"a": 1}}, "invalid_client_metadata"),
        ({"scope": "everything:write"}, "invalid_client_metadata"),
        ({"scope": ["agents:read"]}, "invalid_client_metadata"),
        ({"client_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
        ({"jwks_uri": "ftp://partner.example/keys"}, "invalid_client_metadata"),
        ({"require_pushed_authorization_requests": "true"}, "invalid_client_metadata"),
        ({"dpop_bound_access_tokens": 1}, "invalid_client_metadata"),
        ({"jwks": {"keys": []}}, "invalid_client_metadata"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}, "invalid_client_metadata"),
        ({"jwks": {"keys": [RSA_KEY.as_dict(private=True)]}}, "invalid_client_metadata"),
        ({"jwks": {"keys": [{"kty": "RSA", "n": "!", "e": "AQAB"}]}}, "invalid_client_metadata"),
    ],
)
def test_unsound_metadata_is_refused(organization: Organization, said: dict[str, Any], error: str) -> None:
    """In the words of RFC 7591 section 3.2.2; client_credentials is given by administrators only."""
    response = register(organization.server, **said)

    assert (response.status_code, response.json()["error"]) == (400, error)
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"client_name=x", "application/x-www-form-urlencoded", 400),
        (b'{"client_name":"' + b"x" * 50_000 + b'"}', "application/json", 413),
    ],
)
def test_a_body_that_is_no_metadata_is_refused(organization: Organization, body: bytes, content_type: str, status: int) -> None:
    """And a long one is not read."""
    response = organization.server.http.post(PATH, content=body, headers={"Content-Type": content_type})

    assert response.status_code == status
    assert "error" in response.json()


def test_registration_can_be_off(serve: Serve) -> None:
    """Then it is neither there nor advertised (security.md 78, 81)."""
    server = serve(registration="off")

    assert "registration_endpoint" not in server.http.get(METADATA).json()
    assert register(server).status_code == 404
    assert server.http.get(f"{PATH}/app_1").status_code == 404


def test_registration_can_ask_for_a_token(serve: Serve) -> None:
    """The initial access token of RFC 7591 section 3 (security.md 78, 81)."""
    token = "t" * 40
    server = serve(registration="token", registration_token=token)

    refused = [register(server), register(server, "wrong"), register(server, token[:-1]), register(server, token.upper())]

    assert server.http.get(METADATA).json()["registration_endpoint"] == f"{server.url}{PATH}"
    assert [each.status_code for each in refused] == [401] * 4
    assert refused[0].headers["www-authenticate"].startswith("Bearer")
    assert register(server, token).status_code == 201


def test_registration_can_be_open(server: Server) -> None:
    """Which is the default, advertised and true (security.md 78, 81)."""
    assert server.http.get(METADATA).json()["registration_endpoint"] == f"{server.url}{PATH}"
    assert register(server).status_code == 201


def test_an_address_registers_so_many_an_hour(serve: Serve, clock: Frozen) -> None:
    """Ten by default, whatever comes of them (security.md 78)."""
    server = serve(registration_limit=3)

    responses = [register(server, grant_types=grants) for grants in (None, ["implicit"], None, None)]
    clock.advance(timedelta(hours=1, seconds=1))

    assert [each.status_code for each in responses] == [201, 400, 201, 429]
    assert int(responses[-1].headers["retry-after"]) > 3000
    assert register(server).status_code == 201


def test_so_many_apps_register_in_all(serve: Serve) -> None:
    """However many addresses they come from (security.md 78)."""
    server = serve(registration_most=2)

    responses = [register(server) for _ in range(3)]

    assert [each.status_code for each in responses] == [201, 201, 503]
    assert responses[-1].json()["error"] == "temporarily_unavailable"


def test_an_unused_app_is_removed_after_a_day(serve: Serve, clock: Frozen) -> None:
    """And one that somebody let in stays (security.md 78)."""
    server = serve()
    organization = Organization(server)
    apps, used, unused = Apps(organization), register(server).json(), register(server).json()
    apps.tokens(as_app(organization, used["client_id"]), redirect_uri="http://127.0.0.1/callback")

    organization.write(registration.purge_expired)
    early = count(organization)
    clock.advance(timedelta(hours=24, seconds=1))
    organization.write(registration.purge_expired)

    assert (early, count(organization)) == (2, 1)
    assert apps.redeem(App(0, unused["client_id"]), apps.code(apps.register())).json()["error"] == "invalid_client"


def test_a_web_page_may_register_an_app(server: Server) -> None:
    """Apps that run in browsers do."""
    preflight = server.http.options(PATH, headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"})

    assert preflight.status_code == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert register(server).headers["access-control-allow-origin"] == "*"


def as_app(organization: Organization, client_id: str) -> App:
    """Return an app that made itself known."""

    async def work(session: AsyncSession) -> App:
        pk = await session.scalar(select(OAuthClient.id).where(OAuthClient.client_id == client_id))
        return App(pk or 0, client_id)

    return organization.write(work)


def count(organization: Organization) -> int:
    """Return how many self-registered apps there are."""

    async def work(session: AsyncSession) -> int:
        return await session.scalar(select(func.count()).where(OAuthClient.source == ClientSource.DYNAMIC)) or 0

    return organization.write(work)
