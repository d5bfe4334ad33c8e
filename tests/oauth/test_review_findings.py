"""What a hostile review of the authorization server found: each of these was possible once."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin
from latchpin.errors import Conflict
from latchpin.identity import sessions, users
from latchpin.identity.sessions import SignedInUser
from latchpin.oauth import authorization_request, authorize, client_admin, connected, resource_admin
from latchpin.oauth.authorize import Outcome, ShowPrompt
from latchpin.oauth.client_admin import DEVICE, EXCHANGE, ClientFields
from latchpin.oauth.client_assertion import TYPE
from latchpin.oauth.clients import CALLBACK, CONTROL_CENTER
from latchpin.oauth.grants.token_exchange import API_KEY
from latchpin.storage.models import OAuthConsent, OAuthGrant
from latchpin.verify import InvalidToken, Verifier
from tests.support import changes
from tests.support.apps import CALLBACK as APP_CALLBACK
from tests.support.apps import TOKEN, App, Apps
from tests.support.authorizing import Go, came, introduce
from tests.support.people import PASSWORD, Organization, Person
from tests.support.sign_in_attempts import meet
from tests.support.tokens import claims, resource, with_client


def test_codes_of_our_own_app_go_to_our_own_port_only(go: Go) -> None:
    """Nobody is asked about the Control Center, so another program on the same computer must not get its codes (security.md 3)."""
    journey = go()
    ours = journey.browser.server.settings.public_url + CALLBACK

    assert ours.startswith("http://127.0.0.1:")  # where other apps may have any port
    response = journey.ask(client_id=CONTROL_CENTER, redirect_uri=f"http://127.0.0.1:9{CALLBACK}")

    assert response.status_code == 400
    assert "location" not in response.headers


def _signed_in(organization: Organization, person: Person) -> SignedInUser:
    async def work(session: AsyncSession) -> SignedInUser:
        user = await users.get(session, organization.id, person.id)
        opened = await sessions.open_(session, user, organization.server.settings, Origin())
        signed_in_user = await sessions.find(session, opened.token, organization.server.settings)
        assert signed_in_user is not None
        return signed_in_user

    return organization.write(work)


async def _disabled(session: AsyncSession, organization: Organization, person: Person) -> None:
    await users.disable(session, await users.get(session, organization.id, person.id), by=organization.admin.actor)


async def _reset(session: AsyncSession, organization: Organization, person: Person) -> None:
    await changes.reset_password(session, await users.get(session, organization.id, person.id), by=organization.admin.actor)


async def _withdrawn(session: AsyncSession, organization: Organization, person: Person) -> None:
    user = await users.get(session, organization.id, person.id)
    client = await session.scalar(select(OAuthConsent.oauth_client_id).where(OAuthConsent.user_id == person.id))
    assert client is not None
    await connected.withdraw(session, user, client, by=person.actor)


@pytest.mark.parametrize("changed", [_disabled, _reset, _withdrawn])
@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_request_that_meets_the_end_of_its_consent_leaves_no_grant(go: Go, organization: Organization, changed: Any) -> None:
    """What ends all grants cannot see one that is being made, so the one that is being made waits for it (security.md 34, 39)."""
    person = organization.user()
    journey = go(None, person)
    came(journey.agree(journey.ask()))
    encoded = journey.query().encode()
    services = organization.server.services
    who = _signed_in(organization, person)

    async def come_again() -> Outcome:
        to = await authorization_request.target(services, encoded, await services.now())
        async with organization.server.database.transaction() as session:
            return await authorize.begin(session, services, to, encoded, who)

    outcome = meet(organization.server, lambda session: changed(session, organization, person), come_again)

    assert isinstance(outcome, ShowPrompt | Conflict), outcome

    async def living(session: AsyncSession) -> list[OAuthGrant]:
        theirs = select(OAuthGrant).where(OAuthGrant.user_id == person.id, OAuthGrant.oauth_client_id == journey.app.pk)
        return list(await session.scalars(theirs.where(OAuthGrant.ended_at.is_(None))))

    assert organization.write(living) == []


def test_no_token_is_made_for_a_resource_that_was_deleted(organization: Organization, partners: Apps, partner: App) -> None:
    """Whoever takes over its address gets no more of them, by a refresh or by a code that waited (security.md 44)."""
    data, other = resource(organization, "https://data.example"), resource(organization, "https://other.example")
    both = f"{data.identifier} {other.identifier}"
    tokens, code = partners.tokens(partner, resource=both), partners.code(partner, resource=both)

    async def delete(session: AsyncSession) -> None:
        await resource_admin.delete(session, await resource_admin.get(session, organization.id, data.id), by=organization.admin.actor)

    organization.write(delete)

    for refused in (partners.refresh(partner, tokens.refresh), partners.redeem(partner, code)):
        assert refused.status_code == 400
        assert refused.json()["error"] == "invalid_target"
    left = partners.refresh(partner, tokens.refresh, resource=other.identifier)
    assert claims(left.json()["access_token"])["aud"] == other.identifier


def test_what_an_administrator_takes_from_an_app_its_users_cannot_give_it(organization: Organization, partners: Apps) -> None:
    """The scopes of an app are the most that it may have, with the next request of every token (security.md 49, 50)."""
    app = partners.register(scopes=("spaces:read", "agents:read", "offline_access"))
    tokens = partners.tokens(app, scope="agents:read spaces:read offline_access")
    assert partners.get("/agent/all", tokens).status_code == 200
    less = ClientFields(name="Partner", redirect_uris=(APP_CALLBACK,), scopes=("spaces:read",))

    with_client(organization, app, lambda session, client, by: client_admin.change(session, client, less, by=by))

    assert partners.get("/agent/all", tokens).status_code == 403
    assert partners.refresh(app, tokens.refresh).json()["scope"] == "spaces:read offline_access"


def test_a_consent_page_leads_to_no_address_that_was_taken_from_the_app(go: Go, organization: Organization, partner: App) -> None:
    """An address that an administrator removed gets no code from a page that was open meanwhile (security.md 3)."""
    journey = go()
    page = journey.ask()
    moved = ClientFields(name="Partner", redirect_uris=("https://moved.example/callback",))

    with_client(organization, partner, lambda session, client, by: client_admin.change(session, client, moved, by=by))
    response = journey.agree(page)

    assert response.status_code == 409
    assert "location" not in response.headers


def test_an_assertion_nested_without_end_is_refused_like_any_other(organization: Organization) -> None:
    """It is not our failure (security.md 61)."""
    deep = f"eyJhbGciOiJSUzI1NiJ9.{base64.urlsafe_b64encode(b'[' * 5000).decode()}.aa"
    form = {"grant_type": "client_credentials", "client_assertion_type": TYPE, "client_assertion": deep.replace("=", "")}

    response = organization.server.http.post(TOKEN, data=form)

    assert response.status_code == 401
    assert response.json()["error"] == "invalid_client"


@pytest.mark.parametrize("path", ["/oauth/account", "/oauth/confirm"])
def test_a_device_is_not_decided_by_the_steps_of_an_app(go: Go, partners: Apps, path: str) -> None:
    """Their forms lead nowhere with a device's token, and it still waits."""
    journey = go()
    app = partners.register(name="Television", grant_types=(DEVICE,), redirect_uris=())
    device_authorization = partners.server.http.post("/api/oauth/device_authorization", data=app.proof).json()
    page = journey.browser.send("/device", user_code=device_authorization["user_code"])

    response = journey.answer(page, path, choice="this", password=PASSWORD)

    assert response.status_code == 409
    assert journey.agree(page).headers["location"] == "/device/allowed"


def test_an_app_of_another_organization_is_shown_as_what_it_is_to_us(go: Go, organization: Organization, other: Organization) -> None:
    """Its name and home page are the word of people whom nobody here knows, like those of an app that made itself known (security.md 8)."""
    app = Apps(other).register(name="Payroll", client_uri="https://payroll.example/")
    journey = go(app)

    page = journey.ask()

    assert "Nobody here has checked it" in page.text
    assert "payroll.example" not in page.text
    assert journey.ask(response_type="token").status_code == 400  # a person looks before the browser goes there
    assert came(journey.agree(journey.ask()))["code"]


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_token_of_an_exchanged_key_is_active_in_the_keys_networks_only(organization: Organization) -> None:
    """Whoever took it from there cannot use it elsewhere, at a resource server neither."""
    server, key = resource(organization), organization.key(networks=("127.0.0.0/8",))
    form = {"grant_type": EXCHANGE, "subject_token_type": API_KEY, "subject_token": key.secret, "resource": server.identifier}
    token = organization.server.http.post(TOKEN, data=form).json()["access_token"]

    def active(**more: str) -> bool:
        response = organization.server.http.post("/api/oauth/introspect", data={"token": token, **more}, auth=server.proof)
        return bool(response.json()["active"])

    assert active(client_address="127.0.0.9")
    assert not active(client_address="192.0.2.9")
    assert not active()


def test_a_verifier_refuses_tokens_of_another_organization_that_registered_the_same_address(
    organization: Organization, other: Organization
) -> None:
    """Nobody can claim an address by registering it; the resource's own server says whose users it serves (security.md 45)."""
    ours, theirs = resource(organization), resource(other)
    tokens = {each: Apps(each).tokens(Apps(each).register(), resource=ours.identifier).access for each in (organization, other)}
    assert ours.identifier == theirs.identifier
    verifier = Verifier(organization.server.url, audience=ours.identifier, organization=organization.id)

    assert verifier.verify(tokens[organization]).organization == organization.id
    with pytest.raises(InvalidToken, match="another organization"):
        verifier.verify(tokens[other])


def test_signing_out_is_no_way_to_an_address_that_an_app_registered_itself(organization: Organization, partners: Apps) -> None:
    """Anybody's own ID token would open it to everybody who is not signed in; such a browser comes to our sign-in page (security.md 8)."""
    onward = "https://evil.example/bye"
    app = introduce(partners, partners.register(post_logout_redirect_uris=(onward,)))
    hint = str(partners.tokens(app, scope="openid").answer["id_token"])

    with organization.server.client() as stranger:
        response = stranger.get("/api/oauth/logout", params={"id_token_hint": hint, "post_logout_redirect_uri": onward})

    assert response.status_code == 303
    assert response.headers["location"] == "/login"
