"""Connected apps: a user's consents and grants to apps, and their withdrawal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ScalarSelect, and_, func, or_, select
from sqlalchemy import delete as sql_delete
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.errors import Missing
from latchpin.identity import active_grant, grants
from latchpin.identity.scopes import ordered
from latchpin.kit import clock
from latchpin.oauth import clients, consents
from latchpin.oauth.clients import CONTROL_CENTER
from latchpin.settings import Settings
from latchpin.storage.models import ApiKey, BrowserSession, OAuthClient, OAuthConsent, OAuthGrant, Space, User
from latchpin.storage.models.oauth_client import ClientStatus
from latchpin.storage.models.oauth_grant import Reach


@dataclass(frozen=True, slots=True)
class GrantedSpace:
    """One place where an app may act: a named Space, the personal one, or all that the user may enter; `name` is of a named Space."""

    reach: Reach
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectedApp:
    """One app that a user has authorized, all of its grants together.

    `until` is when the last of them ends by itself; None where they end with the user's browser session. An app without an active grant
    (`active` False) has only a consent: it may get a new grant without asking. `scopes` are those that it has, or can get again, and
    `api_keys` the names of keys that are exchanged for its tokens.
    """

    client: OAuthClient
    scopes: str
    spaces: frozenset[GrantedSpace]
    since: datetime
    last_used_at: datetime | None
    until: datetime | None
    active: bool
    api_keys: frozenset[str] = frozenset()


async def of_user(session: AsyncSession, user_id: int, settings: Settings) -> list[ConnectedApp]:
    """Return a user's connected apps, the latest used first. The Control Center is not among them: the user is using it."""
    at, apps = clock.now(), dict[int, ConnectedApp]()
    recently_seen = BrowserSession.last_seen_at > at - timedelta(minutes=settings.session_idle_minutes)
    with_browser = and_(BrowserSession.ended_at.is_(None), BrowserSession.expires_at > at, recently_seen)
    rows: Any = await session.execute(  # a grant without a key has None for it
        select(OAuthGrant, OAuthClient, Space.name, ApiKey)
        .join(OAuthClient, OAuthClient.id == OAuthGrant.oauth_client_id)
        .outerjoin(Space, Space.id == OAuthGrant.space_id)
        .outerjoin(ApiKey, ApiKey.id == OAuthGrant.api_key_id)
        .outerjoin(BrowserSession, BrowserSession.id == OAuthGrant.browser_session_id)
        .where(OAuthGrant.user_id == user_id, grants.active(), OAuthClient.client_id != CONTROL_CENTER)
        .where(or_(OAuthGrant.offline.is_(True), OAuthGrant.api_key_id.is_not(None), with_browser))
        .order_by(OAuthGrant.last_used_at.desc(), OAuthGrant.id.desc())
    )
    for grant, client, space, key in rows:
        until = key.expires_at if key is not None else grant.expires_at if grant.offline else None
        names = frozenset({key.description or key.prefix} if key is not None else ())
        scopes = ordered(active_grant.allowed_scopes(grant, client))
        app = ConnectedApp(
            client, scopes, _granted_spaces(grant, space), grant.created_at, grant.last_used_at, until, active=True, api_keys=names
        )
        apps[client.id] = _merge(apps[client.id], app) if client.id in apps else app
    consent_rows = await session.execute(
        select(OAuthConsent, OAuthClient, Space.name, _last_used_at())
        .join(OAuthClient, OAuthClient.id == OAuthConsent.oauth_client_id)
        .outerjoin(Space, Space.id == OAuthConsent.space_id)
        .where(OAuthConsent.user_id == user_id, OAuthClient.id.not_in(list(apps)), OAuthClient.client_id != CONTROL_CENTER)
        .order_by(OAuthConsent.updated_at.desc(), OAuthConsent.id.desc())
    )
    idle = [
        ConnectedApp(
            client,
            ordered(active_grant.allowed_scopes(consent, client)),
            _granted_spaces(consent, space),
            consent.created_at,
            last_used_at,
            None,
            active=False,
        )
        for consent, client, space, last_used_at in consent_rows
        if _may_return(consent, client)
    ]
    return [*apps.values(), *idle]


def _last_used_at() -> ScalarSelect[Any]:
    """When the app of a consent was last used by its user, through a grant that has ended."""
    of_same = and_(OAuthGrant.user_id == OAuthConsent.user_id, OAuthGrant.oauth_client_id == OAuthConsent.oauth_client_id)
    return select(func.max(OAuthGrant.last_used_at)).where(of_same).correlate(OAuthConsent).scalar_subquery()


def _may_return(consent: OAuthConsent, row: OAuthClient) -> bool:
    """Whether an app without a grant gets one again without asking: not a device, a local program, or one that has changed."""
    if row.status is not ClientStatus.ACTIVE or consent.client_version != row.version:
        return False
    client = clients.from_row(row, [])
    return "authorization_code" in client.grant_types and not all(
        consents.needs_consent_each_time(client, redirect_uri) for redirect_uri in client.redirect_uris
    )


async def withdraw(session: AsyncSession, user: User, client_pk: int, *, by: Actor) -> OAuthClient:
    """Withdraw a user's consents and grants to an app: its tokens are refused from the next request on. Raises Missing for none."""
    # A concurrent request that uses or stores the consent runs before or after this one (authorize.lock_session).
    await session.execute(select(User.id).where(User.id == user.id).with_for_update(key_share=True))
    client = await session.get(OAuthClient, client_pk)
    result = await session.execute(
        sql_delete(OAuthConsent)
        .where(OAuthConsent.user_id == user.id, OAuthConsent.oauth_client_id == client_pk)
        .returning(OAuthConsent.id)
    )
    had_consent = result.one_or_none() is not None
    reason = "consent withdrawn" if by.user_id == user.id else "ended by an administrator"
    ended = await grants.end_of_client_for_user(session, user.id, client_pk, reason=reason, by=by)
    if client is None or not (had_consent or ended) or client.client_id == CONTROL_CENTER:
        raise Missing("connected app", client_pk)
    event = events.ConsentWithdrawn(target_id=client.id, target_name=client.name, changes={"user": (user.email, None)})
    record(session, event, by)
    return client


def _granted_spaces(grant_or_consent: OAuthGrant | OAuthConsent, space: str | None) -> frozenset[GrantedSpace]:
    """Return the Spaces of a grant; none for a named Space that does not exist any more."""
    if grant_or_consent.reach is not Reach.SPACE:
        return frozenset({GrantedSpace(grant_or_consent.reach)})
    return frozenset({GrantedSpace(Reach.SPACE, space)}) if space is not None else frozenset()


def _merge(one: ConnectedApp, other: ConnectedApp) -> ConnectedApp:
    """Two grants of one app as one entry; `one` was used later."""
    ends = [each.until for each in (one, other) if each.until is not None]
    return replace(
        one,
        scopes=ordered({*one.scopes.split(), *other.scopes.split()}),
        spaces=one.spaces | other.spaces,
        since=min(one.since, other.since),
        until=max(ends) if ends else None,
        api_keys=one.api_keys | other.api_keys,
    )
