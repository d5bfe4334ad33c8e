"""The list of the Spaces that a principal sees, with who can enter each. Read often, so it is optimized like `automation.agent_lists`."""

from __future__ import annotations

from datetime import datetime
from functools import cache

import msgspec
from sqlalchemy import Select, exists, func, select

from latchpin.identity import access
from latchpin.identity.access import VisibilityRules
from latchpin.identity.principal import Principal
from latchpin.identity.roles import Group
from latchpin.storage.database import Queryable, fetch_one
from latchpin.storage.json_rows import rows
from latchpin.storage.models import Space, SpaceMember, User
from latchpin.storage.models.space import SpaceScope


class SpaceRow(msgspec.Struct, array_like=True, frozen=True):
    """A Space in the list: the columns of these names, and whether any user who is no administrator is a member."""

    id: int
    name: str
    organization_id: int
    description: str | None
    scope: SpaceScope
    is_default_access: bool
    run_retention_hours: int | None
    initiated_by: str | None
    created_at: datetime
    updated_at: datetime
    has_users: bool


_ROW = tuple(Space.__table__.c[name] for name in SpaceRow.__struct_fields__ if name != "has_users")
_decode = msgspec.json.Decoder(list[SpaceRow]).decode


async def list_all(reader: Queryable, principal: Principal) -> list[SpaceRow]:
    """Return the Spaces that the principal may see, by name."""
    (encoded_rows,) = await fetch_one(reader, _visible(access.visibility_of(principal)), access.visibility_params(principal))
    return _decode(encoded_rows)


@cache
def _visible(rules: VisibilityRules) -> Select[str]:
    member = (SpaceMember.space_id == Space.id, SpaceMember.user_id == User.id, User.user_group == Group.USER)
    query = select(*_ROW, exists().where(*member).correlate(Space).label("has_users"))
    return select(rows(query.where(access.spaces_in(rules)).order_by(func.lower(Space.name), Space.id)))
