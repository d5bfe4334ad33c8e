"""An administrator's overview of an organization: users, active keys, keys that expire soon, names by id."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import active_keys
from latchpin.identity.queries import key_counts
from latchpin.kit import clock
from latchpin.storage.models import ApiKey, User
from latchpin.storage.models.user import UserStatus

MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of users and active keys of one organization."""

    users: int
    disabled_users: int
    active_keys: int


async def counts(session: AsyncSession, organization_id: int) -> Counts:
    """Count an organization's users and active keys."""
    of_organization = User.organization_id == organization_id
    everybody = await session.scalar(select(func.count()).select_from(User).where(of_organization)) or 0
    disabled = await session.scalar(select(func.count()).select_from(User).where(of_organization, User.status == UserStatus.DISABLED)) or 0
    return Counts(everybody, disabled, await key_counts.total(session, organization_id))


async def expiring(session: AsyncSession, organization_id: int, *, within: timedelta, limit: int = 20) -> list[tuple[ApiKey, User]]:
    """Return active keys that expire within a time from now, with their users, the soonest first."""
    at = clock.now()
    rows = await session.execute(
        select(ApiKey, User)
        .join(User, User.id == ApiKey.user_id)
        .where(
            ApiKey.organization_id == organization_id,
            active_keys.active(at),
            ApiKey.expires_at <= at + within,
        )
        .order_by(ApiKey.expires_at, ApiKey.id)
        .limit(limit)
    )
    return [(key, user) for key, user in rows]


async def ending_after(session: AsyncSession, organization_id: int, *, days: int) -> int:
    """Count active keys that expire more than this number of days from now; `MOST_COUNTED` means that many or more."""
    latest = clock.now() + timedelta(days=days + 1)
    keys = select(ApiKey.id).where(ApiKey.organization_id == organization_id, active_keys.active(latest)).limit(MOST_COUNTED).subquery()
    return await session.scalar(select(func.count()).select_from(keys)) or 0


async def names(session: AsyncSession, organization_id: int, user_ids: Iterable[int]) -> dict[int, str]:
    """Return full names by user id; ids of deleted users and of other organizations' users are left out."""
    unique_ids = set(user_ids)
    if not unique_ids:
        return {}
    rows = await session.execute(select(User.id, User.full_name).where(User.id.in_(unique_ids), User.organization_id == organization_id))
    return dict(rows.all())
