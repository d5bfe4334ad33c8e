"""Signing in to the Control Center is an OAuth client's authorization-code flow, and its scripts get tokens of the session."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import jwt

from latchpin.oauth.authorization_request import PATH as AUTHORIZE
from latchpin.oauth.clients import CALLBACK, CONTROL_CENTER
from tests.support.people import PASSWORD, Organization
from tests.web.browser import Browser
from tests.web.conftest import Browse

TOKEN = "/session/token"


def _begun(browser: Browser, organization: Organization) -> str:
    return str(browser.send("/login", email=organization.admin.email, password=PASSWORD, next="/agents").headers["location"])


def test_signing_in_runs_the_code_flow_with_pkce_as_the_first_party_client(organization: Organization, browse: Browse) -> None:
    """The browser goes to the authorization endpoint and comes back with a code, without a page in between."""
    browser = browse(organization.server)

    began = _begun(browser, organization)
    answered = browser.open(began)
    entered = browser.open(answered.headers["location"])

    asked = parse_qs(urlsplit(began).query)
    assert urlsplit(began).path == AUTHORIZE
    assert asked["client_id"] == [CONTROL_CENTER]
    assert asked["code_challenge_method"] == ["S256"]
    assert answered.headers["location"].startswith(f"{organization.server.url}{CALLBACK}?")
    assert entered.headers["location"] == "/agents"


def test_a_pages_script_gets_a_short_lived_token_of_its_session(administrator: Browser, organization: Organization) -> None:
    """It opens the API as the person who is signed in, and says so."""
    made = administrator.send(TOKEN)

    assert made.status_code == 200, made.text
    assert made.headers["cache-control"] == "no-store"
    claims = jwt.decode(made.json()["access_token"], options={"verify_signature": False})
    assert claims["sub"] == str(organization.admin.id)
    assert claims["client_id"] == CONTROL_CENTER
    assert claims["exp"] - claims["iat"] == 15 * 60
    answer = organization.server.http.get("/api/v1/agent/all", headers={"Authorization": f"Bearer {made.json()['access_token']}"})
    assert answer.status_code == 200, answer.text


def test_signing_out_ends_the_sessions_tokens_too(administrator: Browser, organization: Organization) -> None:
    """With the very next request, wherever it is used."""
    token = administrator.send(TOKEN).json()["access_token"]

    administrator.send("/logout")

    answer = organization.server.http.get("/api/v1/agent/all", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_another_site_gets_no_token_of_a_session(administrator: Browser) -> None:
    """The cookie alone is not enough: the request must come from one of our pages."""
    answer = administrator.send(TOKEN, headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"})

    assert answer.status_code == 403


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(organization: Organization, browse: Browse) -> None:
    """A code that somebody else obtained cannot be planted in another browser (login CSRF)."""
    attacker, victim = browse(organization.server), browse(organization.server)
    stolen = attacker.open(_begun(attacker, organization)).headers["location"]

    planted = victim.open(stolen)

    assert planted.status_code == 409
    assert victim.open("/agents").headers["location"].startswith("/login")


def test_an_answer_of_another_issuer_is_refused(organization: Organization, browse: Browse) -> None:
    """The `iss` of the answer must be ours (RFC 9207)."""
    browser = browse(organization.server)
    answered = browser.open(_begun(browser, organization)).headers["location"]
    query = urlsplit(answered).query

    mixed = browser.open(f"{CALLBACK}?{query.partition('&iss=')[0]}&iss=https%3A%2F%2Fevil.example")

    assert mixed.status_code == 409
