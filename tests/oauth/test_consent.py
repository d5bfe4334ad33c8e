"""Consent: what is shown, what a decision comes to, and when nobody needs to be asked."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from sqlalchemy import select

from latchpin.identity import sessions, users
from latchpin.identity.roles import Role
from latchpin.kit import clock as kit_clock
from latchpin.kit.clock import Frozen
from latchpin.storage.generation import invalidate
from latchpin.storage.models import AuditEvent, OAuthApproval, OAuthClient, OAuthConsent, OAuthGrant, Organization
from latchpin.storage.models.oauth_client import ClientSource
from latchpin.storage.subjects import EVERYTHING
from tests.support.apps import App, Apps
from tests.support.authorizing import Go, came, introduce
from tests.support.devices import begin, device, poll
from tests.support.people import Organization as People
from tests.web.browser import value_of

OWN_HEADERS = (
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
)


def _claims(tokens: dict[str, Any]) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    return claims


def _words(page: httpx.Response) -> str:
    """Return a page's text without its markup."""
    return " ".join(html.unescape(re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", page.text, flags=re.DOTALL)).split())


def test_the_card_says_who_asks_for_what_where_and_for_how_long(partners: Apps, go: Go) -> None:
    """Client and redirect host, name, scopes in words, Space, account, lifetime (security.md 75)."""
    partners.organization.space("Retail")
    app = partners.register(name="Northwind Reports", client_uri="https://northwind.example/about")

    words = _words(go(app).ask(scope="agents:read runs:read email offline_access"))

    for text in (
        "Northwind Reports",
        "northwind.example",
        "wants to act for Ada Admin in",
        "All my Spaces",
        "My personal Space",
        "Retail (editor)",
        "See agents and their schedules",
        "See runs and download files",
        "Know your e-mail",
        "You will be sent to partner.example",
        "also while you are away, or until you take it back",
        f"Signed in as {partners.organization.admin.email}",
        "Use another account",
    ):
        assert text in words
    assert "Run, schedule and change agents" not in words


def test_access_without_a_refresh_token_lasts_for_minutes(go: Go) -> None:
    """And the card says so (security.md 75)."""
    assert "For 15 minutes; then it has to send you here again." in _words(go().ask())


def test_an_app_that_could_refresh_and_does_not_ask_may_be_let_stay_connected(partners: Apps, go: Go) -> None:
    """It registered for refresh tokens and never asks for `offline_access`: the person may say so instead."""
    app = partners.register(confidential=True)
    journey = go(app)
    page = journey.ask(scope="agents:read")
    assert "Stay connected" in page.text
    assert "checked" not in page.text

    without = journey.redeem(journey.agree(page))
    assert (without["scope"], "refresh_token" in without) == ("agents:read", False)

    page = journey.ask(scope="agents:read", prompt="consent")
    tokens = journey.redeem(journey.answer(page, decision="authorize", space="all", stay="yes"))
    assert tokens["scope"] == "agents:read offline_access"
    assert partners.refresh(app, tokens["refresh_token"]).status_code == 200

    again = journey.redeem(journey.ask(scope="agents:read"))  # without asking anybody, as was agreed
    assert "refresh_token" in again
    assert 'name="stay" value="yes" checked' in journey.ask(scope="agents:read", prompt="consent").text
    assert "Stay connected" not in journey.ask(scope="agents:read offline_access", prompt="consent").text


def test_a_device_may_be_let_stay_connected_too(partners: Apps, go: Go) -> None:
    """It asks as other apps do, and its person decides as for them."""
    app, people = device(partners.organization), partners.organization
    device_authorization = begin(people, app, scope="agents:read")
    journey = go(app)
    page = journey.browser.send("/device", user_code=device_authorization["user_code"])
    assert "Stay connected" in page.text
    journey.answer(page, decision="authorize", space="all", stay="yes")

    tokens = poll(people, app, device_authorization).json()
    assert tokens["scope"] == "agents:read offline_access"
    assert partners.refresh(app, tokens["refresh_token"]).status_code == 200


def test_who_may_not_refresh_is_not_let_stay_connected(partners: Apps, go: Go) -> None:
    """Whatever the form says; and what was offered once is not taken for granted where the person does not say it again."""
    journey = go(partners.register(grant_types=("authorization_code",)))
    page = journey.ask(scope="agents:read")
    assert "Stay connected" not in page.text
    assert journey.redeem(journey.answer(page, decision="authorize", space="all", stay="yes"))["scope"] == "agents:read"

    journey = go(partners.register(confidential=True))
    journey.answer(journey.ask(scope="agents:read"), decision="authorize", space="all", stay="yes")
    journey.agree(journey.ask(scope="agents:read", prompt="consent"))
    assert "refresh_token" not in journey.redeem(journey.ask(scope="agents:read"))


def test_offline_access_is_not_promised_to_an_app_that_cannot_refresh(partners: Apps, go: Go) -> None:
    """It is ignored (OpenID Connect Core section 11)."""
    app = partners.register(grant_types=("authorization_code",))

    assert "For 15 minutes" in _words(go(app).ask(scope="agents:read offline_access"))


@pytest.mark.parametrize("uri", ["http://127.0.0.1/cb", "http://localhost/cb", "com.example.app:/cb"])
def test_a_local_program_carries_a_warning(partners: Apps, go: Go, uri: str) -> None:
    """Any program on the computer could use its name (security.md 5, 75)."""
    app = partners.register(application_type="native", redirect_uris=(uri,))

    assert "This program runs on your computer." in _words(go(app).ask(redirect_uri=uri))


@pytest.mark.parametrize(
    ("source", "said"),
    [(ClientSource.DYNAMIC, "its name is what it says of itself"), (ClientSource.DOCUMENT, "vouches for its name")],
)
def test_an_app_that_made_itself_known_carries_a_warning_the_first_time(
    partners: Apps, partner: App, go: Go, source: ClientSource, said: str
) -> None:
    """A document's host is named (security.md 75)."""
    app = introduce(partners, partner, source)
    journey = go(app)
    page = journey.ask()
    assert said in _words(page)
    assert (f"desk-{app.pk}.example" in _words(page)) == (source is ClientSource.DOCUMENT)

    journey.agree(page)
    assert said not in _words(journey.ask(prompt="consent"))


def test_no_logo_is_shown(go: Go) -> None:
    """Nothing is fetched from an app, and its card has no picture of its own (security.md 76)."""
    page = go().ask().text

    assert "<img" not in page
    assert "logo" not in page


def test_what_an_app_calls_itself_is_shown_as_text(partners: Apps, go: Go) -> None:
    """Whatever it is (security.md 14, 75)."""
    page = go(partners.register(name='<script>alert(1)</script>"><a href="//evil.example">')).ask().text

    assert "<script>alert" not in page
    assert '<a href="//evil' not in page
    assert "&lt;script&gt;alert(1)" in page


def test_every_page_of_the_flow_is_closed_to_frames_scripts_and_third_parties(partners: Apps, go: Go) -> None:
    """Sign-in, consent, password, account, device and error pages (security.md 14)."""
    journey = go()
    stranger = go(signed_in=False)
    pages = [
        stranger.browser.open(stranger.ask().headers["location"]),
        stranger.browser.send("/login", email="nobody@example.com", password="wrong"),
        journey.ask(),
        journey.ask(prompt="login"),
        journey.ask(prompt="select_account"),
        journey.ask(client_id="app_unknown"),
        journey.browser.open("/device"),
        journey.browser.open("/device/allowed"),
        journey.browser.open("/nowhere"),
        journey.answer(journey.ask(), decision="perhaps"),
    ]

    for page in pages:
        policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
        assert page.headers["content-type"].startswith("text/html")
        assert policy["frame-ancestors"] == "'none'"
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        for name, value in OWN_HEADERS:
            assert page.headers[name] == value, (name, page.request.url)
        assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text)
        assert not re.search(r"<script(?![^>]*src=)|\son[a-z]+=|<style", page.text)


def test_the_form_may_end_at_the_app_and_nowhere_unsafe(partners: Apps, go: Go) -> None:
    """Browsers hold `form-action` against redirects, so the policy names what the app needs (security.md 14)."""
    policies = {}
    for uri in ("https://partner.example/callback", "http://127.0.0.1/cb", "com.example.app:/cb"):
        app = partners.register(application_type="native", redirect_uris=(uri,))
        policy = go(app).ask(redirect_uri=uri).headers["Content-Security-Policy"]
        policies[uri] = next(part.strip() for part in policy.split(";") if "form-action" in part)

    assert policies["https://partner.example/callback"] == "form-action 'self' https:"
    assert policies["http://127.0.0.1/cb"] == "form-action 'self' https: http://localhost:* http://127.0.0.1:*"
    assert policies["com.example.app:/cb"] == "form-action 'self'"  # the form ends on a page of ours, which opens the app


def test_a_decision_is_answered_with_303(go: Go) -> None:
    """Never 307, which would send the form to the app (security.md 13)."""
    journey = go()

    assert journey.agree(journey.ask()).status_code == 303
    assert journey.answer(journey.ask(prompt="consent"), decision="deny").status_code == 303


def test_an_app_with_a_scheme_of_its_own_is_opened_from_a_page_that_stays(partners: Apps, go: Go) -> None:
    """A browser that hands an address to a program keeps the page that it is on, so that page says what to do (security.md 10, 14)."""
    uri = "com.example.app:/cb?from=us&a=b"
    journey = go(partners.register(application_type="native", redirect_uris=(uri,)), redirect_uri=uri)

    allowed, denied = journey.agree(journey.ask(state="a;b'c")), journey.answer(journey.ask(), decision="deny")

    for page in (allowed, denied):
        assert page.status_code == 200
        assert "location" not in page.headers
        assert "You can close this page" in _words(page)
        assert "Open the app again" in _words(page)
        assert "This opens the program for com.example.app: addresses" in _words(page)
        assert {name: page.headers[name] for name, _ in OWN_HEADERS} == dict(OWN_HEADERS)
        assert _onward(page) == html.unescape(re.findall(r'http-equiv="refresh" content="0;url=([^"]+)"', page.text)[0])
    params = parse_qs(urlsplit(_onward(allowed)).query)
    assert _onward(allowed).startswith(uri + "&code=")
    assert params["state"] == ["a;b'c"]
    form = {"grant_type": "authorization_code", "code": params["code"][0], "code_verifier": journey.verifier, **journey.app.proof}
    assert partners.server.http.post("/api/oauth/token", data=form).status_code == 200
    assert "error=access_denied" in _onward(denied)
    assert journey.ask(scope="nonsense", prompt="none").text.count("error=invalid_scope") == 2  # the other ways to an app, too


def _onward(page: httpx.Response) -> str:
    """Return where the page's link opens the app."""
    return html.unescape(re.findall(r'class="button" href="([^"]+)"', page.text)[0])


def test_a_decision_without_its_token_is_refused(go: Go) -> None:
    """Nothing is granted (security.md 16)."""
    journey = go()
    journey.ask()

    for entries in ({}, {"request": "made-up"}):
        refused = journey.browser.send("/oauth/consent", decision="authorize", space="all", **entries)
        assert refused.status_code == 400
        assert refused.headers["content-type"].startswith("text/html")


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_decision_from_another_session_is_refused(partners: Apps, partner: App, go: Go) -> None:
    """Of another person, and of the same person in another browser (security.md 16)."""
    page = go().ask()
    token = value_of(page.text, "request")

    for thief in (go(person=partners.organization.user()), go()):
        refused = thief.browser.send("/oauth/consent", request=token, decision="authorize", space="all")
        assert refused.status_code == 403
        assert "location" not in refused.headers

    async def work(session: Any) -> Any:
        return await session.scalar(select(OAuthConsent).where(OAuthConsent.oauth_client_id == partner.pk))

    assert partners.organization.write(work) is None


def test_a_decision_sent_by_another_site_is_refused(go: Go) -> None:
    """Even with its token, where the browser says who sent it (security.md 16)."""
    journey = go()
    token = value_of(journey.ask().text, "request")

    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
        refused = journey.browser.http.post(
            "/oauth/consent", data={"request": token, "decision": "authorize", "space": "all"}, headers=headers
        )
        assert refused.status_code == 403


def test_a_browser_that_says_origin_null_can_still_decide(go: Go) -> None:
    """The pages send no referrer, so old browsers on plain HTTP say no more; the token decides (security.md 14, 16)."""
    journey = go()
    token = value_of(journey.ask().text, "request")

    form = {"request": token, "decision": "authorize", "space": "all"}
    assert "code" in came(journey.browser.http.post("/oauth/consent", data=form, headers={"Origin": "null"}))


def test_a_page_works_once_and_its_replay_is_a_page(go: Go) -> None:
    """Not raw JSON (security.md 17)."""
    journey = go()
    page = journey.ask()
    journey.agree(page)

    for replay in (journey.agree(page), journey.answer(page, decision="deny"), journey.answer(page, "/oauth/account", choice="other")):
        assert replay.status_code == 409
        assert replay.headers["content-type"].startswith("text/html")
        assert "works once" in replay.text
        assert "location" not in replay.headers


def test_a_page_that_was_open_for_too_long_is_over(go: Go, clock: Frozen) -> None:
    """Ten minutes (security.md 17)."""
    journey = go()
    page = journey.ask()
    clock.advance(timedelta(seconds=601))

    assert journey.agree(page).status_code == 409


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_denied_app_learns_it_and_the_audit_trail_too(partners: Apps, partner: App, go: Go) -> None:
    """`access_denied`, with the state."""
    journey = go()

    back = came(journey.answer(journey.ask(), decision="deny"))

    assert (back["error"], back["state"]) == ("access_denied", "state-1")

    async def work(session: Any) -> Any:
        return await session.scalar(
            select(AuditEvent).where(AuditEvent.action == "consent.refused", AuditEvent.organization_id == partners.organization.id)
        )

    event = partners.organization.write(work)
    assert (event.target_id, event.target_name) == (partner.pk, "Partner")


def test_the_chosen_space_binds_the_code_the_token_and_what_the_app_sees(partners: Apps, go: Go) -> None:
    """Nothing outside it is there for the app (issue 3: Space picker)."""
    organization = partners.organization
    retail, finance = organization.space("Retail"), organization.space("Finance")
    organization.agent("Prices", retail)
    organization.agent("Ledger", finance)
    organization.agent("Notes")
    journey = go()

    tokens = journey.redeem(journey.agree(journey.ask(), str(retail)))

    agents = organization.server.http.get("/api/v1/agent/all", headers={"Authorization": f"Bearer {tokens['access_token']}"}).json()
    assert [agent["name"] for agent in agents] == ["Prices"]
    assert _claims(tokens)["space"] == retail


def test_the_personal_space_can_be_chosen(partners: Apps, go: Go) -> None:
    """Then the app sees personal agents only."""
    organization = partners.organization
    organization.agent("Prices", organization.space("Retail"))
    organization.agent("Notes")
    journey = go()

    tokens = journey.redeem(journey.agree(journey.ask(), "personal"))

    agents = organization.server.http.get("/api/v1/agent/all", headers={"Authorization": f"Bearer {tokens['access_token']}"}).json()
    assert [agent["name"] for agent in agents] == ["Notes"]


@pytest.mark.parametrize("space", ["", "everything", "0", "999999", "99999999999", "-1", "²"])
def test_a_space_that_is_not_offered_is_refused_and_the_page_stays(go: Go, space: str) -> None:
    """It is asked for again, with the same token."""
    journey = go()
    page = journey.ask()

    refused = journey.agree(page, space)

    assert refused.status_code == 422
    assert "Choose one of the Spaces offered." in refused.text
    assert "code" in came(journey.agree(page))


def test_a_user_cannot_grant_a_space_that_they_may_not_enter(partners: Apps, partner: App, go: Go) -> None:
    """Nor is it offered."""
    organization = partners.organization
    secret, grace = organization.space("Secret"), organization.user()
    retail = organization.space("Retail")
    organization.member(retail, grace, Role.VIEWER)
    journey = go(partner, grace)

    page = journey.ask()

    assert "Secret" not in page.text
    assert "Retail (viewer)" in page.text
    assert journey.agree(page, str(secret)).status_code == 422


def test_what_was_agreed_to_is_not_asked_again(go: Go) -> None:
    """Nor is less than that; more is, and another resource is."""
    journey = go()
    journey.agree(journey.ask(scope="agents:read runs:read"))

    assert "code" in came(journey.ask(scope="agents:read runs:read"))
    assert "code" in came(journey.ask(scope="runs:read"))
    assert journey.ask(scope="agents:read billing:read").status_code == 200
    assert journey.ask(scope="agents:read", resource=journey.apps.server.url).status_code == 200


def test_the_earlier_choice_of_a_space_holds(partners: Apps, go: Go) -> None:
    """As long as the user may enter it."""
    organization = partners.organization
    retail, grace = organization.space("Retail"), organization.user()
    organization.member(retail, grace, Role.VIEWER)
    journey = go(person=grace)
    journey.agree(journey.ask(), str(retail))

    assert _claims(journey.redeem(journey.ask()))["space"] == retail
    assert f'<option value="{retail}" selected>' in journey.ask(prompt="consent").text

    organization.member(retail, grace, None)
    assert "wants to act for" in journey.ask().text


def test_a_changed_app_asks_again(partners: Apps, partner: App, go: Go) -> None:
    """Other redirect addresses or keys are another app (security.md 73)."""
    journey = go()
    journey.agree(journey.ask())

    async def work(session: Any) -> None:
        (await session.get(OAuthClient, partner.pk)).version += 1
        invalidate(session, EVERYTHING)

    partners.organization.write(work)
    assert "wants to act for" in journey.ask().text


def test_a_public_local_program_asks_each_time(partners: Apps, go: Go) -> None:
    """An earlier consent does not speak for whoever holds the port now (OAuth 2.1 section 7.3.1)."""
    journey = go(
        partners.register(application_type="native", redirect_uris=("http://127.0.0.1/cb",)), redirect_uri="http://127.0.0.1:5000/cb"
    )
    journey.agree(journey.ask())

    assert "wants to act for" in journey.ask().text
    assert came(journey.ask(prompt="none"))["error"] == "consent_required"


def test_consents_of_one_user_are_not_those_of_another(partners: Apps, partner: App, go: Go) -> None:
    """Each decides for themselves."""
    journey = go()
    journey.agree(journey.ask())

    assert "wants to act for" in go(partner, partners.organization.user()).ask().text


def test_the_grant_knows_its_browser_session_and_when_the_password_was_given(partners: Apps, partner: App, go: Go, clock: Frozen) -> None:
    """A grant without offline access ends with the session; `auth_time` is the password's, not the consent's."""
    journey = go()
    signed_in = kit_clock.now()
    clock.advance(timedelta(seconds=120))
    journey.agree(journey.ask())

    async def work(session: Any) -> Any:
        return await session.scalar(select(OAuthGrant).where(OAuthGrant.oauth_client_id == partner.pk))

    grant = partners.organization.write(work)
    assert grant.browser_session_id is not None
    assert not grant.offline
    assert abs(grant.auth_time - signed_in) < timedelta(seconds=1)


def test_a_session_that_ended_meanwhile_grants_nothing(partners: Apps, go: Go) -> None:
    """Signed out in between: the person has to sign in."""
    journey = go()
    page = journey.ask()

    async def work(session: Any) -> None:
        user = await users.get(session, partners.organization.id, partners.organization.admin.id)
        await sessions.end_all(session, user.id)

    partners.organization.write(work)
    assert journey.agree(page).headers["location"].startswith("/login")


def test_an_app_that_was_revoked_meanwhile_gets_nothing(partners: Apps, partner: App, go: Go) -> None:
    """The page says so."""
    journey = go()
    page = journey.ask()

    async def work(session: Any) -> None:
        (await session.get(OAuthClient, partner.pk)).status = "revoked"

    partners.organization.write(work)
    assert journey.agree(page).status_code == 409


def _policy(organization: People, app: App, approved: bool | None) -> None:
    async def work(session: Any) -> None:
        (await session.get(Organization, organization.id)).app_approval = True
        row = await session.get(OAuthApproval, (organization.id, app.pk))
        if row is not None:
            row.approved, row.client_version = approved, 1

    organization.write(work)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_an_app_from_elsewhere_waits_for_an_administrator_where_the_policy_says_so(partners: Apps, other: People, go: Go) -> None:
    """The ask is noted once; approved it goes on, blocked it stays out."""
    app, organization = Apps(other).register(name="From elsewhere"), partners.organization
    _policy(organization, app, None)
    journey = go(app, organization.user("Grace User"))

    waiting = journey.ask()
    journey.ask()
    assert "interaction_required" in journey.ask(prompt="none").text  # and a person looks where the app would go
    assert waiting.status_code == 403
    assert "An administrator has to approve this app" in waiting.text

    async def work(session: Any) -> Any:
        return await session.get(OAuthApproval, (organization.id, app.pk))

    approval = organization.write(work)
    assert (approval.approved, approval.asked_by_name) == (None, "Grace User")

    _policy(organization, app, approved=True)
    page = journey.ask()
    assert "wants to act for" in page.text

    _policy(organization, app, approved=False)
    assert "has blocked this app" in journey.agree(page).text
    assert "has blocked this app" in journey.ask().text


def test_a_blocked_app_stays_out_without_the_policy_too(partners: Apps, other: People, go: Go) -> None:
    """An administrator's no is a no."""
    app, organization = Apps(other).register(), partners.organization

    async def work(session: Any) -> None:
        session.add(OAuthApproval(organization_id=organization.id, oauth_client_id=app.pk, approved=False, updated_at=kit_clock.now()))

    assert go(app).ask().status_code == 200
    organization.write(work)
    assert go(app).ask().status_code == 403


def test_the_organizations_own_apps_need_no_approval(partners: Apps, partner: App, go: Go) -> None:
    """An administrator made them."""
    _policy(partners.organization, partner, None)

    assert go().ask().status_code == 200
