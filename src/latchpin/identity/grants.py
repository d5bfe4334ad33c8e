"""Grants: what an app may do, for whom and where. When a grant ends, all of its tokens are refused from the next request on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, exists, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from latchpin.audit import Actor, events, record
from latchpin.identity import credentials
from latchpin.kit import clock
from latchpin.settings import Settings
from latchpin.storage import subjects
from latchpin.storage.generation import invalidate
from latchpin.storage.models import ApiKey, OAuthClient, OAuthConsent, OAuthGrant, User
from latchpin.storage.models.oauth_client import ClientSource
from latchpin.storage.models.oauth_grant import GrantKind, Reach

_FOR_EVER = timedelta(days=36_500)
_UNUSED_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """The fields of a new grant. `resource` has the requested resource identifiers; none means our own API."""

    client: OAuthClient
    organization_id: int
    scopes: str
    kind: GrantKind = GrantKind.USER
    user_id: int | None = None
    api_key_id: int | None = None
    browser_session_id: int | None = None
    offline: bool = False
    reach: Reach = Reach.ALL
    space_id: int | None = None
    resource: str = ""
    auth_time: datetime | None = None


async def create(session: AsyncSession, new: NewGrant, settings: Settings) -> OAuthGrant:
    """Make a grant that has no token yet; `activate` it when the first one is issued."""
    at = clock.now()
    lifetime = timedelta(days=settings.refresh_max_days) if new.kind is GrantKind.USER else _FOR_EVER
    grant = OAuthGrant(
        sid=credentials.new_token()[:32],
        kind=new.kind,
        organization_id=new.organization_id,
        oauth_client_id=new.client.id,
        user_id=new.user_id,
        api_key_id=new.api_key_id,
        browser_session_id=new.browser_session_id,
        offline=new.offline,
        scopes=new.scopes,
        reach=new.reach,
        space_id=new.space_id,
        resource=new.resource,
        auth_time=new.auth_time,
        created_at=at,
        expires_at=at + lifetime,
    )
    session.add(grant)
    await session.flush()
    return grant


def activate(session: AsyncSession, grant: OAuthGrant, client: OAuthClient, *, by: Actor) -> None:
    """Record that the first token of a grant is issued."""
    if grant.activated_at is None:
        grant.activated_at = grant.last_used_at = clock.now()
        changes = {"scopes": (None, grant.scopes), "space": (None, str(grant.space_id or grant.reach.value))}
        record(session, events.GrantActivated(target_id=grant.id, target_name=client.name, changes=changes), by)


def active() -> ColumnElement[bool]:
    """The SQL condition for grants that are activated and neither ended nor expired, and whose exchanged API key is active too."""
    at = clock.now()
    key = aliased(ApiKey)
    has_key = exists().where(key.id == OAuthGrant.api_key_id, key.revoked_at.is_(None), key.expires_at > at)
    return and_(
        OAuthGrant.activated_at.is_not(None),
        OAuthGrant.ended_at.is_(None),
        OAuthGrant.expires_at > at,
        or_(OAuthGrant.api_key_id.is_(None), has_key),
    )


async def end(session: AsyncSession, grant_id: int, *, reason: str, by: Actor) -> bool:
    """End one grant for good; returns False where it had ended already."""
    return await _end_where(session, [OAuthGrant.id == grant_id], reason, by) > 0


async def end_of_client_for_user(session: AsyncSession, user_id: int, client_pk: int, *, reason: str, by: Actor) -> int:
    """End the grants of one user to one app; returns how many ended."""
    return await _end_where(session, [OAuthGrant.user_id == user_id, OAuthGrant.oauth_client_id == client_pk], reason, by)


async def end_of_client(session: AsyncSession, client_pk: int, *, reason: str, by: Actor, organization_id: int | None = None) -> int:
    """End all grants of an app, or those in one organization; returns how many ended."""
    where = [OAuthGrant.oauth_client_id == client_pk]
    if organization_id is not None:
        where.append(OAuthGrant.organization_id == organization_id)
    return await _end_where(session, where, reason, by)


async def end_of_user(session: AsyncSession, user_id: int, *, reason: str, by: Actor, keep_session: int | None = None) -> int:
    """End all grants of a user, except those of the browser session `keep_session`; returns how many ended."""
    where: list[ColumnElement[bool]] = [OAuthGrant.user_id == user_id]
    if keep_session is not None:
        where.append(
            or_(OAuthGrant.browser_session_id.is_(None), OAuthGrant.browser_session_id != keep_session, OAuthGrant.offline.is_(True))
        )
    return await _end_where(session, where, reason, by)


async def end_in_space(session: AsyncSession, user_id: int, space_id: int, *, reason: str, by: Actor) -> int:
    """End the grants that a user bound to one Space; returns how many ended. Those for all Spaces stay."""
    where = [OAuthGrant.user_id == user_id, OAuthGrant.reach == Reach.SPACE, OAuthGrant.space_id == space_id]
    return await _end_where(session, where, reason, by)


async def end_of_sessions(session: AsyncSession, session_ids: Iterable[int], *, reason: str, by: Actor) -> int:
    """End the grants that depend on these browser sessions; those with offline access stay. Returns how many ended."""
    ids = list(session_ids)
    if not ids:
        return 0
    return await _end_where(session, [OAuthGrant.browser_session_id.in_(ids), OAuthGrant.offline.is_(False)], reason, by)


async def _end_where(session: AsyncSession, where: list[ColumnElement[bool]], reason: str, by: Actor) -> int:
    """End grants; each row is ended by one conditional update, so two concurrent calls record it once."""
    await session.flush()
    result = await session.execute(
        select(OAuthGrant.id, OAuthClient.name, OAuthClient.source, OAuthGrant.activated_at, User.email, OAuthGrant.organization_id)
        .join(OAuthClient, OAuthClient.id == OAuthGrant.oauth_client_id)
        .outerjoin(User, User.id == OAuthGrant.user_id)
        .where(OAuthGrant.ended_at.is_(None), *where)
        .order_by(OAuthGrant.id)
    )
    count = 0
    rows = result.all()
    if rows:
        invalidate(session, *(subjects.grant(row[0]) for row in rows))
    for grant_id, name, source, activated_at, email, organization_id in rows:
        ended = await session.execute(
            update(OAuthGrant)
            .where(OAuthGrant.id == grant_id, OAuthGrant.ended_at.is_(None))
            .values(ended_at=clock.now(), ended_reason=reason[:200])
            .returning(OAuthGrant.id)
        )
        if ended.one_or_none() is not None and activated_at is not None:
            count += 1
            if source is not ClientSource.FIRST_PARTY:
                changes = {"user": (email, None)} if email else {}
                event = events.GrantEnded(
                    target_id=grant_id, target_name=name, reason=reason, changes=changes, organization_id=organization_id
                )
                record(session, event, by)
    return count


async def purge_expired(session: AsyncSession) -> None:
    """Remove grants that were never activated, and those that ended or expired more than 30 days ago.

    The one used last under a consent stays: it shows when the app was last used.
    """
    at = clock.now()
    long_ago = at - timedelta(days=30)
    same_app = (OAuthGrant.user_id, OAuthGrant.oauth_client_id)
    later, consent = aliased(OAuthGrant), (OAuthConsent.user_id, OAuthConsent.oauth_client_id)
    used_later = exists().where(
        later.user_id == same_app[0], later.oauth_client_id == same_app[1], later.last_used_at > OAuthGrant.last_used_at
    )
    tells_last_use = and_(exists().where(consent[0] == same_app[0], consent[1] == same_app[1]), not_(used_later))
    await session.execute(
        delete(OAuthGrant).where(
            or_(
                and_(OAuthGrant.activated_at.is_(None), OAuthGrant.created_at < at - _UNUSED_LIFETIME),
                and_(or_(OAuthGrant.ended_at < long_ago, OAuthGrant.expires_at < long_ago), not_(tells_last_use)),
            )
        )
    )
