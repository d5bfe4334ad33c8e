"""A user's browser sessions and connected apps, under /api/v1/admin/: for administrators to list and to end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, delete, get
from litestar.params import PathParameter

from latchpin import services
from latchpin.api.bodies import Time
from latchpin.api.example_times import CREATED_AT, UPDATED_AT
from latchpin.api.routing import INT32, CamelStruct, actor, database, principal, problems, requires
from latchpin.api.v1.admin_apps import AppId
from latchpin.api.v1.admin_users import TAG, UserId
from latchpin.api.v1.app_wire import CLIENT_ID_EXAMPLE
from latchpin.identity import roles, sessions, users
from latchpin.oauth import connected
from latchpin.oauth.connected import ConnectedApp
from latchpin.storage.models import BrowserSession
from latchpin.storage.models.oauth_grant import Reach

SessionId = Annotated[int, PathParameter(ge=1, le=INT32, description="The browser session's id.")]
_ADMINISTER = requires(roles.ADMINISTER)
_CHANGE = requires(roles.ADMINISTER, reauth=True)


class SessionOut(CamelStruct, frozen=True):
    """A browser in which the user is signed in."""

    id: int
    user_agent: str
    address: str
    created: Time
    last_seen: Time
    expires: Time


class PlaceOut(CamelStruct, frozen=True):
    """Where an app may act: `all` Spaces of the user, the `personal` one, or the `space` named."""

    reach: Reach
    space: str | None


class ConnectedOut(CamelStruct, frozen=True):
    """An app that the user has authorized. `until` is when its access expires, null where it ends with the browser session.

    `active` false: the app has no grant now, but can get one without asking, because the user's consent is still valid.
    """

    app_id: int
    client_id: str
    name: str
    scopes: list[str]
    places: list[PlaceOut]
    since: Time
    last_used: Time | None
    until: Time | None
    active: bool


def _session(browser_session: BrowserSession) -> SessionOut:
    return SessionOut(
        id=browser_session.id,
        user_agent=browser_session.user_agent,
        address=browser_session.address,
        created=browser_session.created_at,
        last_seen=browser_session.last_seen_at,
        expires=browser_session.expires_at,
    )


def _connected(connected_app: ConnectedApp) -> ConnectedOut:
    places = sorted(connected_app.spaces, key=lambda place: (place.reach, place.name or ""))
    return ConnectedOut(
        app_id=connected_app.client.id,
        client_id=connected_app.client.client_id,
        name=connected_app.client.name,
        scopes=connected_app.scopes.split(),
        places=[PlaceOut(reach=place.reach, space=place.name) for place in places],
        since=connected_app.since,
        last_used=connected_app.last_used_at,
        until=connected_app.until,
        active=connected_app.active,
    )


@get(
    "/admin/users/{user_id:int}/sessions",
    operation_id="listUserSessions",
    summary="Browser sessions of a user",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(404),
)
async def list_sessions(request: Request[Any, Any, Any], user_id: UserId) -> list[SessionOut]:
    """Return the browsers in which a user is signed in, the most recently used first."""
    async with database(request).read() as session:
        user = await users.get(session, principal(request).organization_id, user_id)
        return [_session(each) for each in await sessions.of_user(session, user.id, services.of(request).settings)]


@delete(
    "/admin/users/{user_id:int}/sessions/{session_id:int}",
    operation_id="endUserSession",
    summary="End a browser session of a user",
    tags=[TAG],
    opt=_CHANGE,
    responses=problems(404),
)
async def end_session(request: Request[Any, Any, Any], user_id: UserId, session_id: SessionId) -> None:
    """Sign a user out of one browser, and end the apps' grants that are bound to that session."""
    async with database(request).transaction() as session:
        user = await users.get(session, principal(request).organization_id, user_id)
        await sessions.end(session, user.id, session_id, by=actor(request), name=user.email)


@get(
    "/admin/users/{user_id:int}/grants",
    operation_id="listUserGrants",
    summary="Connected apps of a user",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(404),
)
async def list_grants(request: Request[Any, Any, Any], user_id: UserId) -> list[ConnectedOut]:
    """Return the apps that a user has authorized, the most recently used first."""
    async with database(request).read() as session:
        user = await users.get(session, principal(request).organization_id, user_id)
        return [_connected(each) for each in await connected.of_user(session, user.id, services.of(request).settings)]


@delete(
    "/admin/users/{user_id:int}/grants/{app_id:int}",
    operation_id="endUserGrants",
    summary="End what a user allowed an app",
    tags=[TAG],
    opt=_CHANGE,
    responses=problems(404),
)
async def end_grants(request: Request[Any, Any, Any], user_id: UserId, app_id: AppId) -> None:
    """Withdraw a user's consent to an app: its tokens are refused from the next request on, and it has to ask again."""
    async with database(request).transaction() as session:
        user = await users.get(session, principal(request).organization_id, user_id)
        await connected.withdraw(session, user, app_id, by=actor(request))


# What the OpenAPI document shows of these routes, made from the very structs, so that it misses no field.
RESPONSE_EXAMPLES: dict[str, Any] = {
    "listUserSessions": [
        SessionOut(
            id=1,
            user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            address="203.0.113.24",
            created=CREATED_AT,
            last_seen=UPDATED_AT,
            expires=datetime(2026, 11, 27, 9, 30, tzinfo=UTC),
        )
    ],
    "listUserGrants": [
        ConnectedOut(
            app_id=1,
            client_id=CLIENT_ID_EXAMPLE,
            name="Price dashboard",
            scopes=["agents:read", "runs:read"],
            places=[PlaceOut(reach=Reach.SPACE, space="Retail")],
            since=CREATED_AT,
            last_used=UPDATED_AT,
            until=datetime(2027, 2, 18, 9, 30, tzinfo=UTC),
            active=True,
        )
    ],
}


HANDLERS = [list_sessions, end_session, list_grants, end_grants]
