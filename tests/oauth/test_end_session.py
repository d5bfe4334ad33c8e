"""Signing out that begins at an app (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin
from latchpin.identity import sessions, users
from latchpin.kit.clock import Frozen
from latchpin.storage.models.oauth_client import ClientSource
from tests.support.apps import App, Apps
from tests.support.authorizing import introduce
from tests.support.people import Organization, Person

LOGOUT = "/api/oauth/logout"
DONE = "https://partner.example/signed-out"


class Browser:
    """A browser in which a person is signed in; it keeps sending its cookie, so that the session itself is what is looked at."""

    def __init__(self, organization: Organization, person: Person) -> None:
        self._http = organization.server.http

        async def work(session: AsyncSession) -> str:
            user = await users.get(session, organization.id, person.id)
            return (await sessions.open_(session, user, organization.server.settings, Origin())).token

        cookie = f"{sessions.cookie_name(organization.server.settings)}={organization.write(work)}"
        self._headers = {"Cookie": cookie, "Accept": "text/html"}

    @property
    def is_signed_in(self) -> bool:
        """Whether the session is alive."""
        return self._http.get("/account", headers=self._headers).status_code == 200

    def ask(self, **params: str) -> httpx.Response:
        """Follow a link to sign out."""
        return self._http.get(LOGOUT, params=params, headers=self._headers)

    def send(self, origin: str, **form: str) -> httpx.Response:
        """Send a form from a page of this origin."""
        return self._http.post(LOGOUT, data=form, headers={**self._headers, "Origin": origin})


def app(organization: Organization) -> App:
    """Register an app with an address to come back to."""
    return Apps(organization).register(post_logout_redirect_uris=(DONE,))


def hint(organization: Organization, client: App, person: Person | None = None) -> str:
    """Return an ID token of the app's user."""
    return str(Apps(organization).tokens(client, person, scope="openid").answer["id_token"])


def test_an_app_signs_its_user_out_here_too(organization: Organization) -> None:
    """The ID token proves whose session is meant; the browser goes back with `state`."""
    client = app(organization)
    browser = Browser(organization, organization.admin)

    response = browser.ask(id_token_hint=hint(organization, client), post_logout_redirect_uri=DONE, state="a b&c")

    assert (response.status_code, response.headers["Location"]) == (303, f"{DONE}?state=a+b%26c")
    assert not browser.is_signed_in


def test_an_expired_id_token_still_proves_whose_it_was(organization: Organization, clock: Frozen) -> None:
    """Apps sign out hours after they signed in."""
    client = app(organization)
    token = hint(organization, client)
    clock.advance(timedelta(hours=5))
    browser = Browser(organization, organization.admin)

    assert browser.ask(id_token_hint=token, post_logout_redirect_uri=DONE).headers["Location"] == DONE
    assert not browser.is_signed_in


def test_without_proof_the_person_is_asked(organization: Organization) -> None:
    """No link of another site signs anybody out: not without a token, with a forged one, or with another person's."""
    client = app(organization)
    browser = Browser(organization, organization.admin)
    genuine = hint(organization, client)
    forged = genuine[: genuine.rindex(".")] + ".AAAA"
    others = hint(organization, client, organization.user())

    for params in (
        {},
        {"client_id": client.client_id},
        {"id_token_hint": forged, "client_id": client.client_id},
        {"id_token_hint": others},
    ):
        response = browser.ask(**params)
        assert response.status_code == 200
        assert "Sign out of Latchpin?" in response.text
    assert browser.is_signed_in


def test_the_person_says_yes(organization: Organization) -> None:
    """The answer comes from our own page, and the browser goes back to the app."""
    client = app(organization)
    browser = Browser(organization, organization.admin)
    page = browser.ask(client_id=client.client_id, post_logout_redirect_uri=DONE)
    assert "Partner" in page.text
    assert "form-action 'self' https:" in page.headers["Content-Security-Policy"]

    response = browser.send(organization.server.url, confirmed="1", client_id=client.client_id, post_logout_redirect_uri=DONE)

    assert (response.status_code, response.headers["Location"]) == (303, DONE)
    assert not browser.is_signed_in


@pytest.mark.parametrize("source", [ClientSource.DYNAMIC, ClientSource.DOCUMENT])
def test_an_app_that_made_itself_known_gets_a_link_and_no_redirect(organization: Organization, source: ClientSource) -> None:
    """It registered its address itself: the session ends, on a page of ours that names the host (security.md 7)."""
    client = introduce(Apps(organization), app(organization), source)
    token = hint(organization, client)
    browser, browser_with_hint = Browser(organization, organization.admin), Browser(organization, organization.admin)
    params = {"client_id": client.client_id, "post_logout_redirect_uri": DONE, "state": "a b"}

    question = browser.ask(**params)
    responses = (
        browser.send(organization.server.url, confirmed="1", **params),
        browser_with_hint.ask(id_token_hint=token, post_logout_redirect_uri=DONE, state="a b"),
    )

    assert "<strong>partner.example</strong>" in question.text
    assert "Nobody here has checked it" in question.text
    assert "form-action 'self';" in question.headers["Content-Security-Policy"]
    for response in responses:
        assert response.status_code == 200
        assert "You are signed out" in response.text
        assert f'href="{DONE}?state=a+b"' in response.text
        assert "Continue to partner.example" in response.text
        assert not {"location", "refresh"} & {name.lower() for name in response.headers}
        assert 'http-equiv="refresh"' not in response.text
    assert not browser.is_signed_in
    assert not browser_with_hint.is_signed_in


def test_an_app_that_another_organization_entered_gets_a_link_too(organization: Organization, other: Organization) -> None:
    """Its administrator's word does not count here; who is not signed in comes to our sign-in page."""
    client = app(other)
    params = {"id_token_hint": hint(organization, client), "post_logout_redirect_uri": DONE}

    response = Browser(organization, organization.admin).ask(**params)
    stranger = organization.server.http.get(LOGOUT, params=params)

    assert response.status_code == 200
    assert "Continue to partner.example" in response.text
    assert stranger.headers["Location"] == "/login"


def test_the_question_names_where_it_leads(organization: Organization) -> None:
    """The host of the address, or the scheme that a program has."""
    client = app(organization)
    program = Apps(organization).register(
        application_type="native", redirect_uris=("com.example.app:/cb",), post_logout_redirect_uris=("com.example.app:/bye",)
    )
    browser = Browser(organization, organization.admin)

    page = browser.ask(client_id=client.client_id, post_logout_redirect_uri=DONE)
    opened = browser.ask(client_id=program.client_id, post_logout_redirect_uri="com.example.app:/bye")
    stays = browser.ask(client_id=client.client_id)

    assert "You will be sent to <strong>partner.example</strong>." in page.text
    assert "You will be sent to the program that opens <strong>com.example.app:</strong> addresses." in opened.text
    assert "You will be sent to" not in stays.text


def test_another_site_cannot_say_yes(organization: Organization) -> None:
    """Its form goes on as a link, and the person is asked (security.md 13, 16)."""
    browser = Browser(organization, organization.admin)

    response = browser.send("https://evil.example", confirmed="1")

    assert (response.status_code, response.headers["Location"]) == (303, f"{LOGOUT}?confirmed=1")
    assert "Sign out of Latchpin?" in browser.ask(confirmed="1").text
    assert browser.is_signed_in


@pytest.mark.parametrize("site", ["cross-site", "same-origin"])
@pytest.mark.parametrize("body", [b"state=a\r\nSet-Cookie: b=c", b"state=a\nb", b"state=a\r", b"state=\x00"])
def test_a_form_with_raw_control_characters_is_refused(organization: Organization, body: bytes, site: str) -> None:
    """An app's form goes on as an address in a header, which line breaks would end."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": site}

    response = organization.server.http.post(LOGOUT, content=body, headers=headers)

    assert response.status_code == 400
    assert "location" not in response.headers


def test_an_address_that_is_not_registered_is_never_gone_to(organization: Organization) -> None:
    """Byte for byte, for that app; the answer is a page (security.md 7)."""
    client, other = app(organization), Apps(organization).register()
    browser = Browser(organization, organization.admin)
    token = hint(organization, client)

    for params in (
        {"id_token_hint": token, "post_logout_redirect_uri": DONE + "/"},
        {"id_token_hint": token, "post_logout_redirect_uri": "https://evil.example"},
        {"client_id": other.client_id, "post_logout_redirect_uri": DONE},
        {"id_token_hint": token, "client_id": other.client_id, "post_logout_redirect_uri": DONE},
        {"post_logout_redirect_uri": DONE},
    ):
        response = browser.ask(**params)
        assert response.status_code == 400, params
        assert response.headers["Content-Type"].startswith("text/html")
    assert browser.is_signed_in


def test_who_is_not_signed_in_goes_back_or_to_the_sign_in_page(organization: Organization) -> None:
    """Back only where a token proves that the app had the person signed in."""
    client = app(organization)
    http, back = organization.server.http, {"post_logout_redirect_uri": DONE}

    with_hint = http.get(LOGOUT, params={"id_token_hint": hint(organization, client), **back})
    with_client_id = http.get(LOGOUT, params={"client_id": client.client_id, **back})

    assert with_hint.headers["Location"] == DONE
    assert with_client_id.headers["Location"] == "/login"


def test_what_lived_with_the_session_ends_with_it(organization: Organization) -> None:
    """Tokens without offline access stop; those with it go on (security.md 49)."""
    apps, client = Apps(organization), app(organization)
    with_session, offline = apps.tokens(client, scope="agents:read openid"), apps.tokens(client)
    assert apps.get("/agent/all", with_session).status_code == 200

    async def end_all(session: AsyncSession) -> None:
        for each in await sessions.of_user(session, organization.admin.id, organization.server.settings):
            await sessions.end(session, organization.admin.id, each.id, by=organization.admin.actor, signed_out=True)

    organization.write(end_all)

    assert apps.get("/agent/all", with_session).status_code == 401
    assert apps.get("/agent/all", offline).status_code == 200


def test_metadata_names_the_endpoint(organization: Organization) -> None:
    """Libraries find it by themselves (security.md 81)."""
    metadata = organization.server.http.get("/.well-known/openid-configuration").json()

    assert metadata["end_session_endpoint"] == organization.server.url + LOGOUT
