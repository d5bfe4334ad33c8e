"""An app gives back what it does not need any more (RFC 7009)."""

from __future__ import annotations

import httpx
import pytest

from tests.support.apps import App, Apps
from tests.support.people import Organization
from tests.support.tokens import reasons
from tests.support.wire import audit

pytestmark = pytest.mark.both_databases("families end by updates with subqueries")

REVOKE = "/api/oauth/revoke"


def revoke(organization: Organization, app: App, token: str, **more: str) -> httpx.Response:
    """Revoke a token as an app."""
    return organization.server.http.post(REVOKE, data={"token": token, **app.proof, **more})


def test_a_refresh_token_takes_its_access_tokens_along(organization: Organization) -> None:
    """The next request with the access token is refused, and so is a refresh (security.md 64)."""
    apps = Apps(organization)
    app = apps.register()
    tokens = apps.tokens(app)
    assert apps.get("/spaces", tokens).status_code == 200

    assert revoke(organization, app, tokens.refresh).status_code == 200

    assert apps.get("/spaces", tokens).status_code == 401
    refused = apps.refresh(app, tokens.refresh)
    assert refused.json() == {"error": "invalid_grant", "error_description": "Refresh token is invalid or expired"}
    assert reasons(organization, "grant.ended") == ["revoked by the app"]


def test_a_spent_refresh_token_ends_its_family_too(organization: Organization) -> None:
    """The app wants to be signed out, though the answer of its last refresh was lost."""
    apps = Apps(organization)
    app = apps.register()
    first = apps.tokens(app)
    second = apps.refresh(app, first.refresh).json()["refresh_token"]

    assert revoke(organization, app, first.refresh).status_code == 200

    assert apps.refresh(app, second).json()["error"] == "invalid_grant"


def test_a_revoked_access_token_is_refused_from_the_next_request_on(organization: Organization) -> None:
    """The token itself ends, not the grant: a refresh gives another (security.md 65)."""
    apps = Apps(organization)
    app = apps.register()
    tokens = apps.tokens(app)
    assert apps.get("/spaces", tokens).status_code == 200

    assert revoke(organization, app, tokens.access, token_type_hint="access_token").status_code == 200

    refused = apps.get("/spaces", tokens)
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
    again = apps.refresh(app, tokens.refresh).json()["access_token"]
    response = organization.server.http.get("/api/v1/spaces", headers={"Authorization": f"Bearer {again}"})
    assert response.status_code == 200
    assert len(audit(organization, "grant.token_revoked", organization_id=organization.id)) == 1


def test_revoking_twice_is_no_mistake(organization: Organization) -> None:
    """An app that did not get the answer asks again."""
    apps = Apps(organization)
    app = apps.register()
    tokens = apps.tokens(app)

    responses = [revoke(organization, app, token) for token in (tokens.access, tokens.access, tokens.refresh, tokens.refresh)]

    assert {each.status_code for each in responses} == {200}
    assert len(audit(organization, "grant.token_revoked", organization_id=organization.id)) == 1


def test_unknown_tokens_get_the_same_answer(organization: Organization) -> None:
    """Nobody learns which token exists (security.md 64)."""
    app = Apps(organization).register()

    responses = [revoke(organization, app, token) for token in ("junk", "lpr_junk", "a.b.c")]

    assert {(each.status_code, each.text) for each in responses} == {(200, "{}")}


def test_tokens_of_another_app_are_left_alone(organization: Organization) -> None:
    """The answer is the same, and nothing happens (security.md 64)."""
    apps = Apps(organization)
    app, stranger = apps.register(), apps.register()
    tokens = apps.tokens(app)

    assert revoke(organization, stranger, tokens.access).status_code == 200
    assert revoke(organization, stranger, tokens.refresh).status_code == 200

    assert apps.get("/spaces", tokens).status_code == 200
    assert apps.refresh(app, tokens.refresh).status_code == 200


def test_a_confidential_app_must_prove_itself(organization: Organization) -> None:
    """Its client_id alone ends nothing (security.md 64)."""
    apps = Apps(organization)
    app = apps.register(confidential=True)
    tokens = apps.tokens(app)

    refused = organization.server.http.post(REVOKE, data={"token": tokens.refresh, "client_id": app.client_id})

    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert apps.get("/spaces", tokens).status_code == 200


def test_a_public_app_must_say_who_it_is(organization: Organization) -> None:
    """As at the token endpoint."""
    refused = organization.server.http.post(REVOKE, data={"token": "junk"})

    assert refused.status_code == 400
    assert refused.json() == {"error": "invalid_request", "error_description": "client_id is required"}


def test_an_api_key_is_not_revoked_here(organization: Organization) -> None:
    """Whoever asks is told where instead of believing it done."""
    app, key = Apps(organization).register(), organization.key()

    refused = revoke(organization, app, key.secret)

    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_token_type")
    assert organization.get("/spaces", key).status_code == 200


def test_a_web_page_may_ask(organization: Organization) -> None:
    """Browser apps revoke their tokens themselves (security.md 15)."""
    response = organization.server.http.options(REVOKE, headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"})

    assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (204, "*")
