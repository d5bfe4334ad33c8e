"""Reading the audit trail: filters and stable cursor pages; `chain` checks that it is whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit import plain_text
from latchpin.kit.pages import Page, decode_cursor, encode_cursor
from latchpin.storage.models import AuditEvent, OAuthGrant, Organization
from latchpin.storage.search import contains


@dataclass(frozen=True, slots=True)
class Filters:
    """What to show; None shows all. `text` looks into actor, target, credential and address; `since` and `until` are UTC.

    `app_id` shows what an app did by itself and for its users, those of its grants that are still kept; `address` is how one begins.
    """

    action: str | None = None
    outcome: str | None = None
    actor_id: int | None = None
    credential_kind: str | None = None
    credential_id: int | None = None
    credential_name: str | None = None
    app_id: int | None = None
    address: str | None = None
    target_kind: str | None = None
    target_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


async def page(
    session: AsyncSession, organization_id: int, filters: Filters, *, cursor: str | None = None, size: int = 50
) -> Page[AuditEvent]:
    """Return events of one organization, newest first; `cursor` is a page's `next`. `size` is bounded to 1..200.

    Events that arrive while somebody pages appear only on the first page and shift nothing. Raises Invalid for a foreign cursor.
    """
    size = max(1, min(size, 200))
    query = _filtered(select(AuditEvent).where(await _own(session, organization_id)), filters)
    if cursor is not None:
        query = query.where(AuditEvent.id < decode_cursor(cursor))
    rows = (await session.scalars(query.order_by(AuditEvent.id.desc()).limit(size + 1))).all()
    events = tuple(rows[:size])
    return Page(events, next=encode_cursor(events[-1].id) if len(rows) > size else None)


async def get(session: AsyncSession, organization_id: int, event_id: int) -> AuditEvent | None:
    """Return one event of the organization, or None."""
    return await session.scalar(select(AuditEvent).where(await _own(session, organization_id), AuditEvent.id == event_id))


async def newest(session: AsyncSession, *, after: int = 0, limit: int = 50) -> list[AuditEvent]:
    """Return the newest events of the whole deployment with an id above `after`, oldest first; for the command line."""
    rows = await session.scalars(select(AuditEvent).where(AuditEvent.id > after).order_by(AuditEvent.id.desc()).limit(limit))
    return list(rows.all())[::-1]


async def _own(session: AsyncSession, organization_id: int) -> ColumnElement[bool]:
    """The condition for what an organization may read. Where it is alone, that includes what belongs to nobody, as unknown keys do."""
    own = AuditEvent.organization_id == organization_id
    if len((await session.scalars(select(Organization.id).limit(2))).all()) > 1:
        return own
    return or_(own, AuditEvent.organization_id.is_(None))


def _filtered(query: Select[AuditEvent], filters: Filters) -> Select[AuditEvent]:
    for column in ("outcome", "actor_id", "credential_kind", "credential_id", "target_kind", "target_id"):
        value = getattr(filters, column)
        if value is not None:
            query = query.where(getattr(AuditEvent, column) == value)
    if filters.action:
        query = query.where(AuditEvent.action.startswith(filters.action, autoescape=True))
    if filters.app_id is not None:
        query = query.where(_by_app(filters.app_id))
    if name := plain_text.normalize(filters.credential_name or ""):
        query = query.where(contains(AuditEvent.credential_name, name))
    if filters.address:
        query = query.where(AuditEvent.address.startswith(filters.address, autoescape=True))
    if filters.since:
        query = query.where(AuditEvent.at >= filters.since)
    if filters.until:
        query = query.where(AuditEvent.at < filters.until)
    if term := plain_text.normalize(filters.text or ""):
        columns = (AuditEvent.actor_name, AuditEvent.target_name, AuditEvent.credential_name, AuditEvent.address)
        query = query.where(or_(*(contains(column, term) for column in columns)))
    return query


def _by_app(app_id: int) -> ColumnElement[bool]:
    """The condition for what an app did: its own requests, and those with tokens of its grants."""
    grants = select(OAuthGrant.id).where(OAuthGrant.oauth_client_id == app_id)
    return or_(
        and_(AuditEvent.credential_kind == "client", AuditEvent.credential_id == app_id),
        and_(AuditEvent.credential_kind == "access_token", AuditEvent.credential_id.in_(grants)),
    )
