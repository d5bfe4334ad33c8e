"""The list of users for administrators: with active keys, those that expire soon, and the last sign-in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Invalid
from latchpin.identity import active_keys
from latchpin.identity.queries import key_counts
from latchpin.kit import clock, plain_text
from latchpin.kit.pages import CountedPage
from latchpin.storage.models import ApiKey, User
from latchpin.storage.search import contains

SOON = timedelta(days=30)
_MOST_PAGES = 1_000_000
_COLUMNS = {
    "full_name": func.lower(User.full_name),
    "email": User.email_key,
    "group": User.user_group,
    "status": User.status,
    "last_sign_in": User.last_sign_in_at,
    "created": User.created_at,
}


@dataclass(frozen=True, slots=True)
class UserSummary:
    """A user with the number of active keys, and of those that expire within 30 days."""

    user: User
    active_keys: int
    keys_expiring: int


async def page(
    session: AsyncSession,
    organization_id: int,
    *,
    search: str = "",
    sort: str = "full_name",
    descending: bool = False,
    number: int = 1,
    size: int = 50,
) -> CountedPage[UserSummary]:
    """Return one page (1-based) of an organization's users; `search` matches name and e-mail. Raises Invalid for an unknown sort."""
    size = max(1, min(size, 200))
    number = max(1, min(number, _MOST_PAGES))
    key_counts_table = (await key_counts.of_users(session, organization_id)).subquery()
    column = key_counts_table.c.active if sort == "keys" else _COLUMNS.get(sort)
    if column is None:
        detail = f"Users can be sorted by {', '.join([*_COLUMNS, 'keys'])}."
        raise Invalid(detail, field="sort")
    condition = User.organization_id == organization_id
    if term := plain_text.normalize(search):
        condition = and_(condition, or_(contains(User.full_name, term), contains(User.email, term)))
    total = await session.scalar(select(func.count()).select_from(User).where(condition)) or 0
    query = select(User).join(key_counts_table, key_counts_table.c.user_id == User.id) if sort == "keys" else select(User)
    order = (column.desc() if descending else column.asc()).nulls_last()
    users = (await session.scalars(query.where(condition).order_by(order, User.id).limit(size).offset((number - 1) * size))).all()
    counts = await _key_counts(session, [user.id for user in users])
    return CountedPage(tuple(UserSummary(user, *counts.get(user.id, (0, 0))) for user in users), total)


async def choices(session: AsyncSession, organization_id: int, *, limit: int) -> list[User]:
    """Return an organization's first users by name, for a form's choices."""
    query = select(User).where(User.organization_id == organization_id).order_by(_COLUMNS["full_name"], User.id).limit(limit)
    return list((await session.scalars(query)).all())


async def _key_counts(session: AsyncSession, user_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Count the active keys of the users of one page, and those of them that expire soon."""
    soon = case((ApiKey.expires_at <= clock.now() + SOON, 1), else_=0)
    query = select(ApiKey.user_id, func.count(), func.sum(soon)).where(ApiKey.user_id.in_(user_ids), active_keys.active())
    rows = await session.execute(query.group_by(ApiKey.user_id))
    return {user_id: (alive, int(expiring)) for user_id, alive, expiring in rows}
