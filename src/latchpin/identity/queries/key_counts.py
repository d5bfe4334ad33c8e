"""How many active keys each user has, without counting them: triggers keep the number as of a stored moment, which `advance` updates."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit import clock
from latchpin.storage.models import ApiKey, ApiKeyCount, ApiKeyCountTime, User


async def of_users(session: AsyncSession, organization_id: int) -> Select[int, int]:
    """Return a query for an organization's users (`user_id`) and the number of their active keys (`active`)."""
    now = clock.now()
    at = await session.scalar(select(ApiKeyCountTime.counted_at)) or now
    since = _expiring(min(at, now), max(at, now)).where(ApiKey.organization_id == organization_id).subquery()
    passed = func.coalesce(since.c.number, 0)
    active = func.coalesce(ApiKeyCount.active, 0) + (passed if now < at else -passed)  # the clock may have been set back
    return (
        select(User.id.label("user_id"), active.label("active"))
        .outerjoin(ApiKeyCount, ApiKeyCount.user_id == User.id)
        .outerjoin(since, since.c.user_id == User.id)
        .where(User.organization_id == organization_id)
    )


async def total(session: AsyncSession, organization_id: int) -> int:
    """Return the number of an organization's active keys."""
    counts = (await of_users(session, organization_id)).subquery()
    return await session.scalar(select(func.sum(counts.c.active))) or 0


async def advance(session: AsyncSession) -> None:
    """Bring the numbers to the present: subtract keys that expired since the stored moment; run it about every hour."""
    now = clock.now()
    at = await session.scalar(select(ApiKeyCountTime.counted_at).with_for_update())
    if at is None or at >= now:
        return
    passed = _expiring(at, now).subquery()
    number = select(passed.c.number).where(passed.c.user_id == ApiKeyCount.user_id).scalar_subquery()
    await session.execute(
        update(ApiKeyCount)
        .where(ApiKeyCount.user_id.in_(select(passed.c.user_id)))
        .values(active=ApiKeyCount.active - number)
        .execution_options(synchronize_session=False)
    )
    await session.execute(update(ApiKeyCountTime).values(counted_at=now).execution_options(synchronize_session=False))


def _expiring(after: datetime, until: datetime) -> Select[int, int]:
    """Return a query for users and the number of their unrevoked keys that expire between two moments."""
    return (
        select(ApiKey.user_id, func.count().label("number"))
        .where(ApiKey.revoked_at.is_(None), ApiKey.expires_at > after, ApiKey.expires_at <= until)
        .group_by(ApiKey.user_id)
    )
