"""The present state of a grant: who acts through it, with which scopes and Spaces, or why it is not active.

Authentication, the token endpoint, introspection and userinfo all use it.
"""

from __future__ import annotations

import ipaddress
from collections import namedtuple
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import FromClause, and_, bindparam, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import active_keys, membership, scopes
from latchpin.identity.membership import Membership
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group, Role
from latchpin.identity.verified import RejectedCredential, RejectionReason
from latchpin.kit import clock
from latchpin.settings import Settings
from latchpin.storage import subjects
from latchpin.storage.models import (
    ApiKey,
    BrowserSession,
    OAuthApproval,
    OAuthClient,
    OAuthClientSpace,
    OAuthConsent,
    OAuthGrant,
    OAuthResource,
    RevokedToken,
    User,
)
from latchpin.storage.models.oauth_client import ClientStatus
from latchpin.storage.models.oauth_grant import GrantKind, Reach
from latchpin.storage.models.user import UserStatus

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class ActiveGrant:
    """An active grant. `expires_at` is seconds since the epoch; `audiences` are those whose tokens our API accepts.

    From `look_again_at` on it must be looked up again even if nothing changed: its browser session may have timed out.
    `slots` are those of the subjects that it depends on (storage/subjects.py). `granted` includes scopes that are not the API's own:
    profile, email, offline_access.
    """

    grant_id: int
    sid: str
    kind: GrantKind
    client_id: str
    client_name: str
    subject: str
    principal: Principal
    membership: Membership
    granted: frozenset[str]
    resource: str
    auth_time: int | None
    expires_at: float
    look_again_at: float
    slots: tuple[int, ...]
    audiences: frozenset[str]
    revoked: frozenset[str] = frozenset()
    networks: tuple[_Network, ...] = ()
    rate_limit: int | None = None
    api_key_id: int | None = None


def own_audiences(settings: Settings) -> frozenset[str]:
    """Return the names of our own API as a resource: the public address, with and without what clients append to it."""
    names = {settings.public_url, settings.public_url + "/", settings.public_url + "/api/v1", settings.public_url + "/api/v1/"}
    if settings.legacy_audience:
        names.add(settings.legacy_audience)
    return frozenset(names)


async def by_sid(session: AsyncSession, sid: str, settings: Settings) -> ActiveGrant | RejectedCredential:
    """Return the state of the grant whose tokens have this `sid`."""
    row = (await session.execute(_BY_SID, {"sid": sid})).one_or_none()
    if row is None:
        return RejectedCredential(RejectionReason.GRANT_ENDED, kind=CredentialKind.ACCESS_TOKEN, name="unknown grant")
    return await _assess(session, _parts(row), settings)


async def by_id(session: AsyncSession, grant_id: int, settings: Settings) -> ActiveGrant | RejectedCredential:
    """Return the state of a grant by its id; the grant may not be activated yet."""
    row = (await session.execute(_BY_ID, {"grant_id": grant_id})).one_or_none()
    if row is None:
        return RejectedCredential(RejectionReason.GRANT_ENDED, kind=CredentialKind.ACCESS_TOKEN, name="unknown grant")
    return await _assess(session, row, settings)


def _joined() -> FromClause:
    """Join a grant's table with the tables that it depends on."""
    grant, client, user, key, browser, approval = (entity.__table__ for entity in _ENTITIES)
    its_approval = and_(approval.c.oauth_client_id == client.c.id, approval.c.organization_id == grant.c.organization_id)
    return (
        grant.join(client, client.c.id == grant.c.oauth_client_id)
        .outerjoin(user, user.c.id == grant.c.user_id)
        .outerjoin(key, key.c.id == grant.c.api_key_id)
        .outerjoin(browser, browser.c.id == grant.c.browser_session_id)
        .outerjoin(approval, its_approval)
    )


# Built once: a grant is looked up for each refresh, and building the statement takes longer than running it.
_ENTITIES = (OAuthGrant, OAuthClient, User, ApiKey, BrowserSession, OAuthApproval)
_GRANTS = OAuthGrant.__table__.c
_BY_ID = select(*_ENTITIES).select_from(_joined()).where(_GRANTS.id == bindparam("grant_id")).execution_options(populate_existing=True)

# Authentication needs no ORM entities, which are the largest cost: these are plain columns, only those that are read here.
_READ = (
    (
        "id sid kind organization_id oauth_client_id user_id api_key_id browser_session_id space_id "
        "reach scopes resource auth_time expires_at ended_at offline"
    ),
    "id client_id name scopes status",
    "id organization_id full_name email user_group status",
    "id scopes networks rate_limit expires_at revoked_at",
    "id expires_at ended_at last_seen_at",
    "oauth_client_id approved",
)
_PARTS: list[Any] = [namedtuple(entity.__name__, names) for entity, names in zip(_ENTITIES, _READ, strict=True)]  # noqa: PYI024  read of the text
_COLUMNS = [entity.__table__.c[name] for entity, part in zip(_ENTITIES, _PARTS, strict=True) for name in part._fields]
_BY_SID = select(*_COLUMNS).select_from(_joined()).where(_GRANTS.sid == bindparam("sid"))


def _parts(row: Sequence[Any]) -> list[Any]:
    """Split a row of plain columns by table, None where an outer join found nothing."""
    parts: list[Any] = []
    at = 0
    for part in _PARTS:
        values = row[at : at + len(part._fields)]
        at += len(values)
        parts.append(None if values[0] is None else part._make(values))
    return parts


_RESOURCES_AND_REVOKED = union_all(
    select(OAuthResource.identifier, literal(value=True).label("is_resource")).where(
        OAuthResource.organization_id == bindparam("organization_id"), OAuthResource.may_call_api.is_(True)
    ),
    select(RevokedToken.jti, literal(value=False)).where(
        RevokedToken.grant_id == bindparam("grant_id"), RevokedToken.expires_at > bindparam("now")
    ),
)


async def _assess(session: AsyncSession, row: Any, settings: Settings) -> ActiveGrant | RejectedCredential:  # noqa: ANN401  a row of _query
    grant, client, user, key, browser, approval = row
    reason = _rejection_reason(grant, client, user, key) or _browser_rejection(grant, browser, settings)
    if reason is None and approval is not None and approval.approved is False:
        reason = RejectionReason.CLIENT_REVOKED
    if reason is not None:
        return _rejected(reason, grant, client, user)
    principal = await _principal(session, grant, client, user, key)
    space: str | int = grant.space_id if grant.reach is Reach.SPACE else grant.reach.value
    current_membership = await membership.of(session, principal, space)
    if grant.reach is Reach.SPACE and not current_membership.spaces:
        return _rejected(RejectionReason.MEMBERSHIP_LOST, grant, client, user)
    params = {"organization_id": grant.organization_id, "grant_id": grant.id, "now": clock.now()}
    also = (await session.execute(_RESOURCES_AND_REVOKED, params)).all()
    ends = [grant.expires_at]
    if key is not None:
        ends.append(key.expires_at)
    look_again = []
    if browser is not None and _needs_browser(grant):
        ends.append(browser.expires_at)
        look_again.append(browser.last_seen_at + timedelta(minutes=settings.session_idle_minutes))
    allowed = [text for text, is_resource in also if is_resource]
    return ActiveGrant(
        grant_id=grant.id,
        sid=grant.sid,
        kind=grant.kind,
        client_id=client.client_id,
        client_name=client.name,
        subject=str(user.id) if user is not None else client.client_id,
        principal=principal,
        membership=current_membership,
        granted=frozenset(allowed_scopes(grant, client)),
        resource=grant.resource,
        auth_time=int(grant.auth_time.timestamp()) if grant.auth_time else None,
        expires_at=min(ends).timestamp(),
        look_again_at=min(ends + look_again).timestamp(),
        slots=_slots(grant),
        audiences=own_audiences(settings) | frozenset(allowed) | {each + "/" for each in allowed},
        revoked=frozenset(text for text, is_resource in also if not is_resource),
        networks=tuple(ipaddress.ip_network(each) for each in key.networks.split()) if key is not None else (),
        rate_limit=key.rate_limit if key is not None else None,
        api_key_id=key.id if key is not None else None,
    )


def _slots(grant: OAuthGrant) -> tuple[int, ...]:
    concerned = [subjects.grant(grant.id), subjects.client(grant.oauth_client_id), subjects.organization(grant.organization_id)]
    if grant.user_id is not None:
        concerned.append(subjects.user(grant.user_id))
    if grant.browser_session_id is not None:
        concerned.append(subjects.browser_session(grant.browser_session_id))
    if grant.api_key_id is not None:
        concerned.append(subjects.key(grant.api_key_id))
    return subjects.slots(*concerned)


def _rejected(reason: RejectionReason, grant: OAuthGrant, client: OAuthClient, user: User | None) -> RejectedCredential:
    email = user.email if user else None
    return RejectedCredential(reason, grant.organization_id, grant.user_id, email, grant.id, client.name, CredentialKind.ACCESS_TOKEN)


def _needs_browser(grant: OAuthGrant) -> bool:
    """Whether the grant ends with the browser session in which the user consented."""
    return grant.kind is GrantKind.USER and not grant.offline


def _browser_rejection(grant: OAuthGrant, browser: BrowserSession | None, settings: Settings) -> RejectionReason | None:
    if not _needs_browser(grant):
        return None
    at = clock.now()
    if browser is None or browser.ended_at is not None or browser.expires_at <= at:
        return RejectionReason.SESSION_ENDED
    return RejectionReason.SESSION_ENDED if browser.last_seen_at <= at - timedelta(minutes=settings.session_idle_minutes) else None


def _rejection_reason(grant: OAuthGrant, client: OAuthClient, user: User | None, key: ApiKey | None) -> RejectionReason | None:
    at = clock.now()
    faults = (
        (grant.ended_at is not None, RejectionReason.GRANT_ENDED),
        (grant.expires_at <= at, RejectionReason.EXPIRED),
        (client.status is not ClientStatus.ACTIVE, RejectionReason.CLIENT_REVOKED),
        (grant.kind is not GrantKind.SERVICE and (user is None or user.status is not UserStatus.ACTIVE), RejectionReason.USER_DISABLED),
        (grant.kind is GrantKind.EXCHANGE and (key is None or active_keys.status(key, at) == "revoked"), RejectionReason.REVOKED),
        (key is not None and active_keys.status(key, at) == "expired", RejectionReason.EXPIRED),
    )
    return next((reason for is_so, reason in faults if is_so), None)


def allowed_scopes(grant: OAuthGrant | OAuthConsent, client: OAuthClient) -> list[str]:
    """Return the scopes of a grant or consent that its client may still have.

    A client without a scope list may have all, so nothing is removed.
    """
    most, words = client.scopes.split(), grant.scopes.split()
    return [word for word in words if word in most or word == scopes.OFFLINE] if most else words


async def _principal(session: AsyncSession, grant: OAuthGrant, client: OAuthClient, user: User | None, key: ApiKey | None) -> Principal:
    granted = scopes.api(allowed_scopes(grant, client))
    if key is not None:
        granted &= scopes.parse(key.scopes)
    credential = Credential(CredentialKind.ACCESS_TOKEN, grant.id, client.name)
    if user is None:
        rows = await session.execute(
            select(OAuthClientSpace.space_id, OAuthClientSpace.role).where(OAuthClientSpace.oauth_client_id == client.id)
        )
        roles = {space_id: Role(role) for space_id, role in rows}
        allowed = granted & scopes.api(client.scopes.split())
        return Principal(0, grant.organization_id, client.name, client.client_id, Group.USER, credential, allowed, roles=roles)
    only: frozenset[int | None] | None = None
    if grant.reach is Reach.PERSONAL:
        only = frozenset({None})
    elif grant.reach is Reach.SPACE:
        only = frozenset({grant.space_id}) if grant.space_id is not None else frozenset()
    return Principal(user.id, user.organization_id, user.full_name, user.email, Group(user.user_group), credential, granted, only=only)
