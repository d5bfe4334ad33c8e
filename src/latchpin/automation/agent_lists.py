"""Lists of agents: what a principal sees of them, filtered, sorted, in pages.

These are hot reads. A statement is built once for each kind of question and kept; who asks, and for what, goes in when it is executed.
Nothing that was read is kept. Each list is one statement and so one moment, whether a session or a glance executes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, String, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from latchpin.errors import Malformed, Missing
from latchpin.identity import access
from latchpin.identity.access import Sight
from latchpin.identity.principal import Principal
from latchpin.kit.pages import Counted
from latchpin.storage.models import Agent, Space
from latchpin.storage.models.agent import ConfigType, RunStatus, ValidationStatus

SORTS = ("name", "lastActivity", "created", "updated", "status", "configType")
_COLUMNS: dict[str, Any] = {
    "name": func.lower(Agent.name),
    "lastActivity": Agent.last_activity,
    "created": Agent.created,
    "updated": Agent.updated,
    "status": Agent.status,
    "configType": Agent.config_type,
}
_ESCAPE = "/"
_NAME, _TEXT = bindparam("name", type_=String()), bindparam("text", type_=String())
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "current": Agent.archived.is_(None),
    "archived": Agent.archived.is_not(None),
    "name": Agent.name.icontains(_NAME, escape=_ESCAPE),
    "text": or_(Agent.name.icontains(_TEXT, escape=_ESCAPE), Agent.description.icontains(_TEXT, escape=_ESCAPE)),
    "never_ran": Agent.status.is_(None),
    "status": Agent.status == bindparam("status"),
    "personal": Agent.space_id.is_(None),
    "space_id": Agent.space_id == bindparam("space_id"),
    "config_type": Agent.config_type == bindparam("config_type"),
}
_KEPT = 500  # statements; far more than clients ask for, and an end to what somebody might try
_Reader = AsyncSession | AsyncConnection


class AgentRow(NamedTuple):
    """An agent as lists have it: the columns of these names. Its attributes are read ten times faster than those of a database row."""

    id: int
    space_id: int | None
    user_id: int
    name: str
    description: str | None
    documentation: str | None
    config_type: ConfigType
    start_url: str | None
    input_parameters: str
    status: RunStatus | None
    validation_status: ValidationStatus
    version: int
    last_activity: datetime | None
    archived: datetime | None
    created: datetime
    updated: datetime


_ROW = tuple(Agent.__table__.c[name] for name in AgentRow._fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to list. `space_id` 0 means the personal Space; `archived` None lists both kinds."""

    name: str | None = None
    text: str | None = None
    status: RunStatus | None = None
    never_ran: bool = False
    space_id: int | None = None
    config_type: ConfigType | None = None
    archived: bool | None = False

    def asked(self) -> dict[str, Any]:
        """Return what is asked for: names of conditions, with their values where they take one."""
        found: dict[str, Any] = {}
        if self.archived is not None:
            found["archived" if self.archived else "current"] = None
        if self.name:
            found["name"] = _literally(self.name)
        if self.text:
            found["text"] = _literally(self.text)
        if self.never_ran:
            found["never_ran"] = None
        if self.status is not None:
            found["status"] = self.status
        if self.space_id is not None:
            found["space_id" if self.space_id else "personal"] = self.space_id
        if self.config_type is not None:
            found["config_type"] = self.config_type
        return found


async def every(
    reader: _Reader, principal: Principal, filters: Filters, *, sort: str = "name", descending: bool = False, limit: int | None = None
) -> list[AgentRow]:
    """Return the visible agents, or the first `limit` of them. Raises Malformed for a sort."""
    asked = filters.asked()
    query = _every(access.sight(principal), tuple(asked), _sort(sort), descending, limit is not None)
    rows = await reader.execute(query, {**access.seeing(principal), **asked, "limit": limit})
    return list(map(AgentRow._make, rows))


async def page(
    reader: _Reader, principal: Principal, filters: Filters, *, number: int, size: int, sort: str = "name", descending: bool = False
) -> Counted[AgentRow]:
    """Return page `number` (1-based) of `size` visible agents with the length of the whole list. Raises Malformed for a sort."""
    asked = filters.asked()
    query = _page(access.sight(principal), tuple(asked), _sort(sort), descending)
    values = {**access.seeing(principal), **asked, "limit": size, "offset": (number - 1) * size}
    rows = (await reader.execute(query, values)).all()
    if not rows and number > 1:  # past the end, where no row tells the length
        return Counted((), await count(reader, principal, filters))
    return Counted(tuple(AgentRow._make(row[1:]) for row in rows), rows[0][0] if rows else 0)


async def count(reader: _Reader, principal: Principal, filters: Filters) -> int:
    """Return how many visible agents the filters leave."""
    asked = filters.asked()
    found = await reader.execute(_count(access.sight(principal), tuple(asked)), {**access.seeing(principal), **asked})
    total: int = found.scalar_one()
    return total


async def in_space(reader: _Reader, principal: Principal, space_id: int) -> list[AgentRow]:
    """Return a Space's agents by name, archived ones included. Raises Missing for a Space that is not visible."""
    rows = (await reader.execute(_in_space(access.sight(principal)), {**access.seeing(principal), "space_id": space_id})).all()
    if not rows:
        raise Missing("space", space_id)
    return [AgentRow._make(row) for row in rows if row[0] is not None]  # a Space without agents is one row of nothing


@lru_cache(_KEPT)
def _every(seen: Sight, asked: tuple[str, ...], sort: str, descending: bool, limited: bool) -> Select[Any]:  # noqa: FBT001  keys of the memory
    query = select(*_ROW).where(*_wanted(seen, asked)).order_by(*_order(sort, descending=descending))
    return query.limit(bindparam("limit", type_=BigInteger())) if limited else query


@lru_cache(_KEPT)
def _page(seen: Sight, asked: tuple[str, ...], sort: str, descending: bool) -> Select[Any]:  # noqa: FBT001  as above
    total = _count(seen, asked).correlate(None).scalar_subquery()
    query = select(total, *_ROW).where(*_wanted(seen, asked)).order_by(*_order(sort, descending=descending))
    return query.limit(bindparam("limit", type_=BigInteger())).offset(bindparam("offset", type_=BigInteger()))


@lru_cache(_KEPT)
def _count(seen: Sight, asked: tuple[str, ...]) -> Select[int]:
    return select(func.count()).select_from(Agent).where(*_wanted(seen, asked))


@lru_cache(_KEPT)
def _in_space(seen: Sight) -> Select[Any]:
    """Whoever sees a Space sees its agents, so the condition on Space is enough."""
    query = select(*_ROW).select_from(Space).outerjoin(Agent, Agent.space_id == Space.id)
    query = query.where(access.spaces_in(seen), Space.id == bindparam("space_id"))
    return query.order_by(*_order("name", descending=False))


def _wanted(seen: Sight, asked: tuple[str, ...]) -> tuple[ColumnElement[bool], ...]:
    return (access.agents_in(seen), *(_CONDITIONS[name] for name in asked))


def _order(sort: str, *, descending: bool) -> tuple[Any, ...]:
    column = _COLUMNS[sort]
    return (column.desc() if descending else column.asc()).nulls_last(), Agent.id


def _sort(name: str) -> str:
    if name not in _COLUMNS:
        detail = f"sortColumn must be one of {', '.join(SORTS)}."
        raise Malformed(detail, field="sortColumn")
    return name


def _literally(text: str) -> str:
    """Return a text in which the signs of a pattern stand for themselves."""
    for sign in (_ESCAPE, "%", "_"):
        text = text.replace(sign, _ESCAPE + sign)
    return text
