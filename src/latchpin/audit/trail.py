"""Reading the audit trail: filters and stable cursor pages (`scan`); `chain` verifies that nothing has been changed or removed."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import scan
from latchpin.audit.scan import Filters
from latchpin.kit.pages import Page, decode_cursor, encode_cursor
from latchpin.storage.models import AuditEvent

__all__ = ["Filters", "get", "newest", "page"]


async def page(
    session: AsyncSession, organization_id: int, filters: Filters, *, cursor: str | None = None, size: int = 50
) -> Page[AuditEvent]:
    """Return events of one organization, newest first; `cursor` is the `next` of the page before. `size` is limited to 1..200.

    Events added while somebody pages appear only on the first page and do not shift the others. At most `scan.DEPTH` events are read for
    one page, so where few of them match the filters, a page can be short or even empty and still have a `next`. Raises Invalid for a
    cursor that is not ours.
    """
    size = max(1, min(size, 200))
    before = None if cursor is None else decode_cursor(cursor)
    scanned = await scan.open_(session, organization_id, filters, before=before)
    if scanned is None:
        return Page((), next=None)
    looked_at, is_cut = await scan.shallow(session, scanned)
    rows = (await session.scalars(looked_at.query().limit(size + 1))).all()
    if len(rows) > size:
        return Page(tuple(rows[:size]), next=encode_cursor(rows[size - 1].id))
    return Page(tuple(rows), next=encode_cursor(looked_at.lowest) if is_cut and looked_at.lowest else None, is_short=is_cut)


async def get(session: AsyncSession, organization_id: int, event_id: int) -> AuditEvent | None:
    """Return one event of the organization, or None."""
    visible = await scan.visibility(session, organization_id)
    return await session.scalar(select(AuditEvent).where(visible.condition, AuditEvent.id == event_id))


async def newest(session: AsyncSession, *, after: int = 0, limit: int = 50) -> list[AuditEvent]:
    """Return the newest events of the whole deployment with an id above `after`, oldest first; for the command line."""
    rows = await session.scalars(select(AuditEvent).where(AuditEvent.id > after).order_by(AuditEvent.id.desc()).limit(limit))
    return list(rows.all())[::-1]
