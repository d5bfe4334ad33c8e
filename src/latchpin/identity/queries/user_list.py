"""The list of users with what an administrator wants to see: active keys, those that expire soon, last sign-in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Invalid
from latchpin.identity import active_keys
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
    """A user with the number of live keys, and how many of them expire within 30 days."""

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
    """Return one page (1-based) of an organization's users; `search` looks into name and e-mail. Raises Invalid for an unknown sort."""
    size = max(1, min(size, 200))
    number = max(1, min(number, _MOST_PAGES))
    live = active_keys.active()
    soon = and_(live, ApiKey.expires_at <= clock.now() + SOON)
    keys = (
        select(
            ApiKey.user_id,
            func.sum(case((live, 1), else_=0)).label("live"),
            func.sum(case((soon, 1), else_=0)).label("soon"),
        )
        .where(ApiKey.organization_id == organization_id)
        .group_by(ApiKey.user_id)
        .subquery()
    )
    column = func.coalesce(keys.c.live, 0) if sort == "keys" else _COLUMNS.get(sort)
    if column is None:
        detail = f"Users can be sorted by {', '.join([*_COLUMNS, 'keys'])}."
        raise Invalid(detail, field="sort")
    condition = User.organization_id == organization_id
    if term := plain_text.normalize(search):
        condition = and_(condition, or_(contains(User.full_name, term), contains(User.email, term)))
    total = await session.scalar(select(func.count()).select_from(User).where(condition)) or 0
    rows = await session.execute(
        select(User, func.coalesce(keys.c.live, 0), func.coalesce(keys.c.soon, 0))
        .outerjoin(keys, keys.c.user_id == User.id)
        .where(condition)
        .order_by((column.desc() if descending else column.asc()).nulls_last(), User.id)
        .limit(size)
        .offset((number - 1) * size)
    )
    return CountedPage(tuple(UserSummary(user, int(alive), int(expiring)) for user, alive, expiring in rows), total)
