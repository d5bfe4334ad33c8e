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

    query = parse_qs(urlsplit(began).query)
    assert urlsplit(began).path == AUTHORIZE
    assert query["client_id"] == [CONTROL_CENTER]
    assert query["code_challenge_method"] == ["S256"]
    assert answered.headers["location"].startswith(f"{organization.server.url}{CALLBACK}?")
    assert entered.headers["location"] == "/agents"


def test_a_pages_script_gets_a_short_lived_token_of_its_session(administrator: Browser, organization: Organization) -> None:
    """It opens the API as the person who is signed in, and says so."""
    token_response = administrator.send(TOKEN)

    assert token_response.status_code == 200, token_response.text
    assert token_response.headers["cache-control"] == "no-store"
    claims = jwt.decode(token_response.json()["access_token"], options={"verify_signature": False})
    assert claims["sub"] == str(organization.admin.id)
    assert claims["client_id"] == CONTROL_CENTER
    assert claims["exp"] - claims["iat"] == 15 * 60
    response = organization.server.http.get(
        "/api/v1/agent/all", headers={"Authorization": f"Bearer {token_response.json()['access_token']}"}
    )
    assert response.status_code == 200, response.text


def test_signing_out_ends_the_sessions_tokens_too(administrator: Browser, organization: Organization) -> None:
    """With the very next request, wherever it is used."""
    token = administrator.send(TOKEN).json()["access_token"]

    administrator.send("/logout")

    response = organization.server.http.get("/api/v1/agent/all", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 401


def test_another_site_gets_no_token_of_a_session(administrator: Browser) -> None:
    """The cookie alone is not enough: the request must come from one of our pages."""
    response = administrator.send(TOKEN, headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"})

    assert response.status_code == 403


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(organization: Organization, browse: Browse) -> None:
    """A code that somebody else obtained cannot be planted in another browser (login CSRF)."""
    attacker, victim = browse(organization.server), browse(organization.server)
    stolen = attacker.open(_begun(attacker, organization)).headers["location"]

    planted = victim.open(stolen)

    assert planted.status_code == 409
    assert victim.open("/agents").headers["location"].startswith("/login")


def test_two_tabs_that_sign_in_together_both_go_on(organization: Organization, browse: Browse) -> None:
    """Their flows share a cookie, whichever tab comes first: each lands on the page that it wanted, and the session has its token."""
    for order in ("first tab first", "second tab first"):
        browser = browse(organization.server)
        began = [
            browser.send("/login", email=organization.admin.email, password=PASSWORD, next=page).headers["location"]
            for page in ("/agents", "/spaces")
        ]
        answered = [browser.open(location).headers["location"] for location in began]
        tabs = [0, 1] if order == "first tab first" else [1, 0]

        entered = {tab: browser.walk(browser.open(answered[tab])) for tab in tabs}

        assert [entered[tab].headers["location"] for tab in (0, 1)] == ["/agents", "/spaces"], order
        assert browser.send(TOKEN).status_code == 200, order


def test_a_tab_that_comes_late_goes_on_where_the_other_was_closed(organization: Organization, browse: Browse) -> None:
    """The flow is begun once more for the session that is there, so that its pages have their token."""
    browser = browse(organization.server)
    late = browser.open(_begun(browser, organization)).headers["location"]
    _begun(browser, organization)  # the other tab ends the first session, and is closed before it comes back

    entered = browser.walk(browser.open(late))

    assert entered.headers["location"] == "/agents"
    assert browser.send(TOKEN).status_code == 200


def test_going_back_to_a_finished_sign_in_goes_on(organization: Organization, browse: Browse) -> None:
    """The back button and a reload come with a code that is used up; it is not redeemed again, and the session keeps its grant."""
    browser = browse(organization.server)
    answered = browser.open(_begun(browser, organization)).headers["location"]
    browser.open(answered)

    again = browser.open(answered)

    assert again.headers["location"] == "/agents"
    assert browser.send(TOKEN).status_code == 200


def test_a_planted_answer_leaves_who_is_signed_in_as_they_are(organization: Organization, browse: Browse) -> None:
    """Somebody else's code is not redeemed for them: they stay themselves (login CSRF)."""
    attacker, victim = browse(organization.server), browse(organization.server)
    person = organization.user()
    victim.sign_in(person)
    stolen = attacker.open(_begun(attacker, organization)).headers["location"]

    victim.walk(victim.open(stolen))

    assert person.email in victim.open("/account").text
    claims = jwt.decode(victim.send(TOKEN).json()["access_token"], options={"verify_signature": False})
    assert claims["sub"] == str(person.id)


def test_an_answer_of_another_issuer_is_refused(organization: Organization, browse: Browse) -> None:
    """The `iss` of the answer must be ours (RFC 9207)."""
    browser = browse(organization.server)
    answered = browser.open(_begun(browser, organization)).headers["location"]
    query = urlsplit(answered).query

    mixed = browser.open(f"{CALLBACK}?{query.partition('&iss=')[0]}&iss=https%3A%2F%2Fevil.example")

    assert mixed.status_code == 409
