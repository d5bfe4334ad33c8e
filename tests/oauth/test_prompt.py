"""`prompt`, `max_age` and `login_hint`: what an app may want of the person at the sign_in_page (OpenID Connect Core section 3.1.2.1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from latchpin.kit import clock as kit_clock
from latchpin.kit.clock import Frozen
from latchpin.storage.models.oauth_client import ClientSource
from tests.support.apps import App, Apps
from tests.support.authorizing import HTML, Go, Journey, came, introduce
from tests.support.people import PASSWORD, Organization
from tests.web.browser import value_of


def _auth_time(tokens: dict[str, Any]) -> int:
    return int(jwt.decode(tokens["id_token"], options={"verify_signature": False})["auth_time"])


def _sign_in_url(journey: Journey, **changes: Any) -> str:
    """Return where a request of somebody who is not signed in comes back to after signing in."""
    location = journey.ask(**changes).headers["location"]
    assert location.startswith("/login?")
    return parse_qs(urlsplit(location).query)["next"][0]


def test_prompt_none_without_a_session_is_login_required(go: Go) -> None:
    """And no page is drawn (security.md 18)."""
    back = came(go(signed_in=False).ask(prompt="none"))

    assert back["error"] == "login_required"
    assert back["state"] == "state-1"


def test_prompt_none_without_consent_is_consent_required(go: Go) -> None:
    """With consent it is a code (security.md 18)."""
    journey = go()

    assert came(journey.ask(prompt="none"))["error"] == "consent_required"

    journey.agree(journey.ask())
    assert "code" in came(journey.ask(prompt="none"))
    assert came(journey.ask(prompt="none", scope="agents:read billing:read"))["error"] == "consent_required"


@pytest.mark.parametrize("signed_in", [True, False])
def test_prompt_none_sends_nobody_to_an_app_that_is_new_by_itself(partners: Apps, partner: App, go: Go, *, signed_in: bool) -> None:
    """An app that registered itself is no place to redirect to silently (security.md 8)."""
    refused = go(introduce(partners, partner, ClientSource.DYNAMIC), signed_in=signed_in).ask(prompt="none")

    assert refused.status_code == 400
    assert "location" not in refused.headers


@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}])
def test_signing_in_anew_gives_a_new_auth_time(go: Go, clock: Frozen, asked: dict[str, str]) -> None:
    """The password is asked for although somebody is signed in, once, and the token says when it was given (security.md 19)."""
    journey = go()
    before = int(kit_clock.now().timestamp())
    clock.advance(timedelta(seconds=300))

    password_page = journey.ask(scope="openid agents:read", **asked)
    assert 'name="password"' in password_page.text
    consent = journey.answer(password_page, "/oauth/confirm", password=PASSWORD)
    tokens = journey.redeem(journey.agree(consent))

    assert _auth_time(tokens) == before + 300


def test_a_wrong_password_is_refused_and_the_request_stays(go: Go) -> None:
    """It can be typed again."""
    journey = go()
    page = journey.ask(prompt="login")

    refused = journey.answer(page, "/oauth/confirm", password="wrong")
    assert refused.status_code == 422
    assert value_of(refused.text, "request") == value_of(page.text, "request")

    assert "wants to act for" in journey.answer(page, "/oauth/confirm", password=PASSWORD).text


def test_consent_cannot_be_given_past_the_password(go: Go) -> None:
    """The steps have an order (security.md 19)."""
    journey = go()
    page = journey.ask(prompt="login")

    assert journey.answer(page, decision="authorize", space="all").status_code == 409


def test_a_sign_in_that_is_young_enough_counts(go: Go, clock: Frozen) -> None:
    """`max_age` asks again only when the sign-in is older (security.md 19)."""
    journey = go()
    clock.advance(timedelta(seconds=100))

    assert "wants to act for" in journey.ask(max_age="200").text
    assert 'name="password"' in journey.ask(max_age="99").text


@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}, {"prompt": "select_account"}, {"prompt": "login consent"}])
def test_who_signs_in_for_the_request_is_not_asked_again(organization: Organization, go: Go, asked: dict[str, str]) -> None:
    """Otherwise they would go round in circles (security.md 19)."""
    journey = go(signed_in=False)
    next_url = _sign_in_url(journey, **asked)

    page = journey.browser.walk(journey.browser.send("/login", email=organization.admin.email, password=PASSWORD, next=next_url))

    assert "wants to act for" in page.text


def test_select_account_offers_to_go_on_or_to_change(organization: Organization, go: Go) -> None:
    """Going on keeps the session; another account signs in to the same request (security.md 19)."""
    grace = organization.user("Grace User")
    journey = go()
    page = journey.ask(prompt="select_account")
    assert "Continue as Ada Admin" in page.text
    assert "wants to act for" in journey.answer(page, "/oauth/account", choice="continue").text

    away = journey.answer(journey.ask(prompt="select_account"), "/oauth/account", choice="other")
    next_url = parse_qs(urlsplit(away.headers["location"]).query)["next"][0]
    assert journey.browser.open("/agents").headers["location"].startswith("/login")
    consent = journey.browser.walk(journey.browser.send("/login", email=grace.email, password=PASSWORD, next=next_url))

    assert "Grace User" in consent.text
    sub = jwt.decode(journey.redeem(journey.agree(consent))["access_token"], options={"verify_signature": False})["sub"]
    assert sub == str(grace.id)


def test_prompt_consent_asks_although_it_was_agreed_to(go: Go) -> None:
    """The app may want to be sure."""
    journey = go()
    journey.agree(journey.ask())

    assert journey.ask().status_code == 303
    assert "wants to act for" in journey.ask(prompt="consent").text


def test_login_hint_fills_in_the_address_at_the_sign_in(go: Go) -> None:
    """And the sign_in_page says for which app it is."""
    journey = go(signed_in=False)
    location = journey.ask(login_hint="grace@example.com").headers["location"]

    sign_in_page = journey.browser.open(location, headers=HTML)

    assert value_of(sign_in_page.text, "email") == "grace@example.com"
    assert "to continue to <strong>Partner</strong>" in sign_in_page.text


def test_a_temporary_password_is_changed_first_and_the_request_goes_on(organization: Organization, go: Go) -> None:
    """A new user's first way in may be through an app."""
    grace = organization.user("Grace User", temporary=True)
    journey = go(signed_in=False)
    next_url = _sign_in_url(journey)
    browser = journey.browser
    browser.send("/login", email=grace.email, password=PASSWORD, next=next_url)

    again = journey.ask().headers["location"]
    assert again.startswith("/password?next=")
    changed = browser.send("/password", current_password=PASSWORD, new_password="another long pass phrase", next=next_url)

    assert "wants to act for" in browser.walk(changed).text
