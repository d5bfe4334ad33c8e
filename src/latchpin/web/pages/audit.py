"""Audit log: the list with filters in the address and cursor pages, and one record in full. Administrators only."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from litestar import Response, get

from latchpin.audit import trail
from latchpin.audit.trail import Filters
from latchpin.errors import Missing
from latchpin.identity import overview, user_list
from latchpin.web import forms, lists, narration, render
from latchpin.web.session import SignedIn
from latchpin.web.views.common import Chip, Form, Option
from latchpin.web.views.organization import AuditLog, AuditRecord

BASE = "/audit"
_SIZE = 50
_NAMES = ("actor", "action", "outcome", "since", "until", "target")
_OUTCOMES = (Option("", "Any outcome"), Option("done", "Done"), Option("refused", "Refused"))
_ACTIONS = (Option("", "Any action"), *(Option(action, label) for action, label in narration.LABELS.items()))
_MOST_PEOPLE = 200


@get("/audit")
async def show_log(visit: SignedIn) -> Response[str]:
    """List what happened, newest first."""
    query = {name: value for name in _NAMES if (value := forms.query(visit.request, name))}
    cursor = forms.query(visit.request, "cursor") or None
    async with visit.site.database.read() as session:
        found = await trail.page(session, visit.principal.organization_id, _filters(query), cursor=cursor, size=_SIZE)
        names = await overview.names(session, visit.principal.organization_id, (each.actor_id for each in found.items if each.actor_id))
        everyone = await user_list.page(session, visit.principal.organization_id, size=_MOST_PEOPLE)
    people = (Option("", "Anyone"), *(Option(str(each.user.id), each.user.full_name) for each in everyone.items))
    view = AuditLog(
        visit.shell("audit"),
        tuple(narration.event(each, names) for each in found.items),
        _chips(query, people),
        Form(query),
        _ACTIONS,
        _OUTCOMES,
        people,
        _link(query) if cursor else "",
        _link({**query, "cursor": found.next}) if found.next else "",
        bool(query),
    )
    return render.page(visit.request, "audit/list.html", view)


@get("/audit/{event_id:int}")
async def show_record(visit: SignedIn, event_id: lists.Id) -> Response[str]:
    """Show everything one record says."""
    async with visit.site.database.read() as session:
        found = await trail.get(session, visit.principal.organization_id, event_id)
        if found is None:
            raise Missing("audit record", event_id)
        names = await overview.names(session, visit.principal.organization_id, [found.actor_id] if found.actor_id else [])
    target = f"{(found.target_kind or '').replace('_', ' ')} {found.target_name or found.target_id or ''}".strip()
    facts = (
        ("On", target),
        ("Address", found.address or ""),
        ("Browser or program", found.user_agent or ""),
        ("Request", found.request_id or ""),
        ("Times", str(found.count) if found.count > 1 else ""),
    )
    view = AuditRecord(
        visit.shell("audit"),
        narration.event(found, names),
        found.action,
        tuple(fact for fact in facts if fact[1]),
        narration.changes(found),
        narration.raw(found),
    )
    return render.page(visit.request, "audit/record.html", view)


def _filters(query: dict[str, str]) -> Filters:
    kind, _, number = query.get("target", "").partition(":")
    until = _day(query.get("until", ""))
    return Filters(
        action=query.get("action"),
        outcome=query.get("outcome"),
        actor_id=forms.number(query["actor"]) or 0 if "actor" in query else None,
        target_kind=kind or None,
        target_id=forms.number(number),
        since=_day(query.get("since", "")),
        until=_day_after(until) if until else None,
    )


def _day(text: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), time(tzinfo=UTC)) if text else None
    except ValueError:
        return None


def _day_after(day: datetime) -> datetime | None:
    """The beginning of the next day; after the calendar's last day there is none, and nothing to leave out."""
    try:
        return day + timedelta(days=1)
    except OverflowError:
        return None


def _chips(query: dict[str, str], people: tuple[Option, ...]) -> tuple[Chip, ...]:
    named = {"actor": people, "action": _ACTIONS, "outcome": _OUTCOMES}
    titles = {"actor": "Who", "action": "Action", "outcome": "Outcome", "since": "From", "until": "To", "target": "On"}
    chips = []
    for name, value in query.items():
        label = next((option.label for option in named.get(name, ()) if option.value == value), value.replace(":", " "))
        chips.append(Chip(titles[name], label, _link({other: text for other, text in query.items() if other != name})))
    return tuple(chips)


def _link(query: dict[str, str]) -> str:
    return f"{BASE}?{urlencode(query)}" if query else BASE


HANDLERS = (show_log, show_record)
