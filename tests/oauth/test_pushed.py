"""What a `request_uri` is worth: once, for a minute, for its app; and how a person gets from it to an answer (security.md 89)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from latchpin import settings
from latchpin.kit import cookie_names
from latchpin.kit.clock import Frozen
from latchpin.oauth import client_admin, par
from latchpin.oauth.authorization_request import PATH
from latchpin.oauth.client_admin import ClientFields
from latchpin.storage.models.oauth_client import ClientSource
from latchpin.web import par_cookie
from tests.support.apps import CALLBACK, App, Apps
from tests.support.authorizing import HTML, Go, Journey, came, introduce, onward
from tests.support.people import PASSWORD, Organization, Person
from tests.support.tokens import with_client
from tests.web.browser import value_of

CONSENT = "wants to act for"


def _is_over(response: httpx.Response) -> None:
    """Check that a reference does not count, and that nobody was sent anywhere for it."""
    assert response.status_code == 400, response.text
    assert "location" not in response.headers
    assert "This link is used up" in response.text
    assert "Go back to the app and begin again." in response.text
    assert "invalid_request_uri" in response.text


def _next(sign_in_page: httpx.Response) -> str:
    """Return where somebody comes back to after signing in."""
    location = sign_in_page.headers["location"]
    assert location.startswith("/login?next="), location
    return parse_qs(urlsplit(location).query)["next"][0]


def _sign_in(journey: Journey, person: Person, next_url: str) -> httpx.Response:
    """Sign in to a page, and go there."""
    return journey.browser.walk(journey.browser.send("/login", email=person.email, password=PASSWORD, next=next_url))


def test_what_was_sent_ahead_leads_to_tokens(organization: Organization, go: Go) -> None:
    """From the app's own request to a token, with its scope, state and PKCE."""
    journey = go()

    back = journey.agree(journey.go_on(journey.pushed(scope="agents:read", state="pushed &state")))
    tokens = journey.redeem(back)

    assert came(back)["state"] == "pushed &state"
    assert came(back)["iss"] == organization.server.url
    assert back.headers["location"].startswith(f"{CALLBACK}?code=")
    assert tokens["scope"] == "agents:read"


@pytest.mark.parametrize("signed_in", [True, False])
def test_a_request_uri_works_once(go: Go, *, signed_in: bool) -> None:
    """In the same browser, too (section 7.3)."""
    journey = go(signed_in=signed_in)
    request_uri = journey.pushed()
    onward(journey.visit(request_uri))

    _is_over(journey.visit(request_uri))


def test_looking_where_a_link_leads_uses_nothing_up(go: Go) -> None:
    """HEAD begins nothing, whoever sends it (RFC 9110 section 9.2.1)."""
    journey = go()
    request_uri = journey.pushed()

    response = journey.browser.http.head(PATH, params={"client_id": journey.app.client_id, "request_uri": request_uri}, headers=HTML)

    assert (response.status_code, response.content, "location" in response.headers) == (200, b"", False)
    onward(journey.visit(request_uri))


def test_a_request_uri_counts_for_a_minute(go: Go, clock: Frozen) -> None:
    """Whoever comes later begins again (section 2.2)."""
    journey = go()
    early, late = journey.pushed(), journey.pushed()

    clock.advance(timedelta(seconds=59))
    onward(journey.visit(early))
    clock.advance(timedelta(seconds=1))

    _is_over(journey.visit(late))


def test_a_request_uri_is_its_apps_own(partners: Apps, go: Go) -> None:
    """Another app that comes with it gets nowhere, and does not use it up (section 4)."""
    journey, thief = go(), go(partners.register(name="Other"))
    request_uri = journey.pushed()

    _is_over(thief.visit(request_uri))

    assert CONSENT in journey.go_on(request_uri).text


@pytest.mark.parametrize(
    "request_uri",
    [par.PUSHED_PREFIX + "A" * 43, par.PUSHED_PREFIX, par.CONTINUATION_PREFIX + "A" * 43, par.CONTINUATION_PREFIX],
)
def test_a_request_uri_that_nobody_gave_out_is_refused(go: Go, request_uri: str) -> None:
    """By a page, or JSON for programs, and never by a redirect: nobody knows to where."""
    journey = go()

    _is_over(journey.visit(request_uri, redirect_uri=CALLBACK, state="x"))
    as_json = journey.browser.open(f"{PATH}?client_id={journey.app.client_id}&request_uri={request_uri}")

    assert (as_json.status_code, as_json.json()["error"]) == (400, "invalid_request_uri")
    assert not [name for name in as_json.headers if name.lower().startswith("access-control-")]


def test_who_comes_with_it_must_say_for_which_app(go: Go) -> None:
    """`client_id` is needed, and once (section 4)."""
    journey = go()
    request_uri = journey.pushed()

    for query in (f"request_uri={request_uri}", f"client_id=a&client_id=b&request_uri={request_uri}", "client_id=app_unknown"):
        refused = journey.browser.open(f"{PATH}?{query}&request_uri={request_uri}", headers=HTML)
        assert refused.status_code == 400
        assert "location" not in refused.headers
    assert CONSENT in journey.go_on(request_uri).text


def test_the_rest_of_the_address_is_ignored(go: Go) -> None:
    """What was sent ahead counts, whatever stands beside the reference (section 4)."""
    journey = go()
    request_uri = journey.pushed(scope="agents:read")
    address = onward(journey.visit(request_uri, scope="billing:read", redirect_uri="https://evil.example/", state="evil", prompt="none"))

    page = journey.browser.open(f"{address}&scope=billing:read&state=evil&redirect_uri=https://evil.example/", headers=HTML)
    back = journey.agree(page)

    assert "See agents" in page.text
    assert "evil.example" not in page.text
    assert came(back)["state"] == "state-1"
    assert journey.redeem(back)["scope"] == "agents:read"


def test_a_request_can_be_brought_by_a_form(go: Go) -> None:
    """The authorization endpoint takes POST, also with a reference."""
    journey = go()
    body = {"client_id": journey.app.client_id, "request_uri": journey.pushed()}

    posted = journey.browser.http.post(PATH, data=body, headers=HTML)
    first = journey.browser.open(posted.headers["location"], headers=HTML)

    assert CONSENT in journey.browser.open(onward(first), headers=HTML).text


def test_of_two_who_come_at_the_same_time_one_gets_on(go: Go) -> None:
    """One conditional update decides."""
    journeys = [go() for _ in range(8)]
    for _ in range(4):
        request_uri = journeys[0].pushed()
        with ThreadPoolExecutor(len(journeys)) as pool:
            responses = list(pool.map(Journey.visit, journeys, [request_uri] * len(journeys)))

        assert sorted(response.status_code for response in responses) == [303, *[400] * 7]


def test_the_page_can_be_loaded_again_until_it_is_answered(go: Go) -> None:
    """Afterwards it is over, in every window that shows it; one request leads to one answer."""
    journey = go()
    address = onward(journey.visit(journey.pushed()))
    pages = [journey.browser.open(address, headers=HTML) for _ in range(3)]
    assert all(CONSENT in page.text for page in pages)

    back = journey.agree(pages[1])
    assert "code" in came(back)

    again = journey.agree(pages[0])
    assert again.status_code == 409
    assert "works once" in again.text
    assert journey.answer(pages[2], decision="deny").status_code == 409
    _is_over(journey.browser.open(address, headers=HTML))


def test_of_two_windows_that_agree_at_the_same_time_one_gets_a_code(go: Go) -> None:
    """However they meet."""
    journey = go()
    for _ in range(4):
        address = onward(journey.visit(journey.pushed(prompt="consent")))
        pages = [journey.browser.open(address, headers=HTML) for _ in range(4)]
        with ThreadPoolExecutor(len(pages)) as pool:
            responses = list(pool.map(journey.agree, pages))

        assert sorted(response.status_code for response in responses) == [303, 409, 409, 409]


def test_a_request_that_was_agreed_to_before_is_answered_once(go: Go) -> None:
    """Without a page; the address does not give a second code."""
    journey = go()
    journey.agree(journey.ask())
    address = onward(journey.visit(journey.pushed()))

    assert "code" in came(journey.browser.open(address, headers=HTML))
    _is_over(journey.browser.open(address, headers=HTML))


def test_a_refusal_is_an_answer_too(go: Go) -> None:
    """Denied once, the request is over; and so it is when the app asked for what the organization does not know."""
    journey = go()
    address = onward(journey.visit(journey.pushed()))
    denied = journey.answer(journey.browser.open(address, headers=HTML), decision="deny")
    unknown = onward(journey.visit(journey.pushed(resource="https://nobody.example")))

    assert came(denied)["error"] == "access_denied"
    _is_over(journey.browser.open(address, headers=HTML))
    assert came(journey.browser.open(unknown, headers=HTML))["error"] == "invalid_target"
    _is_over(journey.browser.open(unknown, headers=HTML))


def test_another_browser_cannot_go_on(go: Go, organization: Organization) -> None:
    """The address that goes on counts only where the request came first, whoever is signed in elsewhere."""
    journey = go(signed_in=False)
    address = onward(journey.visit(journey.pushed()))
    others = [go(), go(signed_in=False), go(person=organization.user())]
    onward(others[0].visit(others[0].pushed()))  # a browser that has a secret of its own

    for other in others:
        _is_over(other.browser.open(address, headers=HTML))

    assert _next(journey.browser.open(address, headers=HTML)) == address


def test_the_way_back_after_sign_in_tells_nothing_that_could_be_altered(go: Go, organization: Organization) -> None:
    """Not scope, state, nor redirect address stand in it; and signing in may take longer than a minute."""
    journey = go(signed_in=False)
    request_uri = journey.pushed(scope="agents:read", state="secret-state")
    address = onward(journey.visit(request_uri))
    sign_in_page = journey.browser.open(address, headers=HTML)

    assert set(parse_qs(urlsplit(_next(sign_in_page)).query)) == {"client_id", "request_uri"}
    assert request_uri not in _next(sign_in_page)
    for text in ("secret-state", "agents", "partner.example"):
        assert text not in str(sign_in_page.headers) + sign_in_page.text

    page = _sign_in(journey, organization.admin, _next(sign_in_page))
    assert CONSENT in page.text
    assert came(journey.agree(page))["state"] == "secret-state"


def test_signing_in_may_take_ten_minutes(go: Go, organization: Organization, clock: Frozen) -> None:
    """Then the person begins again."""
    for minutes, in_time in ((timedelta(minutes=9, seconds=59), True), (timedelta(minutes=10), False)):
        journey = go(signed_in=False)
        address = onward(journey.visit(journey.pushed()))
        clock.advance(minutes)
        _sign_in(journey, organization.admin, address)
        page = journey.browser.open(address, headers=HTML)

        if in_time:
            assert CONSENT in page.text
        else:
            _is_over(page)


def test_the_sign_in_page_says_for_which_app_it_is(go: Go) -> None:
    """As for a request that a browser brings: its name, the expected account, and a form that may lead to the app."""
    journey = go(signed_in=False)
    address = onward(journey.visit(journey.pushed(login_hint="grace@example.com")))

    sign_in_page = journey.browser.open(journey.browser.open(address, headers=HTML).headers["location"], headers=HTML)

    assert value_of(sign_in_page.text, "email") == "grace@example.com"
    assert "to continue to <strong>Partner</strong>" in sign_in_page.text
    assert "form-action 'self' https:" in sign_in_page.headers["Content-Security-Policy"]


def test_a_temporary_password_is_changed_first_and_the_request_goes_on(organization: Organization, go: Go) -> None:
    """A new user's first way in may be through an app."""
    grace = organization.user("Grace User", temporary=True)
    journey = go(signed_in=False)
    address = onward(journey.visit(journey.pushed()))
    journey.browser.send("/login", email=grace.email, password=PASSWORD, next=address)

    again = journey.browser.open(address, headers=HTML).headers["location"]
    assert again.startswith("/password?next=")
    changed = journey.browser.send("/password", current_password=PASSWORD, new_password="another long pass phrase", next=address)

    assert CONSENT in journey.browser.walk(changed).text


@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}, {"prompt": "select_account"}, {"prompt": "login consent"}])
def test_who_signs_in_for_the_request_is_not_asked_again(organization: Organization, go: Go, asked: dict[str, str]) -> None:
    """Otherwise they would go round in circles (security.md 19)."""
    journey = go(signed_in=False)
    address = onward(journey.visit(journey.pushed(**asked)))

    assert CONSENT in _sign_in(journey, organization.admin, address).text


@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}])
def test_who_was_signed_in_before_gives_the_password_once(go: Go, clock: Frozen, asked: dict[str, str]) -> None:
    """Also when the page is loaded again after that; a sign-in that was there before does not count."""
    journey = go()
    clock.advance(timedelta(seconds=5))
    address = onward(journey.visit(journey.pushed(scope="openid agents:read", **asked)))
    page = journey.browser.open(address, headers=HTML)
    assert 'name="password"' in page.text
    clock.advance(timedelta(seconds=5))

    assert CONSENT in journey.answer(page, "/oauth/confirm", password=PASSWORD).text

    assert CONSENT in journey.browser.open(address, headers=HTML).text


def test_another_account_can_be_chosen(organization: Organization, go: Go, clock: Frozen) -> None:
    """They sign in to the same request, at an address of its own; the one before is over."""
    grace = organization.user("Grace User")
    journey = go()
    clock.advance(timedelta(seconds=5))
    address = onward(journey.visit(journey.pushed(prompt="select_account", state="kept")))
    page = journey.browser.open(address, headers=HTML)
    assert "Continue as Ada Admin" in page.text

    away = journey.answer(page, "/oauth/account", choice="other")
    next_url = _next(away)
    assert next_url != address
    assert journey.browser.open("/agents").headers["location"].startswith("/login")
    _is_over(journey.browser.open(address, headers=HTML))
    clock.advance(timedelta(seconds=5))
    consent = _sign_in(journey, grace, next_url)

    assert "Grace User" in consent.text
    back = journey.agree(consent)
    assert came(back)["state"] == "kept"
    sub = jwt.decode(journey.redeem(back)["access_token"], options={"verify_signature": False})["sub"]
    assert sub == str(grace.id)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_another_account_can_be_chosen_from_the_consent_page(organization: Organization, go: Go) -> None:
    """Where the app did not ask for it."""
    grace = organization.user("Grace User")
    journey = go()
    page = journey.go_on(journey.pushed())

    consent = _sign_in(journey, grace, _next(journey.answer(page, "/oauth/account", choice="other")))

    assert "Grace User" in consent.text
    assert "code" in came(journey.agree(consent))


def test_what_can_be_answered_without_asking_is_answered_at_once(go: Go) -> None:
    """`prompt=none` needs no cookie, which a browser would not bring in a frame (security.md 18)."""
    journey = go(signed_in=False)
    assert came(journey.visit(journey.pushed(prompt="none")))["error"] == "login_required"

    journey = go()
    assert came(journey.visit(journey.pushed(prompt="none")))["error"] == "consent_required"
    journey.agree(journey.ask())
    request_uri = journey.pushed(prompt="none")
    assert "code" in came(journey.visit(request_uri))
    _is_over(journey.visit(request_uri))


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_an_address_that_the_app_gave_up_meanwhile_is_not_led_to(partners: Apps, go: Go) -> None:
    """What was sent ahead is checked again when somebody comes with it."""
    app = partners.register()
    journey = go(app)
    request_uri = journey.pushed()
    before = onward(journey.visit(journey.pushed()))
    _change(partners, app, redirect_uris=("https://partner.example/new",))

    first = onward(journey.visit(request_uri))

    for address in (before, first):
        refused = journey.browser.open(address, headers=HTML)
        assert refused.status_code == 400
        assert "location" not in refused.headers


def test_the_browsers_secret_is_out_of_reach_of_scripts(go: Go) -> None:
    """HttpOnly, and no other site's form brings it; it lasts as long as what it is for."""
    journey = go(signed_in=False)

    cookie = journey.visit(journey.pushed()).headers["set-cookie"].lower()

    assert cookie.startswith(cookie_names.of(journey.apps.server.settings, "par") + "=")
    for word in ("httponly", "samesite=lax", "path=/", "max-age=600"):
        assert word in cookie


def test_over_tls_the_browsers_secret_is_for_this_very_host(tmp_path: Path) -> None:
    """With the prefix that no other host can set it by."""
    cookie = par_cookie.cookie(settings.load({}, data_dir=tmp_path, public_url="https://latchpin.example"), "secret")

    assert cookie.key == "__Host-latchpin-par"
    assert cookie.secure
    assert cookie.domain is None


def test_an_app_that_must_send_ahead_is_refused_otherwise(partners: Apps, go: Go) -> None:
    """What a browser brings could be altered; what was sent ahead is taken, also after signing in (section 5; security.md 89)."""
    app = partners.register(require_pushed=True)
    journey, stranger = go(app), go(app, signed_in=False)

    refused = came(journey.ask())

    assert (refused["error"], refused["state"]) == ("invalid_request", "state-1")
    assert "ahead" in refused["error_description"]
    assert stranger.ask().headers["location"].startswith("/login?next=")  # errors go back only after somebody has signed in
    assert "code" in came(journey.agree(journey.go_on(journey.pushed())))
    page = _sign_in(stranger, partners.organization.admin, onward(stranger.visit(stranger.pushed(prompt="consent"))))
    assert "code" in came(stranger.agree(page))


def test_an_app_that_need_not_send_ahead_may(go: Go) -> None:
    """Both ways are open to it."""
    journey = go()

    assert CONSENT in journey.ask().text
    assert CONSENT in journey.go_on(journey.pushed()).text


def test_a_deployment_can_want_it_of_all_apps(serve: Any) -> None:
    """Whatever their own entry says; signing in to the Control Center and devices go on working (section 5; security.md 89)."""
    organization = Organization(serve(require_pushed_authorization_requests=True))
    apps = Apps(organization)
    device = "urn:ietf:params:oauth:grant-type:device_code"
    app = apps.register(grant_types=("authorization_code", "refresh_token", device))
    journey = Journey(apps, app, organization.admin)
    with closing(journey.browser.http):
        assert journey.browser.open("/agents").status_code == 200
        token = journey.browser.send("/session/token")
        assert token.status_code == 200, token.text
        assert came(journey.ask())["error"] == "invalid_request"
        assert "code" in came(journey.agree(journey.go_on(journey.pushed())))
        device_authorization = organization.server.http.post("/api/oauth/device_authorization", data=app.proof).json()
        page = journey.browser.send("/device", user_code=device_authorization["user_code"])
        assert journey.answer(page, decision="authorize", space="all").headers["location"] == "/device/allowed"
        response = organization.server.http.post(
            "/api/oauth/token", data={"grant_type": device, "device_code": device_authorization["device_code"], **app.proof}
        )
        assert response.status_code == 200


@pytest.mark.parametrize("source", [ClientSource.DYNAMIC, ClientSource.DOCUMENT])
@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_errors_of_a_new_app_do_not_go_by_themselves(partners: Apps, go: Go, source: ClientSource) -> None:
    """Sent ahead or not, the person sees where it leads (security.md 8)."""
    journey = go(introduce(partners, partners.register(), source))

    refused = journey.go_on(journey.pushed(resource="https://nobody.example"))

    assert refused.status_code == 400
    assert "location" not in refused.headers
    assert "Continue to partner.example" in refused.text


def _change(partners: Apps, app: App, **fields: Any) -> None:
    """Change an app's entry as an administrator does."""
    changed = ClientFields(**{"name": "Partner", **fields})
    with_client(partners.organization, app, lambda session, client, by: client_admin.change(session, client, changed, by=by))
