"""What a user let act, seen and taken back: by the user, and by an administrator."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import grants, sessions
from latchpin.identity.roles import Role
from latchpin.identity.scopes import ALL
from latchpin.kit import clock as kit_clock
from latchpin.oauth import client_list, connected
from latchpin.oauth.client_admin import DEVICE, EXCHANGE
from latchpin.oauth.connected import ConnectedApp
from latchpin.oauth.grants.token_exchange import API_KEY
from latchpin.storage.models import OAuthClient, OAuthConsent, OAuthGrant
from latchpin.storage.models.oauth_grant import Reach
from tests.support import changes
from tests.support.apps import Apps
from tests.support.people import Organization, Person
from tests.support.signed_in import SignedIn, problem
from tests.support.wire import audit, stored
from tests.web.browser import Browser

pytestmark = pytest.mark.both_databases("lists with joins, and consents that end by updates")


@pytest.fixture
def apps(organization: Organization) -> Apps:
    """Apps of the organization."""
    return Apps(organization)


@pytest.fixture
def admin(organization: Organization) -> SignedIn:
    """The administrator's session."""
    return SignedIn(organization.server, organization.admin)


@pytest.fixture
def grace(organization: Organization) -> Person:
    """An ordinary user."""
    return organization.user()


def _of(organization: Organization, person: Person) -> list[ConnectedApp]:
    return organization.write(lambda session: connected.of_user(session, person.id, organization.server.settings))


def _agreed(organization: Organization, person: Person, client_pk: int) -> None:
    """Note a consent, as the consent page does."""

    async def work(session: AsyncSession) -> None:
        row = OAuthConsent(user_id=person.id, oauth_client_id=client_pk, client_version=1, scopes="agents:read", reach=Reach.ALL)
        row.created_at = row.updated_at = kit_clock.now()
        session.add(row)

    organization.write(work)


def _account(organization: Organization, person: Person) -> str:
    """Return the words of the person's My account page."""
    browser = Browser(organization.server)
    with closing(browser.http):
        browser.sign_in(person)
        return " ".join(re.sub(r"<[^>]+>", " ", browser.open("/account").text).split())


def test_grants_of_one_app_are_one_entry(organization: Organization, apps: Apps, grace: Person) -> None:
    """Scopes and places of all its grants together; another user's are not among them."""
    app, space = apps.register(name="Partner"), organization.space("Retail")
    organization.member(space, grace, Role.VIEWER)
    apps.tokens(app, grace, scope="agents:read offline_access", reach=Reach.PERSONAL)
    apps.tokens(app, grace, scope="spaces:read offline_access", reach=Reach.SPACE, space_id=space)
    apps.tokens(app, grace, scope="runs:read offline_access")
    apps.tokens(app)

    (connected_app,) = _of(organization, grace)

    assert (connected_app.client.id, connected_app.active) == (app.pk, True)
    assert connected_app.scopes == "agents:read runs:read spaces:read offline_access"
    assert {(place.reach, place.name) for place in connected_app.spaces} == {
        (Reach.PERSONAL, None),
        (Reach.SPACE, "Retail"),
        (Reach.ALL, None),
    }
    assert connected_app.until is not None
    assert connected_app.last_used_at is not None


def test_what_ends_with_the_browser_session_has_no_end_of_its_own_and_goes_with_it(
    organization: Organization, apps: Apps, grace: Person
) -> None:
    """A grant without offline_access is listed as long as the session lives."""
    apps.tokens(apps.register(), grace, scope="agents:read")
    (connected_app,) = _of(organization, grace)
    assert connected_app.until is None

    changes.on(organization, grace, lambda session, user: sessions.end_all(session, user.id))

    assert _of(organization, grace) == []


def test_an_app_with_nothing_but_the_users_word_is_listed(organization: Organization, apps: Apps, grace: Person) -> None:
    """It may come back without asking, until the word is taken back."""
    app = apps.register()
    _agreed(organization, grace, app.pk)

    (connected_app,) = _of(organization, grace)

    assert (connected_app.client.id, connected_app.active, connected_app.until) == (app.pk, False, None)


def test_an_app_tells_when_it_was_last_used_after_its_grant_has_ended(
    organization: Organization, apps: Apps, grace: Person, clock: kit_clock.Frozen
) -> None:
    """After a sign-out, and for as long as the user's word stands; grants that tell nothing are swept."""
    app = apps.register(name="Partner")
    _agreed(organization, grace, app.pk)
    apps.tokens(app, grace, scope="agents:read")
    clock.advance(timedelta(hours=1))
    apps.tokens(app, grace, scope="agents:read")
    used_at = kit_clock.now()
    changes.on(organization, grace, lambda session, user: sessions.end_all(session, user.id))

    (connected_app,) = _of(organization, grace)
    assert (connected_app.active, connected_app.last_used_at) == (False, used_at)
    clock.advance(timedelta(days=200))
    organization.write(grants.purge_expired)
    counted = select(func.count(OAuthGrant.id)).where(OAuthGrant.user_id == grace.id)

    assert [each.last_used_at for each in _of(organization, grace)] == [used_at]
    assert organization.write(lambda session: session.scalar(counted)) == 1
    page = _account(organization, grace)
    assert "Nothing now. Without asking it can have again: See agents and their schedules" in page
    assert "Never" not in page


@pytest.mark.parametrize(
    "entry",
    [
        {"redirect_uris": ("http://127.0.0.1/callback",), "application_type": "native"},
        {"redirect_uris": (), "application_type": "native", "grant_types": (DEVICE, "refresh_token")},
    ],
    ids=["local program", "device"],
)
def test_an_app_that_asks_each_time_is_not_connected_after_its_grant_has_ended(
    organization: Organization, apps: Apps, grace: Person, entry: dict[str, Any]
) -> None:
    """The command line's sign-out is one: nothing of it could come back without asking."""
    app = apps.register(**entry)
    _agreed(organization, grace, app.pk)

    assert _of(organization, grace) == []


def test_an_app_that_asks_each_time_is_connected_as_long_as_it_has_a_grant(organization: Organization, apps: Apps, grace: Person) -> None:
    """Until it revokes its own token, as `latchpin logout` does."""
    app = apps.register(redirect_uris=("http://127.0.0.1/callback",), application_type="native")
    _agreed(organization, grace, app.pk)
    tokens = apps.tokens(app, grace, redirect_uri="http://127.0.0.1/callback")
    assert [each.active for each in _of(organization, grace)] == [True]

    organization.server.http.post("/api/oauth/revoke", data={"token": tokens.refresh, **app.proof})

    assert _of(organization, grace) == []


def test_an_app_that_changed_is_not_connected_by_the_word_for_what_it_was(organization: Organization, apps: Apps, grace: Person) -> None:
    """It asks again."""
    app = apps.register()
    _agreed(organization, grace, app.pk)

    async def change(session: AsyncSession) -> None:
        (await session.get_one(OAuthClient, app.pk)).version += 1

    organization.write(change)

    assert _of(organization, grace) == []


def test_an_app_is_not_said_to_do_more_than_it_may_have(organization: Organization, apps: Apps, grace: Person, admin: SignedIn) -> None:
    """Scopes that an administrator has taken from an app are taken from what is listed, too."""
    app = apps.register(name="Partner")
    apps.tokens(app, grace, scope=f"{' '.join(sorted(ALL))} offline_access")
    assert "Everything the API offers" in _account(organization, grace)

    async def narrow(session: AsyncSession) -> None:
        (await session.get_one(OAuthClient, app.pk)).scopes = "agents:read"

    organization.write(narrow)

    assert [each.scopes for each in _of(organization, grace)] == ["agents:read offline_access"]
    assert "Everything the API offers" not in _account(organization, grace)
    (user,) = organization.write(lambda session: client_list.users_of(session, organization.id, app.pk))
    assert user.scopes == {"agents:read", "offline_access"}


def test_what_a_key_was_exchanged_for_is_told_with_the_key_and_ends_with_it(organization: Organization, grace: Person) -> None:
    """At most what the key may, until the key ends; a revoked key leaves nothing."""
    key = organization.key(grace, description="Nightly export")
    form = {"grant_type": EXCHANGE, "subject_token": key.secret, "subject_token_type": API_KEY, "scope": "agents:read"}
    assert organization.server.http.post("/api/oauth/token", data=form).status_code == 200

    (connected_app,) = _of(organization, grace)
    assert connected_app.last_used_at is not None
    assert connected_app.until == stored(organization, key).expires_at
    page = _account(organization, grace)
    assert "At most, with API key Nightly export: Everything the API offers" in page
    assert "Never" not in page[page.index("Connected apps") : page.index("My API keys")]
    organization.revoke(key)

    assert _of(organization, grace) == []


def test_withdrawing_ends_tokens_and_consent_at_once(organization: Organization, apps: Apps, grace: Person) -> None:
    """The next request is refused; refreshing too; others' grants of the same app go on (security.md 39, 49, 114)."""
    app = apps.register()
    _agreed(organization, grace, app.pk)
    tokens, others = apps.tokens(app, grace), apps.tokens(app)
    assert apps.get("/agent/all", tokens).status_code == 200

    changes.on(organization, grace, lambda session, user: connected.withdraw(session, user, app.pk, by=grace.actor))

    assert apps.get("/agent/all", tokens).status_code == 401
    assert apps.refresh(app, tokens.refresh).status_code == 400
    assert apps.get("/agent/all", others).status_code == 200
    assert _of(organization, grace) == []
    (record,) = audit(organization, "consent.withdrawn", target_id=app.pk)
    assert record.actor_id == grace.id
    (ended,) = audit(organization, "grant.ended", target_name="Partner", organization_id=organization.id)
    assert ended.reason == "consent withdrawn"


def test_an_administrator_sees_and_ends_what_a_user_allowed(organization: Organization, apps: Apps, admin: SignedIn, grace: Person) -> None:
    """Per app, with the user named in the audit log (security.md 114)."""
    app = apps.register(name="Partner")
    tokens = apps.tokens(app, grace)

    (connected_app,) = admin.get(f"/users/{grace.id}/grants").json()
    assert (connected_app["appId"], connected_app["name"], connected_app["active"]) == (app.pk, "Partner", True)
    assert connected_app["places"] == [{"reach": "all", "space": None}]
    assert admin.delete(f"/users/{grace.id}/grants/{app.pk}").status_code == 204

    assert apps.get("/agent/all", tokens).status_code == 401
    assert admin.get(f"/users/{grace.id}/grants").json() == []
    (ended,) = audit(organization, "grant.ended", target_name="Partner", organization_id=organization.id)
    assert ended.reason == "ended by an administrator"
    problem(admin.delete(f"/users/{grace.id}/grants/{app.pk}"), 404, "connected-app-not-found")


def test_an_administrator_sees_and_ends_a_users_sessions(organization: Organization, apps: Apps, admin: SignedIn, grace: Person) -> None:
    """The browser is signed out by the next request, and what apps held through it ends too."""
    browser = SignedIn(organization.server, grace)
    (session,) = admin.get(f"/users/{grace.id}/sessions").json()
    assert session["address"] == "127.0.0.1"

    assert admin.delete(f"/users/{grace.id}/sessions/{session['id']}").status_code == 204

    assert browser.request("GET", "/api/v1/agent/all").status_code == 401
    assert admin.get(f"/users/{grace.id}/sessions").json() == []
    (record,) = audit(organization, "session.ended", target_id=grace.id)
    assert (record.target_name, record.actor_id) == (grace.email, organization.admin.id)


def test_a_session_is_found_only_under_its_own_user(organization: Organization, admin: SignedIn, grace: Person) -> None:
    """An address that joins a user with somebody else's session leads nowhere."""
    session_id = changes.sign_in(organization, organization.user()).session_id

    problem(admin.delete(f"/users/{grace.id}/sessions/{session_id}"), 404, "session-not-found")


def test_users_of_another_organization_are_out_of_reach(other: Organization, admin: SignedIn) -> None:
    """Neither sessions nor apps of theirs are seen or ended."""
    theirs, person = Apps(other), other.user()
    app = theirs.register()
    tokens = theirs.tokens(app, person)

    for response in (
        admin.get(f"/users/{person.id}/sessions"),
        admin.get(f"/users/{person.id}/grants"),
        admin.delete(f"/users/{person.id}/grants/{app.pk}"),
    ):
        problem(response, 404, "user-not-found")
    assert theirs.get("/agent/all", tokens).status_code == 200


def test_nothing_is_withdrawn_that_was_never_given(organization: Organization, apps: Apps, grace: Person, admin: SignedIn) -> None:
    """An app that only others use is not the user's to withdraw."""
    app = apps.register()
    tokens = apps.tokens(app)

    problem(admin.delete(f"/users/{grace.id}/grants/{app.pk}"), 404, "connected-app-not-found")
    assert apps.get("/agent/all", tokens).status_code == 200
