"""What an access token says, what it opens, and when it stops: one decision for tokens and keys."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

import latchpin
from latchpin.audit import Actor
from latchpin.identity import grants, scopes, sessions, spaces
from latchpin.identity.membership import MOST_SPACES
from latchpin.identity.roles import Group, Role
from latchpin.kit import clock as kit_clock
from latchpin.kit import cookie_names
from latchpin.oauth import client_admin
from latchpin.storage.generation import invalidate
from latchpin.storage.models import OAuthGrant, RevokedToken, Space
from latchpin.storage.models.oauth_grant import Reach
from latchpin.storage.models.space import SpaceScope
from latchpin.storage.subjects import EVERYTHING
from tests.support import changes
from tests.support.apps import OFFLINE, App, Apps, Tokens
from tests.support.forgery import claims, header, resigned
from tests.support.people import Organization, Person
from tests.support.server import Server
from tests.support.wire import LIST, audit, limits, statements

BY = Actor("test")
End = Callable[[Apps, App, Person, Tokens], None]


@pytest.fixture
def apps(organization: Organization) -> Apps:
    """Apps of the organization."""
    return Apps(organization)


@pytest.fixture
def alone(serve: Callable[..., Server]) -> Apps:
    """Apps in a deployment of the test's own, where no other test's global Space is seen."""
    return Apps(Organization(serve()))


@pytest.fixture
def app(apps: Apps) -> App:
    """A public app."""
    return apps.register()


def refused(response: httpx.Response) -> bool:
    """Whether the answer is the one that makes apps refresh."""
    return response.status_code == 401 and 'error="invalid_token"' in response.headers["www-authenticate"]


# ---- what it says ----


def test_a_token_says_what_the_profile_asks_for(apps: Apps, app: App) -> None:
    """Header and claims of RFC 9068, with the Space, and never the client as audience (security.md 41, 42)."""
    home = apps.organization
    person, space_id = home.user(), home.space("Retail")
    home.member(space_id, person, Role.OPERATOR)

    token = apps.tokens(app, person, reach=Reach.SPACE, space_id=space_id).access

    assert header(token)["typ"] == "at+jwt"
    payload = claims(token)
    assert set(payload) >= {"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "sid", "org", "role", "spaces"}
    assert (payload["iss"], payload["sub"], payload["client_id"]) == (apps.server.url, str(person.id), app.client_id)
    assert payload["aud"] != app.client_id
    assert (payload["org"], payload["role"], payload["space"]) == (home.id, "User", space_id)
    assert payload["spaces"] == [{"id": space_id, "name": "Retail", "role": "operator"}]


def test_the_audience_is_our_api_where_no_resource_is_asked_for(apps: Apps, app: App) -> None:
    """Its own identifier, which is the public address (security.md 43)."""
    assert claims(apps.tokens(app).access)["aud"] == [apps.server.url, "Sequentum Enterprise"]


def test_a_token_lives_a_quarter_of_an_hour(apps: Apps, app: App, clock: kit_clock.Frozen) -> None:
    """No answer but 401 once it is over, so that its app refreshes (security.md 48)."""
    tokens = apps.tokens(app)
    assert claims(tokens.access)["exp"] - claims(tokens.access)["iat"] == tokens.answer["expires_in"] == 900

    clock.advance(timedelta(minutes=14, seconds=59))
    assert apps.get("/agent/all", tokens).status_code == 200
    clock.advance(timedelta(seconds=1))
    assert refused(apps.get("/agent/all", tokens))
    assert apps.refresh(app, tokens.refresh).status_code == 200


def test_a_token_from_the_future_waits(apps: Apps, app: App) -> None:
    """`nbf` and `iat` count, with a minute for clocks that differ (security.md 48)."""
    token = apps.tokens(app).access
    now = int(kit_clock.timestamp())

    def status(**changed: Any) -> int:
        return apps.get("/agent/all", Tokens({"access_token": resigned(apps.server, token, **changed)})).status_code

    assert (status(nbf=now + 50), status(iat=now + 50)) == (200, 200)
    assert (status(nbf=now + 120), status(iat=now + 120)) == (401, 401)


def test_a_token_fits_into_a_header_however_many_spaces_there_are(alone: Apps) -> None:
    """Beyond 100 Spaces or 4 KB of them the claim says how many are left out, and the API looks them up."""
    app = alone.register()
    home = alone.organization
    long = "Ä" * 90 + '"' * 10

    async def work(session: AsyncSession) -> None:
        for number in range(MOST_SPACES):
            fields = spaces.SpaceFields(name=f"{number} {long}")
            await spaces.create(session, home.id, fields, by=BY)

    home.write(work)
    tokens = alone.tokens(app)

    payload = claims(tokens.access)
    assert "spaces" not in payload
    assert payload["spaces_omitted"] == MOST_SPACES
    assert payload["spaces_uri"] == f"{alone.server.url}/api/v1/spaces"
    assert len(tokens.access) < 4096
    assert len(alone.get("/spaces", tokens).json()) == MOST_SPACES


def test_sixty_spaces_with_ordinary_names_are_all_told(alone: Apps) -> None:
    """In a token that every proxy takes: 8 KB for a line of the header is the least that is usual."""
    app = alone.register()
    home = alone.organization

    async def work(session: AsyncSession) -> None:
        for number in range(60):
            await spaces.create(session, home.id, spaces.SpaceFields(name=f"Prices of retailer {number:04d}"), by=BY)

    home.write(work)
    tokens = alone.tokens(app)

    assert len(claims(tokens.access)["spaces"]) == 60
    assert len(tokens.access) < 7_000
    assert alone.get("/agent/all", tokens).status_code == 200


def test_losing_one_of_very_many_spaces_is_noticed(alone: Apps) -> None:
    """A token that could not list its Spaces stands for exactly those of its moment (security.md 49)."""
    app = alone.register()
    home, person = alone.organization, alone.organization.user()

    async def work(session: AsyncSession) -> list[Space]:
        return [
            await spaces.create(session, home.id, spaces.SpaceFields(name=f"Space {number}"), by=BY) for number in range(MOST_SPACES + 1)
        ]

    space_ids = [space.id for space in home.write(work)]
    for space_id in space_ids:
        home.member(space_id, person, Role.VIEWER)
    tokens = alone.tokens(app, person)
    assert claims(tokens.access)["spaces_omitted"] == MOST_SPACES + 1
    assert alone.get("/agent/all", tokens).status_code == 200

    home.member(space_ids[50], person, None)

    assert refused(alone.get("/agent/all", tokens))


# ---- what it opens ----


def test_scope_and_role_decide_together(apps: Apps, app: App) -> None:
    """Neither the scope without the role nor the role without the scope changes an agent (security.md 50)."""
    home = apps.organization
    viewer, editor, space_id = home.user(), home.user(), home.space()
    home.member(space_id, viewer, Role.VIEWER)
    home.member(space_id, editor, Role.EDITOR)
    agent = home.agent("Book prices", space_id)

    def restore(person: Person, scope: str) -> int:
        tokens = apps.tokens(app, person, scope=scope)
        path = f"/api/v1/agent/{agent}/version/1/restore"
        return apps.server.http.post(path, headers=tokens.header, json={"content": "again"}).status_code

    assert restore(viewer, "agents:read agents:write") == 403
    assert restore(editor, "agents:read") == 403
    assert restore(editor, "agents:read agents:write") == 204


def test_a_missing_scope_is_told_with_what_would_do(apps: Apps, app: App) -> None:
    """403, `insufficient_scope`, the scopes needed and where to read about us, as RFC 6750 section 3.1 says (security.md 51)."""
    response = apps.get("/spaces", apps.tokens(app, scope="agents:read"))

    assert response.status_code == 403
    assert response.json()["errorCode"] == "insufficient_scope"
    assert response.json()["scope"] == "spaces:read"
    challenge = response.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="latchpin", error="insufficient_scope", scope="spaces:read"')
    assert f'resource_metadata="{apps.server.url}/.well-known/oauth-protected-resource"' in challenge


@pytest.mark.parametrize("scope", ["openid", "openid profile email offline_access"])
def test_identity_scopes_open_nothing_of_the_api(apps: Apps, app: App, scope: str) -> None:
    """They tell an app who signed in; the API has six scopes of its own (security.md 50)."""
    tokens = apps.tokens(app, scope=scope)

    assert [apps.get(path, tokens).status_code for path in ("/agent/all", "/spaces")] == [403, 403]


def test_a_call_without_credential_is_told_how_to_come_in(apps: Apps) -> None:
    """401 with `resource_metadata` and `scope`, and no `error` where nothing was sent (security.md 52)."""
    response = apps.server.http.get(LIST)

    assert response.status_code == 401
    challenge = response.headers["www-authenticate"]
    assert f'scope="{scopes.serialize(scopes.ALL)}"' in challenge
    assert f'resource_metadata="{apps.server.url}/.well-known/oauth-protected-resource"' in challenge
    assert "error=" not in challenge


def test_a_refused_token_is_told_to_be_refused(apps: Apps) -> None:
    """401 with `error="invalid_token"` besides (security.md 52)."""
    response = apps.server.http.get(LIST, headers={"Authorization": "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln"})

    assert refused(response)
    assert "resource_metadata=" in response.headers["www-authenticate"]
    assert response.json()["detail"].startswith("The access token was not accepted. Refresh it")


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_token_in_the_address_is_refused(apps: Apps, app: App) -> None:
    """Addresses end in logs (RFC 6750 section 5.3, security.md 53); the trail calls it a token's misuse."""
    tokens = apps.tokens(app)

    response = apps.server.http.get(LIST, params={"access_token": tokens.access})

    assert response.status_code == 401
    assert response.json()["detail"].startswith("An access token in the address is not accepted")
    assert audit(apps.organization, "access_token.refused", reason="not in the Authorization header as Bearer")


def test_a_token_in_header_and_address_is_two_credentials(apps: Apps, app: App) -> None:
    """A sound header does not excuse the address (security.md 53)."""
    tokens = apps.tokens(app)

    response = apps.server.http.get(LIST, params={"access_token": tokens.access}, headers=tokens.header)

    assert (response.status_code, response.json()["errorCode"]) == (400, "two_credentials")


def test_a_token_in_the_body_or_a_cookie_is_refused(apps: Apps, app: App) -> None:
    """Only the header is looked at (security.md 53)."""
    tokens, agent = apps.tokens(app), apps.organization.agent()
    path, session = f"/api/v1/agent/{agent}/version/1/restore", cookie_names.of(apps.server.settings)

    responses = [
        apps.server.http.post(path, data={"access_token": tokens.access}),
        apps.server.http.post(path, json={"access_token": tokens.access}),
        apps.server.http.get(LIST, headers={"Cookie": f"access_token={tokens.access}; {session}={tokens.access}"}),
    ]

    assert [response.status_code for response in responses] == [401, 401, 401]


def test_a_token_next_to_another_credential_is_refused(apps: Apps, app: App) -> None:
    """Two headers, two in one header, a token with a browser session: one credential only (RFC 6750 section 2)."""
    tokens, key = apps.tokens(app), apps.organization.key()
    bearer = tokens.header["Authorization"]
    http = apps.server.http
    responses = [
        http.get(LIST, headers=[("Authorization", bearer), ("Authorization", key.header["Authorization"])]),
        http.get(LIST, headers={"Authorization": f"{bearer}, {bearer}"}),
        http.get(LIST, headers={"Authorization": bearer, "Cookie": f"{cookie_names.of(apps.server.settings)}=abcdefg"}),
    ]

    assert {(response.status_code, response.json()["errorCode"]) for response in responses} == {(400, "two_credentials")}


def test_the_scheme_may_be_written_in_any_case(apps: Apps, app: App) -> None:
    """`bearer` is `Bearer` (RFC 9110 section 11.1)."""
    tokens = apps.tokens(app)

    for scheme in ("bearer", "BEARER", "Bearer"):
        assert apps.server.http.get(LIST, headers={"Authorization": f"{scheme} {tokens.access}"}).status_code == 200


def test_another_sites_page_may_call_with_a_token(apps: Apps, app: App) -> None:
    """The preflight is answered without credential, and the answers can be read; cookies are never let (Fetch, CORS)."""
    origin = {"Origin": "https://partner.example"}
    preflight = apps.server.http.options(
        LIST, headers={**origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    )

    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in preflight.headers
    tokens = apps.tokens(app)
    for sent, status in ((tokens.header, 200), ({"Authorization": "Bearer a.b.c"}, 401)):
        response = apps.server.http.get(LIST, headers={**origin, **sent})
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (status, "*")
        assert "www-authenticate" in response.headers["access-control-expose-headers"]


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_an_app_for_one_space_sees_that_space_only(alone: Apps) -> None:
    """Lists, searches, counts and single things: nothing of the user's other Spaces, nor of the personal one."""
    app = alone.register()
    home, person = alone.organization, alone.organization.user()
    retail, travel, everybody = home.space("Retail"), home.space("Travel"), home.space("Everybody", SpaceScope.PUBLIC)
    home.member(retail, person, Role.EDITOR)
    home.member(travel, person, Role.EDITOR)
    ids = {name: home.agent(name, place) for name, place in (("In retail", retail), ("In travel", travel), ("For all", everybody))}
    ids["Personal"] = home.agent("Personal", owner=person)

    bound = {
        "In retail": alone.tokens(app, person, reach=Reach.SPACE, space_id=retail),
        "In travel": alone.tokens(app, person, reach=Reach.SPACE, space_id=travel),
        "Personal": alone.tokens(app, person, reach=Reach.PERSONAL),
    }

    for mine, tokens in bound.items():
        assert [each["name"] for each in alone.get("/agent/all", tokens).json()] == [mine]
        response = alone.server.http.get("/api/v1/agent/search", params={"query": "Prices of"}, headers=tokens.header)
        assert {each["name"] for each in response.json()} == {mine}
        counted = alone.server.http.get("/api/v1/agent/search/count", params={"query": "Prices of"}, headers=tokens.header)
        assert counted.json() == {"totalCount": 1}, counted.text
        personal = alone.get("/agent/personal/count", tokens)
        assert personal.json() == {"totalCount": int(mine == "Personal")}, personal.text
        assert {name for name, agent in ids.items() if alone.get(f"/agent/{agent}", tokens).status_code == 200} == {mine}
    assert [each["id"] for each in alone.get("/spaces", bound["In retail"]).json()] == [retail]
    assert alone.get("/spaces", bound["Personal"]).json() == []
    assert alone.get(f"/spaces/{travel}", bound["In retail"]).status_code == 404
    assert alone.get(f"/spaces/{retail}/agents", bound["In travel"]).status_code == 404
    everything = alone.tokens(app, person)
    assert {each["name"] for each in alone.get("/agent/all", everything).json()} == set(ids)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_an_app_for_one_space_changes_nothing_elsewhere(apps: Apps, app: App) -> None:
    """An administrator's token for one Space has no administrator's reach into another."""
    home = apps.organization
    retail, travel = home.space("Retail"), home.space("Travel")
    agents = [home.agent("In retail", retail), home.agent("In travel", travel), home.agent("Personal")]
    tokens = apps.tokens(app, reach=Reach.SPACE, space_id=retail)

    statuses = [
        apps.server.http.post(f"/api/v1/agent/{agent}/version/1/restore", headers=tokens.header, json={"content": "x"}).status_code
        for agent in agents
    ]

    assert statuses == [204, 404, 404]


def test_a_global_space_is_read_and_not_changed(alone: Apps) -> None:
    """Another organization's global Space is claimed as a viewer's, and is no more than that (security.md 50)."""
    other = Organization(alone.server)
    space_id = other.space("Samples", SpaceScope.GLOBAL)
    agent = other.agent("Sample", space_id)
    tokens = alone.tokens(alone.register())

    assert {"id": space_id, "name": "Samples", "role": "viewer"} in claims(tokens.access)["spaces"]
    assert alone.get(f"/agent/{agent}", tokens).status_code == 200
    restore = alone.server.http.post(f"/api/v1/agent/{agent}/version/1/restore", headers=tokens.header, json={"content": "x"})
    assert restore.status_code == 403


def test_no_token_opens_administration(apps: Apps, app: App) -> None:
    """Users, keys and apps are for administrators who are signed in, whatever scopes an administrator's app has."""
    response = apps.server.http.get("/api/v1/admin/users", headers=apps.tokens(app).header)

    assert (response.status_code, response.json()["errorCode"]) == (403, "credential_not_allowed")


# ---- when it stops ----


def test_a_renamed_space_and_a_new_role_leave_a_token_sound(apps: Apps, app: App) -> None:
    """A token may say less than is true; it opens what is true now."""
    home, person, space_id = apps.organization, apps.organization.user(), apps.organization.space("Retail")
    home.member(space_id, person, Role.VIEWER)
    agent = home.agent("Book prices", space_id)
    tokens = apps.tokens(app, person)
    path = f"/api/v1/agent/{agent}/version/1/restore"
    assert apps.server.http.post(path, headers=tokens.header, json={"content": "x"}).status_code == 403

    async def rename(session: AsyncSession) -> None:
        await spaces.change(session, await spaces.owned(session, home.id, space_id), spaces.SpaceFields(name="Shops"), by=BY)

    home.write(rename)
    home.member(space_id, person, Role.EDITOR)
    home.member(home.space("Another"), person, Role.VIEWER)

    assert apps.server.http.post(path, headers=tokens.header, json={"content": "x"}).status_code == 204


@pytest.mark.parametrize("left", [Role.VIEWER, None])
def test_a_lost_role_ends_the_token_and_a_refresh_tells_the_truth(apps: Apps, app: App, left: Role | None) -> None:
    """401 with the next request; the refreshed token claims what is left (security.md 49)."""
    home, person, space_id = apps.organization, apps.organization.user(), apps.organization.space()
    home.member(space_id, person, Role.EDITOR)
    tokens = apps.tokens(app, person)
    assert apps.get("/spaces", tokens).status_code == 200

    home.member(space_id, person, left)

    assert refused(apps.get("/spaces", tokens))
    again = Tokens(apps.refresh(app, tokens.refresh).json())
    roles = [each["role"] for each in claims(again.access)["spaces"] if each["id"] == space_id]
    assert roles == ([left.word] if left else [])
    assert apps.get("/spaces", again).status_code == 200


def test_an_app_bound_to_a_space_ends_where_its_user_leaves_it(apps: Apps, app: App) -> None:
    """There is nothing left to refresh to: the truth is an end (security.md 39, 49)."""
    home, person, space_id = apps.organization, apps.organization.user(), apps.organization.space()
    home.member(space_id, person, Role.EDITOR)
    tokens = apps.tokens(app, person, reach=Reach.SPACE, space_id=space_id)

    home.member(space_id, person, None)

    assert refused(apps.get("/agent/all", tokens))
    assert apps.refresh(app, tokens.refresh).json()["error"] == "invalid_grant"


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_token_of_a_space_that_was_deleted_is_refused(apps: Apps, app: App) -> None:
    """Also for an administrator, who lost no role (security.md 49)."""
    home, space_id = apps.organization, apps.organization.space()
    bound, free = apps.tokens(app, reach=Reach.SPACE, space_id=space_id), apps.tokens(app)

    async def delete(session: AsyncSession) -> None:
        await spaces.delete(session, await spaces.owned(session, home.id, space_id), by=BY)

    home.write(delete)

    assert refused(apps.get("/agent/all", bound))
    assert refused(apps.get("/agent/all", free))
    assert apps.refresh(app, free.refresh).status_code == 200


def test_a_demoted_administrators_tokens_are_refused(apps: Apps, app: App) -> None:
    """The token says Administrator, which is not true any more (security.md 49)."""
    person = apps.organization.user(group=Group.ADMINISTRATOR)
    tokens = apps.tokens(app, person)
    assert apps.get("/agent/all", tokens).status_code == 200

    changes.demote(apps.organization, person)

    assert refused(apps.get("/agent/all", tokens))


def _end_grant(apps: Apps, app: App, person: Person, tokens: Tokens) -> None:
    async def work(session: AsyncSession) -> None:
        grant = await session.scalar(select(OAuthGrant).where(OAuthGrant.sid == claims(tokens.access)["sid"]))
        assert grant is not None
        await grants.end(session, grant.id, reason="test", by=BY)

    apps.organization.write(work)


def _revoke_client(apps: Apps, app: App, person: Person, tokens: Tokens) -> None:
    async def work(session: AsyncSession) -> None:
        await client_admin.revoke(session, await client_admin.get(session, apps.organization.id, app.pk), by=BY)

    apps.organization.write(work)


def _delete_client(apps: Apps, app: App, person: Person, tokens: Tokens) -> None:
    _revoke_client(apps, app, person, tokens)

    async def work(session: AsyncSession) -> None:
        await client_admin.delete(session, await client_admin.get(session, apps.organization.id, app.pk), by=BY)

    apps.organization.write(work)


def _revoke_token(apps: Apps, app: App, person: Person, tokens: Tokens) -> None:
    payload = claims(tokens.access)

    async def work(session: AsyncSession) -> None:
        grant = await session.scalar(select(OAuthGrant).where(OAuthGrant.sid == payload["sid"]))
        assert grant is not None
        session.add(RevokedToken(jti=payload["jti"], grant_id=grant.id, expires_at=kit_clock.now() + timedelta(hours=1)))
        invalidate(session, EVERYTHING)

    apps.organization.write(work)


def _disable(apps: Apps, app: App, person: Person, tokens: Tokens) -> None:
    changes.disable(apps.organization, person)


def _delete_user(apps: Apps, app: App, person: Person, tokens: Tokens) -> None:
    changes.delete(apps.organization, person, apps.organization.admin)


@pytest.mark.parametrize("end", [_end_grant, _revoke_client, _delete_client, _revoke_token, _disable, _delete_user])
def test_a_token_is_refused_with_the_next_request_after_its_end(apps: Apps, app: App, end: End) -> None:
    """Grant, app, the token itself, user: whatever ended, the answer is 401 and a second app's token lives on (security.md 49)."""
    person = apps.organization.user()
    tokens, others = apps.tokens(app, person), apps.tokens(apps.register(name="Another"), person)
    assert [apps.get("/agent/all", each).status_code for each in (tokens, others)] == [200, 200]

    end(apps, app, person, tokens)

    assert refused(apps.get("/agent/all", tokens))
    user_is_gone = end in (_disable, _delete_user)
    assert apps.get("/agent/all", others).status_code == (401 if user_is_gone else 200)


def test_a_token_without_offline_access_ends_with_the_browser_session(apps: Apps, app: App) -> None:
    """Signing out ends what was allowed for this sitting, and leaves what was allowed for longer (security.md 49)."""
    home = apps.organization
    person = home.user()
    sitting, longer = apps.tokens(app, person, scope="agents:read"), apps.tokens(app, person, scope=OFFLINE)

    async def sign_out(session: AsyncSession) -> None:
        for opened in await sessions.of_user(session, person.id, apps.server.settings):
            await sessions.end(session, person.id, opened.id, by=person.actor)

    home.write(sign_out)

    assert refused(apps.get("/agent/all", sitting))
    assert apps.get("/agent/all", longer).status_code == 200


def test_a_session_that_idled_out_takes_its_tokens_along(apps: Apps, app: App, clock: kit_clock.Frozen) -> None:
    """A token of a sitting does not outlive the sitting (security.md 49)."""
    tokens = apps.tokens(app, scope="agents:read")
    idle = apps.server.settings.session_idle_minutes

    clock.advance(timedelta(minutes=idle))
    token = resigned(apps.server, tokens.access, exp=int(kit_clock.timestamp()) + 600)

    assert refused(apps.get("/agent/all", Tokens({"access_token": token})))


def test_a_reused_address_inherits_nothing(apps: Apps, app: App) -> None:
    """A user is found by issuer and `sub` only; whoever gets the address of somebody who left is somebody else (security.md 55)."""
    home = apps.organization
    gone = home.user()
    tokens = apps.tokens(app, gone)
    home.agent("Private", owner=gone)
    changes.delete(home, gone, home.admin)

    changes.create(home, email=gone.email)

    assert refused(apps.get("/agent/all", tokens))
    assert apps.refresh(app, tokens.refresh).json()["error"] == "invalid_grant"


def test_what_was_granted_counts_less_than_what_the_token_says(apps: Apps, app: App) -> None:
    """Not even a token of our own making opens more than its grant holds (security.md 50)."""
    tokens = apps.tokens(app, scope="agents:read")

    wide = Tokens({"access_token": resigned(apps.server, tokens.access, scope="agents:read spaces:read agents:write")})

    assert apps.get("/agent/all", wide).status_code == 200
    assert apps.get("/spaces", wide).status_code == 403


def test_what_the_token_says_counts_less_than_what_was_granted(apps: Apps, app: App) -> None:
    """A token for less opens less, though its grant holds more, and though another token of the grant was just used (security.md 50)."""
    tokens = apps.tokens(app, scope="agents:read spaces:read")
    assert [apps.get(path, tokens).status_code for path in ("/agent/all", "/spaces")] == [200, 200]

    narrow = Tokens({"access_token": resigned(apps.server, tokens.access, scope="agents:read")})

    assert [apps.get(path, narrow).status_code for path in ("/agent/all", "/spaces")] == [200, 403]


def test_the_role_of_this_moment_decides(apps: Apps, app: App) -> None:
    """Not the one at the consent, and not the one that the token claims (security.md 50)."""
    home, person = apps.organization, apps.organization.user()
    space_id = home.space()
    agent = home.agent("Book prices", space_id)
    home.member(space_id, person, Role.EDITOR)
    tokens = apps.tokens(app, person, scope="agents:read agents:write offline_access")

    def restore(with_: Tokens) -> int:
        path = f"/api/v1/agent/{agent}/version/1/restore"
        return apps.server.http.post(path, headers=with_.header, json={"content": "again"}).status_code

    assert restore(tokens) == 204
    home.member(space_id, person, Role.VIEWER)
    refreshed = Tokens(apps.refresh(app, tokens.refresh).json())
    claimed = [{**each, "role": "viewer"} for each in claims(tokens.access)["spaces"]]
    modest = Tokens({"access_token": resigned(apps.server, tokens.access, spaces=claimed)})

    assert restore(tokens) == 401
    assert [apps.get(f"/agent/{agent}", each).status_code for each in (refreshed, modest)] == [200, 200]
    assert [restore(each) for each in (refreshed, modest)] == [403, 403]


# ---- apps that act for themselves ----


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_an_app_of_its_own_acts_with_what_was_assigned(apps: Apps) -> None:
    """Scopes and Spaces as an administrator chose; it is no user, and has no personal Space (security.md 67)."""
    home = apps.organization
    retail, travel, public = home.space("Retail"), home.space("Travel"), home.space("Public", SpaceScope.PUBLIC)
    ids = [home.agent("In retail", retail), home.agent("In travel", travel), home.agent("In public", public), home.agent("Personal")]
    service = apps.service("agents:read agents:write spaces:read", {retail: Role.EDITOR})

    tokens = Tokens(apps.own(service).json())

    assert claims(tokens.access)["sub"] == service.client_id
    assert not claims(tokens.access)["sub"].isdigit()
    assert "refresh_token" not in tokens.answer
    assert [each["name"] for each in apps.get("/agent/all", tokens).json()] == ["In retail"]
    assert [each["id"] for each in apps.get("/spaces", tokens).json()] == [retail]
    assert [apps.get(f"/agent/{agent}", tokens).status_code for agent in ids] == [200, 404, 404, 404]
    assert apps.get("/agent/personal/count", tokens).json() == {"totalCount": 0}
    restore = apps.server.http.post(f"/api/v1/agent/{ids[0]}/version/1/restore", headers=tokens.header, json={"content": "x"})
    assert restore.status_code == 204
    (changed,) = audit(home, "agent.changed", target_id=ids[0])
    assert (changed.actor_id, changed.actor_name, changed.credential_kind) == (None, service.client_id, "access_token")


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_an_app_of_its_own_loses_a_space_at_once(apps: Apps) -> None:
    """What an administrator takes back from a client is gone with its next request (security.md 49, 67)."""
    home = apps.organization
    space_id = home.space()
    service = apps.service("agents:read spaces:read", {space_id: Role.VIEWER})
    tokens = Tokens(apps.own(service).json())
    assert apps.get(f"/spaces/{space_id}", tokens).status_code == 200

    async def take_back(session: AsyncSession) -> None:
        client = await client_admin.get(session, home.id, service.pk)
        fields = client_admin.ClientFields(
            name="Nightly export",
            auth_method="client_secret_post",
            redirect_uris=(),
            grant_types=("client_credentials",),
            scopes=("spaces:read",),
            spaces={},
        )
        await client_admin.change(session, client, fields, by=BY)

    home.write(take_back)

    assert refused(apps.get(f"/spaces/{space_id}", tokens))
    again = Tokens(apps.own(service).json())
    assert apps.get(f"/spaces/{space_id}", again).status_code == 404
    assert apps.get("/agent/all", again).status_code == 403


def test_a_service_with_a_user_id_for_a_name_is_no_user(apps: Apps) -> None:
    """`sub` is compared with what the grant stands for, so that no client passes for a user (security.md 67)."""
    service = apps.service()
    tokens = Tokens(apps.own(service).json())

    passing = resigned(apps.server, tokens.access, sub=str(apps.organization.admin.id))

    assert refused(apps.get("/agent/all", Tokens({"access_token": passing})))


# ---- limits and the trail ----


def test_each_grant_has_a_limit_of_its_own(serve: Callable[..., Server]) -> None:
    """Tokens of one grant count together, refreshed ones too; another grant's do not."""
    apps = Apps(Organization(serve(rate_limit=3, rate_limit_queue=0)))
    app = apps.register()
    one, other = apps.tokens(app), apps.tokens(app)

    statuses = [apps.get("/agent/all", one).status_code for _ in range(2)]
    refreshed = Tokens(apps.refresh(app, one.refresh).json())
    statuses += [apps.get("/agent/all", refreshed).status_code for _ in range(2)]

    assert statuses == [200, 200, 200, 429]
    assert limits(apps.get("/agent/all", other))["x-ratelimit-limit"] == "3"
    assert apps.get("/agent/all", other).status_code == 200


def test_tokens_of_a_key_share_the_keys_own_limit(apps: Apps) -> None:
    """Trading a key again and again gives no more requests than the key has."""
    home = apps.organization
    key = home.key(rate_limit=4)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": key.secret,
        "subject_token_type": "urn:latchpin:params:oauth:token-type:api_key",
    }
    traded = [Tokens(apps.server.http.post("/api/oauth/token", data=form).json()) for _ in range(3)]

    responses = [home.get("/agent/all", key), *(apps.get("/agent/all", each) for each in traded)]

    assert [limits(response)["x-ratelimit-limit"] for response in responses] == ["4"] * 4
    assert [limits(response)["ratelimit"].partition(";t=")[0] for response in responses] == [f'"default";r={left}' for left in (3, 2, 1, 0)]


def test_a_token_seen_before_costs_no_query(apps: Apps, app: App) -> None:
    """And one never seen costs none but for its grant, which is looked up once."""
    one = apps.tokens(app)
    never = Tokens({"access_token": resigned(apps.server, one.access, jti="another")})
    apps.get("/agent/999999", one)

    with statements(apps.server) as queries:
        apps.server.http.get("/api/v1/nothing", headers=one.header)
        apps.server.http.get("/api/v1/nothing", headers=never.header)

    assert [each for each in queries if "oauth" in each or "signing" in each or "users" in each] == []


def test_the_trail_tells_what_an_app_did_and_when_it_was_last_used(apps: Apps, app: App) -> None:
    """One event per grant and route, with the user, the app and the grant; and the grant's last use (promise 5)."""
    person = apps.organization.user()
    tokens = apps.tokens(app, person)
    for _ in range(3):
        apps.get("/agent/all", tokens)

    rows = audit(apps.organization, "access_token.used", actor_id=person.id)

    assert sum(row.count for row in rows) == 3
    assert {(row.actor_name, row.credential_kind, row.target_name, row.reason) for row in rows} == {
        (person.email, "access_token", "Partner", "GET /api/v1/agent/all")
    }

    async def last_used(session: AsyncSession) -> object:
        grant = await session.get(OAuthGrant, rows[0].target_id)
        return grant and grant.last_used_at

    assert apps.organization.write(last_used) is not None


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_the_trail_tells_the_true_reason_of_each_refusal(apps: Apps, app: App, clock: kit_clock.Frozen) -> None:
    """The caller is told one thing, the administrator the truth (security.md 49)."""
    home, server = apps.organization, apps.server
    space_id = home.space()

    def of(scope: str = OFFLINE) -> tuple[Person, Tokens]:
        person = home.user()
        home.member(space_id, person, Role.VIEWER)
        return person, apps.tokens(app, person, scope=scope)

    tokens_by_reason: dict[str, Tokens] = {}
    for reason, end in (("grant ended", _end_grant), ("revoked", _revoke_token)):
        person, tokens_by_reason[reason] = of()
        end(apps, app, person, tokens_by_reason[reason])
    person, tokens_by_reason["token claims more than its user has now"] = of()
    home.member(space_id, person, None)
    _, sound = of()
    tokens_by_reason["token for another resource"] = Tokens({"access_token": resigned(server, sound.access, aud="https://other.example")})
    tokens_by_reason["token from the future"] = Tokens(
        {"access_token": resigned(server, sound.access, nbf=int(kit_clock.timestamp()) + 600)}
    )
    tokens_by_reason["expired"] = Tokens({"access_token": resigned(server, sound.access, exp=int(kit_clock.timestamp()) - 1)})
    responses = {reason: apps.get("/agent/all", each) for reason, each in tokens_by_reason.items()}

    assert {response.json()["detail"] for response in responses.values()} == {responses["expired"].json()["detail"]}
    rows = audit(home, "access_token.refused", organization_id=home.id)
    assert {row.reason for row in rows} == set(tokens_by_reason)
    assert all(row.credential_kind == "access_token" and row.target_name == "Partner" for row in rows)
    assert all(token.access not in str(vars(row)) for row in rows for token in tokens_by_reason.values())


# ---- what never happens ----


def test_the_api_has_no_way_to_send_a_token_on() -> None:
    """No module behind the gate opens connections; only the fetching of client metadata does, and no token reaches it (security.md 56)."""
    outward = {"httpx", "aiohttp", "requests", "urllib.request", "socket", "http.client"}
    package = Path(latchpin.__file__).parent
    outward_imports = {}
    for folder in ("api", "automation", "identity", "audit"):
        for file in (package / folder).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            imported = {each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names}
            imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            if imported & outward:
                outward_imports[file.name] = imported & outward

    assert outward_imports == {}
