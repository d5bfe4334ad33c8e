"""What was typed into a form whose session had ended comes back after signing in: to the same person, in the same browser, unsent."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import credentials, sessions, users
from latchpin.kit import cookie_names
from latchpin.kit.clock import Frozen
from latchpin.oauth import client_secrets, issue, registration
from latchpin.storage import form_drafts
from latchpin.storage.models import Agent, BrowserSession, FormDraft, User
from latchpin.web import drafts, templating
from tests.support import slow_body
from tests.support.people import PASSWORD, Organization, Person, definition
from tests.support.server import Server
from tests.web.browser import Browser
from tests.web.conftest import Browse

NOTE = "Nothing was saved yet"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"


def end_sessions(organization: Organization, person: Person) -> None:
    """End every session of a person, as an administrator would."""

    async def work(session: AsyncSession) -> None:
        await sessions.end_all(session, person.id)

    organization.write(work)


def sign_in_again(browser: Browser, away: httpx.Response, person: Person) -> httpx.Response:
    """Follow a form's answer to the sign-in page, sign in, and open the page that this leads to."""
    assert away.status_code == 303, away.text
    page = browser.open(away.headers["location"])
    next_url = html.unescape(re.findall(r'name="next" value="([^"]*)"', page.text)[0])
    there = browser.walk(browser.send("/login", email=person.email, password=PASSWORD, next=next_url))
    return browser.open(there.headers["location"])


def sent_too_late(organization: Organization, browser: Browser, person: Person, path: str, **form: Any) -> httpx.Response:
    """Send a form after the session has ended."""
    end_sessions(organization, person)
    return browser.send(path, **form)


def typed_in(page: str, name: str) -> str:
    """Return what a text area of a page holds."""
    match = re.search(rf'<textarea[^>]*name="{name}"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    return html.unescape(match[1]) if match else ""


def count(organization: Organization, model: type[Agent | FormDraft]) -> int:
    """Return how many rows of a kind belong to the organization's people."""

    async def work(session: AsyncSession) -> int:
        query = select(func.count()).select_from(model).join(User, User.id == model.user_id).where(User.organization_id == organization.id)
        return await session.scalar(query) or 0

    return organization.write(work)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_long_definition_comes_back_and_is_saved_only_when_it_is_sent(organization: Organization, administrator: Browser) -> None:
    """64 KiB of YAML, as it was typed, with a note; nothing is made before the person sends it."""
    text = definition(description="ä" * 1000) + "# " + "x" * 60_000 + "\n"

    away = sent_too_late(organization, administrator, organization.admin, "/agents/new", definition=text, comment="First", space="personal")
    page = sign_in_again(administrator, away, organization.admin)

    assert NOTE in page.text
    assert typed_in(page.text, "definition") == text
    assert 'value="First"' in page.text
    assert count(organization, Agent) == 0
    assert administrator.send("/agents/new", definition=text, comment="First", space="personal").headers["location"].startswith("/agents/")
    assert count(organization, Agent) == 1


def test_the_sign_in_page_says_that_it_is_kept_also_after_a_wrong_password(organization: Organization, administrator: Browser) -> None:
    """People would otherwise go back for their text, and lose it."""
    away = sent_too_late(organization, administrator, organization.admin, "/spaces/new", name="Retail", scope="Private")

    assert "What you entered is kept" in administrator.open(away.headers["location"]).text
    wrong = administrator.send("/login", email=organization.admin.email, password="not the password", next="/spaces/new?draft=1")
    assert "What you entered is kept" in wrong.text
    assert "What you entered is kept" not in administrator.open("/login?next=/spaces/new&ended=1").text


@pytest.mark.parametrize(
    ("path", "entries", "shown"),
    [
        ("/organization/users/new", {"full_name": "Grace Hopper", "email": "grace@new.example", "group": "User"}, ["Grace Hopper"]),
        (
            "/organization/users/{admin}/edit",
            {"full_name": "Ada Byron", "email": "ada@new.example", "group": "Administrator"},
            ["Ada Byron"],
        ),
        (
            "/organization/users/{admin}/api-keys/new",
            {"description": "Nightly export", "networks": "203.0.113.0/24", "expires_in": "30", "access": "read-only"},
            ["Nightly export", "203.0.113.0/24"],
        ),
        ("/spaces/new", {"name": "Retail", "description": "Prices of shops", "scope": "Public"}, ["Retail", "Prices of shops"]),
        ("/spaces/{space}/edit", {"name": "Wholesale", "description": "", "scope": "Public"}, ["Wholesale"]),
        (
            "/organization/resources/new",
            {"name": "Reports", "identifier": "https://reports.example"},
            ["Reports", "https://reports.example"],
        ),
        (
            "/organization/apps/new",
            {"kind": "public", "name": "Field Notes", "redirect_uris": "https://notes.example/cb"},
            ["Field Notes", "https://notes.example/cb"],
        ),
        ("/agents/{agent}/edit", {"definition": "name: Changed\n", "comment": "Why"}, ["name: Changed", "Why"]),
    ],
    ids=["new-user", "user", "new-key", "new-space", "space", "new-resource", "new-app", "agent"],
)
def test_each_form_comes_back(
    organization: Organization, administrator: Browser, path: str, entries: dict[str, str], shown: list[str]
) -> None:
    """On its own page, whole, also where it was sent from a dialog over another page."""
    address = path.format(admin=organization.admin.id, space=organization.space(), agent=organization.agent())
    own = {"Sec-Fetch-Site": "same-origin", "Referer": f"{organization.server.url}/organization/users"}

    away = sent_too_late(organization, administrator, organization.admin, address, headers=own, **entries)
    page = sign_in_again(administrator, away, organization.admin)

    assert page.status_code == 200
    assert page.request.url.path == address
    assert NOTE in page.text
    assert [text for text in shown if text not in html.unescape(page.text)] == []


def test_a_box_that_was_emptied_stays_empty(organization: Organization, administrator: Browser) -> None:
    """A form says nothing of an empty box; what the page would show must not come in its place."""
    space = organization.space(default_access=True)

    away = sent_too_late(organization, administrator, organization.admin, f"/spaces/{space}/edit", name="Retail", scope="Public")
    page = sign_in_again(administrator, away, organization.admin)

    box = re.search(r'<input type="checkbox" name="default_access"[^>]*>', page.text)
    assert box is not None
    assert "checked" not in box[0]


def test_no_secret_is_kept(organization: Organization, administrator: Browser) -> None:
    """Neither the field of a password nor what looks like a key or token in another; the page makes a password of its own."""
    key = organization.key().secret
    form = {"full_name": f"Grace {key}", "email": JWT, "group": f'{{"kty":"RSA","d": "{"s" * 40}"}}', "authentication": PEM}

    away = sent_too_late(
        organization,
        administrator,
        organization.admin,
        "/organization/users/new",
        password="a-password-typed",
        idempotency_key="x" * 20,
        **form,
    )
    text = _kept(organization, administrator, "/organization/users/new")
    page = sign_in_again(administrator, away, organization.admin)

    assert text["full_name"] == "Grace [not kept]"
    assert "password" not in text
    assert "idempotency_key" not in text
    assert not any(secret in repr(text) for secret in (key, JWT, "a-password-typed", "s" * 40, "MIIEpAIBAAKCAQEA"))
    assert not any(secret in page.text for secret in (key, JWT, "a-password-typed", "s" * 40, "MIIEpAIBAAKCAQEA"))
    assert re.search(r'name="password" value="[^"]{12,}"', page.text)


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "k"])
@pytest.mark.parametrize("colon", [":", " :\n "], ids=["close", "apart"])
def test_no_part_of_a_private_key_is_kept(member: str, colon: str) -> None:
    """One factor of an RSA key's modulus tells all the others (RFC 7518 section 6.3.2); what is public stays."""
    jwk = f'{{"kty":"RSA","n":"public","{member}"{colon}"{"s" * 40}"}}'

    assert drafts.without_secrets({"jwks": jwk}) == {"jwks": f'{{"kty":"RSA","n":"public","{member}"{colon}[not kept]}}'}


@pytest.mark.parametrize("prefix", [client_secrets.PREFIX, issue.REFRESH_PREFIX, registration.TOKEN_PREFIX])
def test_no_secret_of_an_app_is_kept(prefix: str) -> None:
    """Client secrets, refresh tokens and registration tokens are known by how they begin."""
    assert drafts.without_secrets({"description": f"see {prefix}{credentials.new_token()}."}) == {"description": "see [not kept]."}


def _kept(organization: Organization, browser: Browser, path: str) -> dict[str, str]:
    async def work(session: AsyncSession) -> dict[str, str]:
        token = browser.http.cookies[cookie_names.of(organization.server.settings, "draft")]
        draft = await drafts.read(session, organization.admin.id, path, token, organization.server.services.secrets)
        assert draft is not None
        return draft

    return organization.write(work)


def test_every_field_that_hides_what_is_typed_counts_as_a_secret() -> None:
    """A password-type field of any page is left out by its name."""
    names: set[str] = set()
    for template in templating.FOLDER.rglob("*.html"):
        text = template.read_text(encoding="utf-8")
        names |= set(re.findall(r'password_field\(\w+, "(\w+)"', text)) | set(re.findall(r'name="(\w+)"[^>]*type="password"', text))

    assert {"password", "current_password", "new_password", "confirm_password"} <= names
    assert drafts.without_secrets(dict.fromkeys(names, "typed")) == {}


def test_somebody_else_at_the_same_browser_gets_nothing(organization: Organization, administrator: Browser) -> None:
    """Another account sees the page as it always is, and the owner finds the text all the same."""
    other = organization.user("Mallory User")

    away = sent_too_late(
        organization, administrator, organization.admin, "/agents/new", definition="name: Secret project\n", space="personal"
    )
    page = sign_in_again(administrator, away, other)

    assert page.request.url.path == "/agents/new"
    assert "Secret project" not in page.text
    assert NOTE not in page.text
    administrator.send("/logout")
    assert "Secret project" in sign_in_again(administrator, away, organization.admin).text


def test_a_thief_of_an_ended_session_puts_no_text_before_its_owner(
    organization: Organization, administrator: Browser, browse: Browse
) -> None:
    """What was sent from elsewhere with the ended session's cookie is not shown in the owner's browser."""
    thief = browse(organization.server)
    name = cookie_names.of(organization.server.settings)
    thief.http.cookies.set(name, administrator.http.cookies[name])
    away = sent_too_late(organization, administrator, organization.admin, "/spaces/new", name="Retail", scope="Private")
    assert thief.send("/spaces/new", name="Planted", scope="Public").status_code == 303

    page = sign_in_again(administrator, away, organization.admin)

    assert page.request.url.path == "/spaces/new"
    assert "Planted" not in page.text


def test_the_same_person_at_another_browser_gets_nothing(organization: Organization, administrator: Browser, browse: Browse) -> None:
    """It takes the browser that the form was sent from, as well as the person."""
    away = sent_too_late(organization, administrator, organization.admin, "/agents/new", definition="name: Planted\n", space="personal")

    page = sign_in_again(browse(organization.server), away, organization.admin)

    assert page.request.url.path == "/agents/new"
    assert "Planted" not in page.text


def test_it_is_drawn_on_its_own_page_only(organization: Organization, administrator: Browser) -> None:
    """What was typed for one agent is not put into the form of another, nor shown where the address does not ask for it."""
    one, other = organization.agent("One"), organization.agent("Other")

    away = sent_too_late(organization, administrator, organization.admin, f"/agents/{one}/edit", definition="name: Typed\n")
    assert "name: Typed" in sign_in_again(administrator, away, organization.admin).text

    assert "name: Typed" in administrator.open(f"/agents/{one}/edit?draft=1").text  # loading again does no harm
    assert "name: Typed" not in administrator.open(f"/agents/{other}/edit?draft=1").text
    assert "name: Typed" not in administrator.open(f"/agents/{one}/edit").text


def test_it_is_kept_for_half_an_hour_and_then_removed(organization: Organization, administrator: Browser, clock: Frozen) -> None:
    """After that the page is as it always is, and the hourly purge takes the row away."""
    away = sent_too_late(organization, administrator, organization.admin, "/spaces/new", name="Retail", scope="Private")
    assert count(organization, FormDraft) == 1
    clock.advance(timedelta(minutes=31))

    page = sign_in_again(administrator, away, organization.admin)
    organization.write(form_drafts.purge_expired)

    assert "Retail" not in page.text
    assert count(organization, FormDraft) == 0


def test_only_the_latest_form_of_a_person_is_kept(organization: Organization, administrator: Browser) -> None:
    """However many are sent, one row is all that it comes to; too long a text is not kept at all."""
    end_sessions(organization, organization.admin)
    away = [administrator.send("/spaces/new", name=name, scope="Private") for name in ("One", "Two", "Three")]
    too_long = administrator.send("/agents/new", definition="x" * 200_000, space="personal")

    assert count(organization, FormDraft) == 1
    assert "draft=1" not in too_long.headers["location"]
    assert 'value="Three"' in sign_in_again(administrator, away[-1], organization.admin).text


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_what_is_kept_is_sealed(organization: Organization, administrator: Browser) -> None:
    """Neither the database nor the cookie shows what was typed."""
    away = sent_too_late(organization, administrator, organization.admin, "/spaces/new", name="Project Bluebird", scope="Private")

    async def work(session: AsyncSession) -> bytes:
        return await session.scalar(select(FormDraft.sealed).where(FormDraft.user_id == organization.admin.id)) or b""

    assert b"Bluebird" not in organization.write(work)
    name = cookie_names.of(organization.server.settings, "draft")
    cookie = next(line for line in away.headers.get_list("set-cookie") if line.startswith(f"{name}="))
    assert "Bluebird" not in cookie + away.headers["location"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", "Max-Age=1800"))


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}], ids=["fetch", "origin"])
def test_a_form_of_another_site_is_not_kept(organization: Organization, administrator: Browser, headers: dict[str, str]) -> None:
    """It is refused before anything is read."""
    away = sent_too_late(organization, administrator, organization.admin, "/spaces/new", headers=headers, name="Planted", scope="Private")

    assert away.status_code == 403
    assert count(organization, FormDraft) == 0


def test_nothing_is_kept_of_nobody(organization: Organization, administrator: Browser, browse: Browse) -> None:
    """Not without a session, not with a made-up one, not of a disabled user, and not of a form without typed text."""
    person = organization.user()
    theirs = browse(organization.server)
    theirs.sign_in(person)

    async def disable(session: AsyncSession) -> None:
        await users.disable(session, await users.get(session, organization.id, person.id), by=organization.admin.actor)

    organization.write(disable)
    stranger = browse(organization.server)
    assert "draft=1" not in stranger.send("/agents/new", definition="name: A\n").headers["location"]
    stranger.http.cookies.set(cookie_names.of(organization.server.settings), "x" * 43)
    assert "draft=1" not in stranger.send("/agents/new", definition="name: A\n").headers["location"]
    assert "draft=1" not in theirs.send("/agents/new", definition="name: A\n").headers["location"]
    end_sessions(organization, organization.admin)
    assert "draft=1" not in administrator.send(f"/agents/{organization.agent()}/archive").headers["location"]
    assert count(organization, FormDraft) == 0


def test_a_session_that_ends_while_the_form_is_under_way_keeps_it(organization: Organization, administrator: Browser) -> None:
    """The session was sound when the request began, and is not when its body has come."""
    body = urlencode({"definition": "name: Under way\n", "space": "personal"}).encode()
    cookies = "; ".join(f"{name}={value}" for name, value in administrator.http.cookies.items())
    headers = {
        "cookie": cookies,
        "sec-fetch-site": "same-origin",
        "content-type": "application/x-www-form-urlencoded",
        "content-length": str(len(body)),
        "host": "127.0.0.1",
    }

    async def meanwhile() -> None:
        async with organization.server.database.transaction() as session:
            await sessions.end_all(session, organization.admin.id)

    assert slow_body.send(organization.server, "/agents/new", headers, body, meanwhile) == 303
    assert count(organization, FormDraft) == 1
    assert count(organization, Agent) == 0


def test_an_idle_session_keeps_it_too(serve: Callable[..., Server], browse: Browse, clock: Frozen) -> None:
    """The usual case: somebody comes back after lunch, and presses the button."""
    organization = Organization(serve(session_idle_minutes=5))
    browser = browse(organization.server)
    browser.sign_in(organization.admin)
    clock.advance(timedelta(minutes=50))

    page = sign_in_again(browser, browser.send("/spaces/new", name="Retail", scope="Private"), organization.admin)

    assert 'value="Retail"' in page.text


def test_every_form_that_is_kept_has_a_page_of_its_own_that_draws_it(server: Server) -> None:
    """A form declares that it carries typed text; GET of its address is what the person comes back to."""
    routes = server.application.litestar.routes
    form_routes = [
        (route.path, {method for each in route.route_handlers for method in each.http_methods})  # type: ignore[union-attr]
        for route in routes
        if any("typed_text" in each.opt for each in getattr(route, "route_handlers", ()))
    ]

    assert len(form_routes) >= 12
    assert all({"GET", "POST"} <= methods for _, methods in form_routes), form_routes


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_user_who_is_deleted_takes_it_along(organization: Organization, browse: Browse) -> None:
    """Nothing of a person stays behind."""
    person = organization.user()
    browser = browse(organization.server)
    browser.sign_in(person)
    sent_too_late(organization, browser, person, "/agents/new", definition="name: A\n", space="personal")
    assert count(organization, FormDraft) == 1

    async def work(session: AsyncSession) -> tuple[int, int]:
        user, new_owner = [await users.get(session, organization.id, each.id) for each in (person, organization.admin)]
        await users.delete(session, user, new_owner=new_owner, by=organization.admin.actor)
        left = [await session.scalar(select(func.count()).where(model.user_id == person.id)) for model in (FormDraft, BrowserSession)]
        return left[0] or 0, left[1] or 0

    assert organization.write(work) == (0, 0)
