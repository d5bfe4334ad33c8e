"""Who signed in, for an app that was granted `openid` (OpenID Connect Core section 5.3)."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from latchpin.kit.clock import Frozen
from tests.support.apps import OFFLINE, Apps, Tokens
from tests.support.people import Organization
from tests.support.tokens import claims, reasons, resource
from tests.support.wire import audit

USERINFO = "/api/oauth/userinfo"
OPEN = f"{OFFLINE} openid profile email"


def ask(organization: Organization, tokens: Tokens) -> httpx.Response:
    """Ask with an access token."""
    return organization.server.http.get(USERINFO, headers=tokens.header)


def test_it_tells_what_the_scopes_allow(organization: Organization) -> None:
    """`openid` gives the subject, `profile` the name, `email` the address."""
    apps = Apps(organization)
    app, admin = apps.register(), organization.admin

    assert ask(organization, apps.tokens(app, scope="openid")).json() == {"sub": str(admin.id)}
    assert ask(organization, apps.tokens(app, scope="openid profile")).json() == {"sub": str(admin.id), "name": admin.full_name}
    assert ask(organization, apps.tokens(app, scope="openid email")).json() == {
        "sub": str(admin.id),
        "email": admin.email,
        "email_verified": False,
    }


def test_asking_is_a_use_of_the_token(organization: Organization) -> None:
    """The audit trail tells who asked who signed in, as of any other route."""
    apps = Apps(organization)
    tokens = apps.tokens(apps.register(), scope="openid")

    assert ask(organization, tokens).status_code == 200

    assert reasons(organization, "access_token.used") == ["GET /api/oauth/userinfo"]


def test_the_subject_is_the_id_tokens(organization: Organization) -> None:
    """Apps compare the two (section 5.3.2)."""
    apps = Apps(organization)
    tokens = apps.tokens(apps.register(), organization.user(), scope=OPEN)

    assert ask(organization, tokens).json()["sub"] == claims(tokens.answer["id_token"])["sub"]


def test_a_narrowed_token_is_told_no_more_than_it_says(organization: Organization) -> None:
    """The grant's other scopes do not count."""
    apps = Apps(organization)
    app = apps.register()
    narrowed = Tokens(apps.refresh(app, apps.tokens(app, scope=OPEN).refresh, scope="openid profile").json())

    assert set(ask(organization, narrowed).json()) == {"sub", "name"}


def test_post_works_with_the_token_in_the_header(organization: Organization) -> None:
    """Section 5.3.1 asks for both methods."""
    apps = Apps(organization)
    tokens = apps.tokens(apps.register(), scope="openid")

    response = organization.server.http.post(USERINFO, headers=tokens.header)

    assert response.json() == {"sub": str(organization.admin.id)}
    assert response.headers["Cache-Control"] == "no-store"


def test_without_openid_it_is_closed(organization: Organization) -> None:
    """403 with the scope that is needed (security.md 51)."""
    apps = Apps(organization)

    refused = ask(organization, apps.tokens(apps.register()))

    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    organization.server.flush()
    (row,) = audit(organization, "access_token.used", organization_id=organization.id)
    assert (row.outcome, row.reason) == ("refused", f"GET {USERINFO}: needs the scope openid")
    assert 'scope="openid"' in refused.headers["WWW-Authenticate"]


def test_without_a_token_it_says_how_to_come_in(organization: Organization) -> None:
    """No error where no credential was sent (security.md 52)."""
    refused = organization.server.http.get(USERINFO)

    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith('Bearer realm="latchpin", scope="openid", resource_metadata="http')


@pytest.mark.parametrize("end", ["expired", "revoked"])
def test_an_ended_token_is_refused(organization: Organization, clock: Frozen, end: str) -> None:
    """401, so that the app refreshes; never 403 or 200 (security.md 49)."""
    apps = Apps(organization)
    app = apps.register()
    tokens = apps.tokens(app, scope=OPEN)
    if end == "expired":
        clock.advance(timedelta(minutes=15))
    else:
        organization.server.http.post("/api/oauth/revoke", data={"token": tokens.access, **app.proof})

    refused = ask(organization, tokens)

    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


def test_a_token_for_another_resource_and_an_id_token_are_refused(organization: Organization) -> None:
    """The endpoint is a resource of our own (security.md 41, 45)."""
    apps = Apps(organization)
    app, server = apps.register(), resource(organization)
    elsewhere = apps.tokens(app, scope=OPEN, resource=server.identifier)
    id_token = Tokens({"access_token": apps.tokens(app, scope=OPEN).answer["id_token"]})

    assert ask(organization, elsewhere).status_code == 401
    assert ask(organization, id_token).status_code == 401


def test_a_token_in_address_or_form_is_refused(organization: Organization) -> None:
    """Both end in logs (security.md 53)."""
    apps = Apps(organization)
    token, http = apps.tokens(apps.register(), scope="openid").access, organization.server.http

    assert http.get(USERINFO, params={"access_token": token}).status_code == 400
    assert http.post(USERINFO, data={"access_token": token}).status_code == 400


def test_a_web_page_may_ask_and_read_the_answer(organization: Organization) -> None:
    """Browser apps ask themselves (security.md 15)."""
    apps = Apps(organization)
    tokens, http = apps.tokens(apps.register(), scope="openid"), organization.server.http
    page = {"Origin": "https://app.example"}

    before = http.options(
        USERINFO, headers={**page, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    )
    response = http.get(USERINFO, headers={**page, **tokens.header})

    assert before.status_code == 204
    assert {"authorization", "dpop"} <= set(before.headers["Access-Control-Allow-Headers"].split(", "))
    assert response.headers["Access-Control-Allow-Origin"] == "*"
