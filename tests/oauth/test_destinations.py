"""Every page from which a person goes on to an app names where that is, before the browser goes there."""

from __future__ import annotations

import re
from contextlib import closing

import httpx
import pytest

from tests.support.apps import App, Apps
from tests.support.authorizing import HTML, Journey, introduce
from tests.support.people import Organization
from tests.web.browser import Browser

ADDRESSES = {
    "https://desk.example/callback": "desk.example",
    "http://127.0.0.1:49152/callback": "127.0.0.1",
    "http://[::1]:49152/callback": "::1",
    "https://[2001:db8::]/callback": "2001:db8::",
    "com.example.desk:/callback": "the program that opens com.example.desk: addresses",
}
pytestmark = pytest.mark.parametrize("uri", ADDRESSES)


@pytest.fixture
def app(organization: Organization, uri: str) -> App:
    """An app that made itself known, whose name says nothing of where it is at home."""
    is_web = uri.startswith("https:")
    apps = Apps(organization)
    return introduce(apps, apps.register(name="Your bank", application_type="web" if is_web else "native", redirect_uris=(uri,)))


def _words(page: httpx.Response) -> str:
    card = page.text[page.text.index("<main") : page.text.index("</main>")]
    return " ".join(re.sub(r"<[^>]+>", "", card).split())


def test_the_questions_name_where_they_lead(organization: Organization, app: App, uri: str) -> None:
    """Which account, the password, and consent: each can be the last page before the app."""
    journey = Journey(Apps(organization), app, organization.admin, redirect_uri=uri)
    with closing(journey.browser.http):
        for prompt in ("select_account", "login", "consent"):
            assert f"You will be sent to {ADDRESSES[uri]}." in _words(journey.ask(prompt=prompt)), prompt


def test_a_refusal_with_a_way_on_names_where_it_leads(organization: Organization, app: App, uri: str) -> None:
    """The address of an app that nobody has checked is followed by a person only."""
    journey = Journey(Apps(organization), app, organization.admin, redirect_uri=uri)
    with closing(journey.browser.http):
        assert f"look where it would send you: {ADDRESSES[uri]}." in _words(journey.ask(response_type="token"))


def test_the_way_in_names_where_the_app_is(organization: Organization, app: App, uri: str) -> None:
    """The sign-in page, and the page for a password of one's own, go on to the app without another question where it was let in before."""
    journey = Journey(Apps(organization), app, redirect_uri=uri)
    destination = "Your bank" + (", " if ADDRESSES[uri].startswith("the program") else " at ") + ADDRESSES[uri]
    with closing(journey.browser.http):
        sign_in = journey.browser.open(journey.ask().headers["location"], headers=HTML)
    newcomer = Journey(Apps(organization), app, organization.user(temporary=True), redirect_uri=uri)
    with closing(newcomer.browser.http):
        choose = newcomer.browser.open(newcomer.ask().headers["location"], headers=HTML)

    assert f"to continue to {destination}" in _words(sign_in)
    assert f"You then go on to {destination}." in _words(choose)


def test_connected_apps_name_where_they_lead(organization: Organization, app: App, uri: str) -> None:
    """The list under My account, and the page that asks before access is revoked."""
    apps = Apps(organization)
    apps.tokens(app, redirect_uri=uri)
    browser = Browser(organization.server)
    browser.sign_in(organization.admin)
    host = ADDRESSES[uri].removeprefix("the program that opens ").removesuffix(" addresses")

    with closing(browser.http):
        assert f'Your bank</span><div class="cell-sub">{host}</div>' in browser.open("/account", headers=HTML).text
        assert f"<dt>Leads to</dt><dd>{host}</dd>" in browser.open(f"/account/apps/{app.pk}/withdraw", headers=HTML).text
