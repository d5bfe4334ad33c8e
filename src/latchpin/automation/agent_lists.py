"""Lists of the agents that a principal may see, filtered, sorted, in pages.

These are frequent reads. A statement is built once for each kind of query and cached; principal and values are bound when it is executed.
Results are not cached. Each list is one statement and so one consistent state, whether a session or an executor executes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, exists, func, or_, select

from latchpin.errors import Malformed, Missing
from latchpin.identity import access
from latchpin.identity.access import VisibilityRules
from latchpin.identity.principal import Principal
from latchpin.kit.pages import CountedPage
from latchpin.storage.database import Queryable, fetch_one
from latchpin.storage.json_rows import rows
from latchpin.storage.models import Agent, Space
from latchpin.storage.models.agent import ConfigType, RunStatus, ValidationStatus
from latchpin.storage.search import contains_parameter, parameters

SORTS = ("name", "lastActivity", "created", "updated", "status", "configType")
_COLUMNS: dict[str, Any] = {
    "name": func.lower(Agent.name),
    "lastActivity": Agent.last_activity_at,
    "created": Agent.created_at,
    "updated": Agent.updated_at,
    "status": Agent.status,
    "configType": Agent.config_type,
}
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "current": Agent.archived_at.is_(None),
    "archived": Agent.archived_at.is_not(None),
    "name": contains_parameter(Agent.name, "name"),
    "text": or_(contains_parameter(Agent.name, "text"), contains_parameter(Agent.description, "text")),
    "never_ran": Agent.status.is_(None),
    "status": Agent.status == bindparam("status"),
    "personal": Agent.space_id.is_(None),
    "space_id": Agent.space_id == bindparam("space_id"),
    "config_type": Agent.config_type == bindparam("config_type"),
}
_TERMS = frozenset({"name", "text"})
_KEPT = 500  # statements; far more than clients need, and a bound for hostile ones


class AgentRow(msgspec.Struct, array_like=True, frozen=True):
    """An agent in a list: the columns of these names."""

    id: int
    space_id: int | None
    user_id: int | None
    name: str
    description: str | None
    documentation: str | None
    config_type: ConfigType
    start_url: str | None
    input_parameters: str
    status: RunStatus | None
    validation_status: ValidationStatus
    version: int
    last_activity_at: datetime | None
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime
    active_runs: int


_ROW = tuple(Agent.__table__.c[name] for name in AgentRow.__struct_fields__)
_decode = msgspec.json.Decoder(list[AgentRow]).decode


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

    def conditions(self) -> dict[str, Any]:
        """Return the conditions by name, with their values if they take one."""
        conditions: dict[str, Any] = {}
        if self.archived is not None:
            conditions["archived" if self.archived else "current"] = None
        if self.name:
            conditions["name"] = self.name
        if self.text:
            conditions["text"] = self.text
        if self.never_ran:
            conditions["never_ran"] = None
        if self.status is not None:
            conditions["status"] = self.status
        if self.space_id is not None:
            conditions["space_id" if self.space_id else "personal"] = self.space_id
        if self.config_type is not None:
            conditions["config_type"] = self.config_type
        return conditions


async def list_all(
    reader: Queryable, principal: Principal, filters: Filters, *, sort: str = "name", descending: bool = False, limit: int | None = None
) -> list[AgentRow]:
    """Return the visible agents, or the first `limit` of them. Raises Malformed for an unknown sort."""
    conditions = filters.conditions()
    query = _list_query(access.visibility_of(principal), tuple(conditions), _sort(sort), descending, limit is not None)
    (encoded,) = await fetch_one(reader, query, _values(principal, conditions, limit=limit))
    return _decode(encoded)


async def page(
    reader: Queryable, principal: Principal, filters: Filters, *, number: int, size: int, sort: str = "name", descending: bool = False
) -> CountedPage[AgentRow]:
    """Return page `number` (1-based) of `size` visible agents with the length of the whole list. Raises Malformed for an unknown sort."""
    conditions = filters.conditions()
    query = _page(access.visibility_of(principal), tuple(conditions), _sort(sort), descending)
    values = _values(principal, conditions, limit=size, offset=(number - 1) * size)
    total, encoded = await fetch_one(reader, query, values)
    return CountedPage(tuple(_decode(encoded)), total)


async def count(reader: Queryable, principal: Principal, filters: Filters) -> int:
    """Return how many visible agents match the filters."""
    conditions = filters.conditions()
    (total,) = await fetch_one(reader, _count(access.visibility_of(principal), tuple(conditions)), _values(principal, conditions))
    return total


async def in_space(reader: Queryable, principal: Principal, space_id: int) -> list[AgentRow]:
    """Return a Space's agents by name, archived ones included. Raises Missing for a Space that is not visible."""
    visible, encoded = await fetch_one(
        reader, _in_space(access.visibility_of(principal)), {**access.visibility_params(principal), "space_id": space_id}
    )
    if not visible:
        raise Missing("space", space_id)
    return _decode(encoded)


@lru_cache(_KEPT)
def _list_query(visibility: VisibilityRules, conditions: tuple[str, ...], sort: str, descending: bool, has_limit: bool) -> Select[str]:  # noqa: FBT001  keys of the memory
    query = _sorted(visibility, conditions, sort, descending=descending)
    return select(rows(query.limit(_number("limit")) if has_limit else query))


@lru_cache(_KEPT)
def _page(visibility: VisibilityRules, conditions: tuple[str, ...], sort: str, descending: bool) -> Select[int, str]:  # noqa: FBT001  as above
    query = _sorted(visibility, conditions, sort, descending=descending).limit(_number("limit")).offset(_number("offset"))
    return select(_count(visibility, conditions).scalar_subquery(), rows(query))


@lru_cache(_KEPT)
def _in_space(visibility: VisibilityRules) -> Select[bool, str]:
    visible = exists().where(access.spaces_in(visibility), Space.id == bindparam("space_id"))
    return select(visible, rows(_sorted(visibility, ("space_id",), "name", descending=False)))


@lru_cache(_KEPT)
def _count(visibility: VisibilityRules, conditions: tuple[str, ...]) -> Select[int]:
    return select(func.count()).select_from(Agent).where(*_where(visibility, conditions))


def _sorted(visibility: VisibilityRules, conditions: tuple[str, ...], sort: str, *, descending: bool) -> Select[Any]:
    column = _COLUMNS[sort]
    order = column.desc() if descending else column.asc()
    return select(*_ROW).where(*_where(visibility, conditions)).order_by(order.nulls_last(), Agent.id)


def _where(visibility: VisibilityRules, conditions: tuple[str, ...]) -> tuple[ColumnElement[bool], ...]:
    return (access.agents_in(visibility), *(_CONDITIONS[name] for name in conditions))


def _values(principal: Principal, conditions: Mapping[str, Any], **more: int | None) -> dict[str, Any]:
    """Return a statement's parameters: the principal, the values of the conditions, and `more` such as a limit."""
    terms = {name: term for each in _TERMS.intersection(conditions) for name, term in parameters(each, conditions[each]).items()}
    return {**access.visibility_params(principal), **conditions, **terms, **more}


def _number(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger())


def _sort(name: str) -> str:
    if name not in _COLUMNS:
        detail = f"sortColumn must be one of {', '.join(SORTS)}."
        raise Malformed(detail, field="sortColumn")
    return name
