"""The apps of an organization: its own, and those of others that its users use or have requested."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Invalid, Missing
from latchpin.identity import active_grant, grants
from latchpin.kit import plain_text
from latchpin.kit.pages import CountedPage
from latchpin.storage.models import OAuthApproval, OAuthClient, OAuthGrant, Organization, User
from latchpin.storage.models.oauth_client import ClientSource, ClientStatus
from latchpin.storage.search import contains

SORTS = ("name", "kind", "source", "status", "users", "last_used", "created")
_MOST_PAGES = 1_000_000


class AppStatus(StrEnum):
    """An app's status in one organization. Waiting: its users cannot authorize it before an administrator approves it."""

    WAITING = "waiting"
    ACTIVE = "active"
    BLOCKED = "blocked"
    REVOKED = "revoked"


class AppKind(StrEnum):
    """What an app is: one with a server that keeps a secret, one in a browser or on a device, or one that acts on its own behalf."""

    CONFIDENTIAL = "confidential"
    PUBLIC = "public"
    SERVICE = "service"


_RANKED = tuple(AppStatus)


@dataclass(frozen=True, slots=True)
class ClientSummary:
    """An app as one organization sees it. `own`: the organization created it; `users` have active grants; counts are the organization's."""

    client: OAuthClient
    own: bool
    status: AppStatus
    users: int
    last_used_at: datetime | None
    approval: OAuthApproval | None

    @property
    def has_changed(self) -> bool:
        """Whether it has changed since an administrator approved it."""
        return self.approval is not None and bool(self.approval.approved) and self.approval.client_version != self.client.version

    @property
    def kind(self) -> AppKind:
        """The kind of the app."""
        granted = self.client.grant_types.split()
        if "client_credentials" in granted and "authorization_code" not in granted:
            return AppKind.SERVICE
        return AppKind.PUBLIC if self.client.auth_method == "none" else AppKind.CONFIDENTIAL


@dataclass(frozen=True, slots=True)
class ClientUser:
    """A user with active grants to an app; `scopes` are those of all these grants together."""

    user: User
    scopes: frozenset[str]
    since: datetime
    last_used_at: datetime | None


async def page(
    session: AsyncSession,
    organization_id: int,
    *,
    search: str = "",
    status: AppStatus | None = None,
    sort: str = "name",
    descending: bool = False,
    number: int = 1,
    size: int = 50,
) -> CountedPage[ClientSummary]:
    """Return one page (1-based) of an organization's apps; `search` matches name and client_id. Raises Invalid for an unknown sort."""
    query, columns = await _query(session, organization_id)
    if sort not in columns:
        raise Invalid(f"Apps can be sorted by {', '.join(SORTS)}.", field="sort")
    if term := plain_text.normalize(search):
        query = query.where(or_(contains(OAuthClient.name, term), contains(OAuthClient.client_id, term)))
    if status is not None:
        query = query.where(columns["status"] == _RANKED.index(status))
    total = await session.scalar(select(func.count()).select_from(query.with_only_columns(OAuthClient.id).subquery())) or 0
    size, number = max(1, min(size, 200)), max(1, min(number, _MOST_PAGES))
    column = columns[sort]
    ordered = query.order_by((column.desc() if descending else column.asc()).nulls_last(), OAuthClient.id)
    rows = await session.execute(ordered.limit(size).offset((number - 1) * size))
    return CountedPage(tuple(_summary(row, organization_id) for row in rows), total)


async def get(session: AsyncSession, organization_id: int, client_pk: int) -> ClientSummary:
    """Return one app as the organization sees it; raises Missing for one that it did not create, does not use and need not approve."""
    query, _ = await _query(session, organization_id)
    row = (await session.execute(query.where(OAuthClient.id == client_pk))).one_or_none()
    if row is None:
        raise Missing("app", client_pk)
    return _summary(row, organization_id)


async def count_waiting(session: AsyncSession, organization_id: int) -> int:
    """Count the apps that wait for an administrator's approval."""
    query, columns = await _query(session, organization_id)
    waiting = query.where(columns["status"] == _RANKED.index(AppStatus.WAITING)).with_only_columns(OAuthClient.id)
    return await session.scalar(select(func.count()).select_from(waiting.subquery())) or 0


async def users_of(session: AsyncSession, organization_id: int, client_pk: int, *, most: int = 200) -> list[ClientUser]:
    """Return the organization's users with active grants to an app, the latest used first."""
    rows = await session.execute(
        select(User, OAuthGrant, OAuthClient)
        .join(User, User.id == OAuthGrant.user_id)
        .join(OAuthClient, OAuthClient.id == OAuthGrant.oauth_client_id)
        .where(OAuthGrant.organization_id == organization_id, OAuthGrant.oauth_client_id == client_pk, grants.active())
        .order_by(OAuthGrant.last_used_at.desc(), OAuthGrant.id.desc())
        .limit(most * 5)
    )
    users: dict[int, ClientUser] = {}
    for user, grant, client in rows:
        existing = users.get(user.id)
        scopes = frozenset(active_grant.allowed_scopes(grant, client))
        if existing is None:
            users[user.id] = ClientUser(user, scopes, grant.created_at, grant.last_used_at)
        else:
            users[user.id] = ClientUser(user, existing.scopes | scopes, min(existing.since, grant.created_at), existing.last_used_at)
    return list(users.values())[:most]


async def _query(session: AsyncSession, organization_id: int) -> tuple[Select[Any], dict[str, Any]]:
    """Return the query for the organization's apps, and the columns it can be sorted by."""
    needs_approval = bool(await session.scalar(select(Organization.app_approval).where(Organization.id == organization_id)))
    usage = (
        select(
            OAuthGrant.oauth_client_id,
            func.count(func.distinct(case((grants.active(), OAuthGrant.user_id)))).label("users"),
            func.max(OAuthGrant.last_used_at).label("last_used_at"),
        )
        .where(OAuthGrant.organization_id == organization_id, OAuthGrant.activated_at.is_not(None))
        .group_by(OAuthGrant.oauth_client_id)
        .subquery()
    )
    own = OAuthClient.organization_id == organization_id
    is_visible = or_(own, usage.c.oauth_client_id.is_not(None), OAuthApproval.oauth_client_id.is_not(None))
    is_own = and_(OAuthClient.organization_id.is_not(None), own)
    status = case(
        (OAuthClient.status == ClientStatus.REVOKED, _RANKED.index(AppStatus.REVOKED)),
        (is_own, _RANKED.index(AppStatus.ACTIVE)),
        (OAuthApproval.approved.is_(False), _RANKED.index(AppStatus.BLOCKED)),
        (and_(OAuthApproval.approved.is_(True), OAuthApproval.client_version == OAuthClient.version), _RANKED.index(AppStatus.ACTIVE)),
        else_=_RANKED.index(AppStatus.WAITING if needs_approval else AppStatus.ACTIVE),
    )
    users = func.coalesce(usage.c.users, 0)
    query = (
        select(OAuthClient, OAuthApproval, status, users, usage.c.last_used_at)
        .outerjoin(usage, usage.c.oauth_client_id == OAuthClient.id)
        .outerjoin(OAuthApproval, and_(OAuthApproval.oauth_client_id == OAuthClient.id, OAuthApproval.organization_id == organization_id))
        .where(OAuthClient.source != ClientSource.FIRST_PARTY, OAuthClient.resource_id.is_(None), is_visible)
    )
    columns = {
        "name": func.lower(OAuthClient.name),
        "kind": case(
            (OAuthClient.grant_types.contains("client_credentials"), AppKind.SERVICE.value),
            (OAuthClient.auth_method == "none", AppKind.PUBLIC.value),
            else_=AppKind.CONFIDENTIAL.value,
        ),
        "source": OAuthClient.source,
        "status": status,
        "users": users,
        "last_used": usage.c.last_used_at,
        "created": OAuthClient.created_at,
    }
    return query, columns


def _summary(row: Any, organization_id: int) -> ClientSummary:  # noqa: ANN401  a row of _query
    client, approval, status, users, last_used_at = row
    return ClientSummary(client, client.organization_id == organization_id, _RANKED[status], int(users), last_used_at, approval)
