"""Where apps send their authorization requests ahead (RFC 9126 section 2): who may, what is taken, and what is kept of it."""

from __future__ import annotations

import base64
from dataclasses import fields
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import credentials
from latchpin.kit.clock import Frozen
from latchpin.oauth import par
from latchpin.oauth.authorization_request import AuthorizationRequest
from latchpin.storage.models import PushedRequest
from tests.support.apps import CALLBACK, App, Apps
from tests.support.authorizing import PAR, Go
from tests.support.people import Organization

CONSENT = "wants to act for"


def _said(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]


def _kept(organization: Organization, app: App) -> list[PushedRequest]:
    async def work(session: AsyncSession) -> list[PushedRequest]:
        return list((await session.scalars(select(PushedRequest).where(PushedRequest.oauth_client_id == app.pk))).all())

    return organization.write(work)


def _count(organization: Organization) -> int:
    async def work(session: AsyncSession) -> int:
        return await session.scalar(select(func.count()).select_from(PushedRequest)) or 0

    return organization.write(work)


def test_a_sound_request_gets_a_reference_of_256_random_bits_for_a_minute(go: Go) -> None:
    """201 with `request_uri` and `expires_in`, which nobody stores (section 2.2)."""
    journey = go()
    responses = [journey.push() for _ in range(2)]

    for response in responses:
        assert response.status_code == 201
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Content-Type"] == "application/json"
        assert set(response.json()) == {"request_uri", "expires_in"}
        assert response.json()["expires_in"] == 60
        assert response.json()["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
        assert len(response.json()["request_uri"].removeprefix(par.PUSHED_PREFIX)) == 43  # base62 characters of 256 bits
    assert responses[0].json()["request_uri"] != responses[1].json()["request_uri"]


def test_an_app_proves_itself_as_at_the_token_endpoint(partners: Apps, go: Go) -> None:
    """With its secret in the header or in the form; a wrong secret is refused, and so is none (section 2)."""
    app = partners.register(confidential=True, auth_method="client_secret_basic")
    journey = go(app)
    form = {name: values[0] for name, values in parse_qs(journey.query()).items()}
    header = {"Authorization": "Basic " + base64.b64encode(f"{app.client_id}:{app.secret}".encode()).decode()}
    http = partners.server.http
    bare = {name: value for name, value in form.items() if name != "client_id"}

    in_header = http.post(PAR, data=bare, headers=header)  # which says who it is
    in_form = http.post(PAR, data={**form, "client_secret": app.secret or ""})

    for response in (in_header, in_form):
        assert response.status_code == 201
        assert CONSENT in journey.go_on(response.json()["request_uri"]).text
    assert _said(http.post(PAR, data=form)) == (401, "invalid_client")
    assert _said(http.post(PAR, data={**form, "client_secret": "lps_wrong"})) == (401, "invalid_client")


def test_an_unknown_app_is_refused(go: Go) -> None:
    """As everywhere (section 2.3)."""
    assert _said(go().push(client_id="app_unknown")) == (401, "invalid_client")
    assert _said(go().push(client_id=None)) == (400, "invalid_request")


def test_no_credential_is_kept(partners: Apps, go: Go, organization: Organization) -> None:
    """Nor the reference itself, nor anything that is not read (section 2.1; security.md 89)."""
    app = partners.register(confidential=True)
    journey = go(app)
    request_uri = journey.pushed(code_verifier="v" * 43, password="hunter2", username="ada", resource=organization.server.url)

    (row,) = _kept(organization, app)

    assert row.digest == credentials.token_digest(request_uri.removeprefix(par.PUSHED_PREFIX))
    params = parse_qs(row.parameters)
    assert set(params) == {
        "client_id",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
        "resource",
    }
    assert (app.secret or "") not in row.parameters
    assert request_uri not in row.parameters


def test_everything_that_is_read_of_a_request_can_be_sent_ahead(partners: Apps, go: Go, organization: Organization) -> None:
    """Each part of what is asked for reaches the authorization endpoint as it was sent."""
    app = partners.register(grant_types=("authorization_code", "refresh_token"))
    url = organization.server.url
    sent: dict[str, Any] = {
        "state": "a b+c&d=e ä€",
        "scope": "openid offline_access",
        "nonce": "n-1 &",
        "prompt": "login consent",
        "max_age": "7",
        "login_hint": "grace@example.com",
        "dpop_jkt": "A" * 43,
        "resource": [url, f"{url}/api/v1"],
        "response_mode": "query",
    }
    go(app).pushed(**sent)

    (row,) = _kept(organization, app)
    params = parse_qs(row.parameters)

    for name, value in sent.items():
        assert params[name] == (value if isinstance(value, list) else [value])
    parameter_names = {"scopes": "scope"}
    assert {parameter_names.get(each.name, each.name) for each in fields(AuthorizationRequest)} <= set(params)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"redirect_uri": CALLBACK + "/more"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"resource": "/relative"}, "invalid_target"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"dpop_jkt": "short"}, "invalid_request"),
        ({"state": ["one", "two"]}, "invalid_request"),
        ({"request": "a.b.c"}, "request_not_supported"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:abc"}, "invalid_request"),
        ({"request_uri": "https://partner.example/request"}, "invalid_request"),
    ],
)
def test_a_bad_request_is_refused_at_once(go: Go, organization: Organization, changes: dict[str, Any], error: str) -> None:
    """As JSON, before anybody's browser is sent anywhere; nothing is kept of it (section 2.3; security.md 89)."""
    journey = go()
    refused = journey.push(**changes)

    assert _said(refused) == (400, error)
    assert refused.json()["error_description"]
    assert refused.headers["Cache-Control"] == "no-store"
    assert _kept(organization, journey.app) == []


def test_an_app_without_the_code_flow_is_refused(partners: Apps, go: Go) -> None:
    """It could not do anything with the answer."""
    app = partners.register(grant_types=("urn:ietf:params:oauth:grant-type:device_code",), redirect_uris=(CALLBACK,))

    assert _said(go(app).push()) == (400, "unauthorized_client")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_taken(organization: Organization, method: str) -> None:
    """405, as JSON, with the method that is (section 2.3)."""
    response = organization.server.http.request(method, PAR)

    assert response.status_code == 405
    assert response.json()["error"] == "invalid_request"
    assert "POST" in response.headers["Allow"]


def test_a_request_that_is_too_large_is_refused(go: Go) -> None:
    """413 (section 2.3)."""
    response = go().push(state="x" * 60_000)

    assert _said(response) == (413, "invalid_request")


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_no_more_is_kept_than_a_browser_may_bring(go: Go, organization: Organization) -> None:
    """So that nobody fills the database with the help of an app that needs no secret; what came encoded counts as it is kept."""
    journey = go()

    assert journey.push(state="x" * 7000).status_code == 201
    assert _said(journey.push(state="x" * 9000)) == (400, "invalid_request")
    assert _said(journey.push(state='"' * 3000)) == (400, "invalid_request")
    assert len(_kept(organization, journey.app)) == 1


def test_another_kind_of_body_is_refused(organization: Organization) -> None:
    """JSON among them."""
    assert _said(organization.server.http.post(PAR, json={"client_id": "x"})) == (400, "invalid_request")


def test_an_app_is_limited_as_at_the_token_endpoint(serve: Any) -> None:
    """By app and address; the answer says when to come back (section 2.3)."""
    organization = Organization(serve(token_limit=3))
    app = Apps(organization).register()
    http = organization.server.http

    responses = [http.post(PAR, data=app.proof) for _ in range(4)]

    assert [response.status_code for response in responses] == [400, 400, 400, 429]
    assert responses[3].json()["error"] == "slow_down"
    assert 1 <= int(responses[3].headers["Retry-After"]) <= 60
    other = Apps(organization).register()
    assert http.post(PAR, data=other.proof).status_code == 400


def test_a_web_page_may_ask(organization: Organization) -> None:
    """Apps in browsers send ahead, too; the preflight is answered like the token endpoint's."""
    http = organization.server.http
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}

    ours, tokens = (http.options(path, headers=headers) for path in (PAR, "/api/oauth/token"))

    assert ours.status_code == tokens.status_code == 204
    for name in ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"):
        assert ours.headers[name] == tokens.headers[name]
    assert http.post(PAR, data={}).headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("required", [False, True])
def test_metadata_tells_where_and_whether(serve: Any, *, required: bool) -> None:
    """In both documents, and what they tell answers (section 5; security.md 81)."""
    server = serve(require_pushed_authorization_requests=required)

    for path in ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"):
        metadata = server.http.get(path).json()
        assert metadata["pushed_authorization_request_endpoint"] == server.url + PAR
        assert metadata["require_pushed_authorization_requests"] is required
        assert server.http.post(metadata["pushed_authorization_request_endpoint"], data={"client_id": "nobody"}).status_code == 401


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_what_was_sent_ahead_is_removed_when_it_has_run_out(serve: Any, clock: Frozen) -> None:
    """An hour later."""
    organization = Organization(serve())
    app = Apps(organization).register()
    form = {"redirect_uri": CALLBACK, "response_type": "code", "code_challenge": "A" * 43, "code_challenge_method": "S256"}
    assert organization.server.http.post(PAR, data={**app.proof, **form}).status_code == 201
    clock.advance(timedelta(hours=1))
    organization.write(par.purge_expired)
    assert _count(organization) == 1

    clock.advance(timedelta(minutes=1, seconds=1))
    organization.write(par.purge_expired)

    assert _count(organization) == 0
