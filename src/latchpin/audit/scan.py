"""How a page of the audit trail is read: by the index that suits its filters best, in the order of ids, and a limited number of rows.

Only the conditions for that index are visible to the query planner; all others are written so that no index can be used. So both
databases read the trail in order and never sort, whatever their statistics. As the other conditions may reject most rows, the number of
rows read for one page is limited.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import events
from latchpin.kit import plain_text
from latchpin.storage.models import AuditEvent, OAuthGrant, Organization
from latchpin.storage.search import contains

DEPTH = 20_000
TEXT_DEPTH = 5_000  # for a search for text, which reads four columns
_ABREAST = 1_000  # how many events may be out of the order of their times, as when the clocks of hosts differ
_EQUAL = ("outcome", "actor_id", "credential_kind", "credential_id", "target_kind", "target_id")
_UNUSUAL = AuditEvent.outcome != literal_column("'done'")  # written exactly as in the partial index
_USED = ".used"
_WITHOUT_ID = ("command_line", "none")  # kinds of credential that have no row


@dataclass(frozen=True, slots=True)
class Filters:
    """What to show; None shows all. `text` searches actor, target, credential and address; `since` and `until` are UTC.

    `app_id` shows what an app did by itself and through its grants that are still stored; `address` is the start of an address.
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


@dataclass(frozen=True, slots=True)
class Scan:
    """Which rows are read (`indexed`, and ids from `lowest` to `highest`), and which of them are shown (`checked`).

    `visible` is a condition that normally all rows that are read meet.
    """

    indexed: list[ColumnElement[bool]]
    checked: list[ColumnElement[bool]]
    depth: int
    lowest: int | None = None
    highest: int | None = None
    visible: list[ColumnElement[bool]] = field(default_factory=list)

    def rows(self) -> list[ColumnElement[bool]]:
        """The conditions for the rows that are read."""
        bounds = [AuditEvent.id >= self.lowest] if self.lowest is not None else []
        if self.highest is not None:
            bounds.append(AuditEvent.id <= self.highest)
        return [*self.indexed, *bounds]

    def query(self) -> Select[AuditEvent]:
        """The rows that are shown, newest first."""
        return select(AuditEvent).where(*self.rows(), *self.checked, *self.visible).order_by(AuditEvent.id.desc())


@dataclass(frozen=True, slots=True)
class Visibility:
    """What an organization may read, as a condition without an index, and whether it is the deployment's only organization."""

    is_alone: bool
    condition: ColumnElement[bool]


async def open_(session: AsyncSession, organization_id: int, filters: Filters, *, before: int | None) -> Scan | None:
    """Return how to read a page of the events with ids below `before`; None where there are no events between the dates."""
    equal = {name: value for name in _EQUAL if (value := getattr(filters, name)) is not None}
    indexed, answered = await _by_index(session, filters, equal)
    checked = [_unindexed(getattr(AuditEvent, name)) == value for name, value in equal.items() if name not in answered]
    checked += _unindexed_conditions(filters, answered)
    if filters.app_id is not None and "app_id" not in answered:
        checked.append(_by_app(filters.app_id, indexed=False))
    visible = await visibility(session, organization_id)
    depth = TEXT_DEPTH if filters.text else DEPTH
    if visible.is_alone:
        scan = Scan(indexed, checked, depth, visible=[visible.condition])
    elif indexed:
        scan = Scan(indexed, [*checked, visible.condition], depth)
    else:
        scan = Scan([AuditEvent.organization_id == organization_id], checked, depth)
    if before is not None:
        scan = replace(scan, highest=before - 1)
    return await _between_times(session, scan, filters)


async def shallow(session: AsyncSession, scan: Scan) -> tuple[Scan, bool]:
    """Return the scan limited to the newest `depth` of its rows, and whether older ones are left; without `checked` it is not limited."""
    if not scan.checked:
        return scan, False
    if not scan.indexed:  # all rows: estimate their number from the ids
        newest = await session.scalar(select(AuditEvent.id).where(*scan.rows()).order_by(AuditEvent.id.desc()).limit(1))
        lowest = (newest or 0) - scan.depth + 1
        is_cut = lowest > (scan.lowest or 1)
        return (replace(scan, lowest=lowest), True) if is_cut else (scan, False)
    ids = select(AuditEvent.id).where(*scan.rows()).order_by(AuditEvent.id.desc()).offset(scan.depth - 1).limit(2)
    last = (await session.scalars(ids)).all()
    return (replace(scan, lowest=last[0]), True) if len(last) > 1 else (scan, False)


async def visibility(session: AsyncSession, organization_id: int) -> Visibility:
    """Return what an organization may read. The only organization also sees events without one, such as uses of unknown keys."""
    is_alone = len((await session.scalars(select(Organization.id).limit(2))).all()) < 2  # noqa: PLR2004  one or none
    owner = func.coalesce(AuditEvent.organization_id, organization_id) if is_alone else _unindexed(AuditEvent.organization_id)
    return Visibility(is_alone, owner == organization_id)


async def _by_index(session: AsyncSession, filters: Filters, equal: dict[str, Any]) -> tuple[list[ColumnElement[bool]], set[str]]:
    """Return the conditions for one index, usually the one with the fewest matching rows, and the filters that they implement."""
    for names in (("target_kind", "target_id"), ("credential_kind", "credential_id"), ("actor_id",)):
        if equal.keys() >= set(names):
            return [getattr(AuditEvent, name) == equal[name] for name in names], set(names)
    if filters.app_id is not None:
        by_app = _by_app(filters.app_id, indexed=True)
        first = select(AuditEvent.id).where(by_app).limit(DEPTH + 1).subquery()
        if (await session.scalar(select(func.count()).select_from(first)) or 0) <= DEPTH:
            return [by_app], {"app_id"}
    action, outcome = _whole_action(filters.action), equal.get("outcome")
    is_unusual = outcome is not None and outcome != "done"
    if action is not None and not (is_unusual and action.endswith(_USED)):
        return [AuditEvent.action == action], {"action"}
    if is_unusual:
        return [AuditEvent.outcome == outcome, _UNUSUAL], {"outcome"}
    if (kind := equal.get("credential_kind")) in _WITHOUT_ID:
        return [AuditEvent.credential_kind == kind, AuditEvent.credential_id.is_(None)], {"credential_kind"}
    return [], set()


def _whole_action(beginning: str | None) -> str | None:
    """Return `beginning` where it is a whole action and no other action begins with it, else None."""
    matching = [each.action for each in events.ALL if beginning and each.action.startswith(beginning)]
    return matching[0] if len(matching) == 1 and matching[0] == beginning else None


def _unindexed_conditions(filters: Filters, answered: set[str]) -> list[ColumnElement[bool]]:
    """The conditions for the remaining filters, written so that no index is used."""
    conditions: list[ColumnElement[bool]] = []
    if filters.action and "action" not in answered:
        conditions.append(_unindexed(AuditEvent.action).startswith(filters.action, autoescape=True))
    if name := plain_text.normalize(filters.credential_name or ""):
        conditions.append(contains(AuditEvent.credential_name, name))
    if filters.address:
        conditions.append(AuditEvent.address.startswith(filters.address, autoescape=True))
    if term := plain_text.normalize(filters.text or ""):
        columns = (AuditEvent.actor_name, AuditEvent.target_name, AuditEvent.credential_name, AuditEvent.address)
        conditions.append(or_(*(contains(column, term) for column in columns)))
    return conditions


async def _between_times(session: AsyncSession, scan: Scan, filters: Filters) -> Scan | None:
    """Return the scan with its ids limited to the requested times; the times themselves are compared too. None where no event matches."""
    lowest, highest, checked = scan.lowest, scan.highest, list(scan.checked)
    if filters.since is not None:
        first = select(AuditEvent.id).where(AuditEvent.at >= filters.since).order_by(AuditEvent.at).limit(_ABREAST).subquery()
        lowest = await session.scalar(select(func.min(first.c.id)))
        if lowest is None:
            return None
        checked.append(AuditEvent.at >= filters.since)
    if filters.until is not None:
        last = select(AuditEvent.id).where(AuditEvent.at < filters.until).order_by(AuditEvent.at.desc()).limit(_ABREAST).subquery()
        before = await session.scalar(select(func.max(last.c.id)))
        if before is None:
            return None
        highest = before if highest is None else min(before, highest)
        checked.append(AuditEvent.at < filters.until)
    return replace(scan, checked=checked, lowest=lowest, highest=highest)


def _by_app(app_id: int, *, indexed: bool) -> ColumnElement[bool]:
    """The condition for what an app did: its own requests, and those with tokens of its grants."""
    kind, credential = AuditEvent.credential_kind, AuditEvent.credential_id
    grants = select(OAuthGrant.id).where(OAuthGrant.oauth_client_id == app_id)
    if not indexed:
        kind, credential = _unindexed(kind), _unindexed(credential)
    return or_(and_(kind == "client", credential == app_id), and_(kind == "access_token", credential.in_(grants)))


def _unindexed(column: Any) -> Any:  # noqa: ANN401  any mapped column
    """A column's value as an expression that has no index."""
    return column + 0 if isinstance(column.type, Integer) else column.concat("")
