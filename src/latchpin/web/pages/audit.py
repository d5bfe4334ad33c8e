"""Audit log: the list with filters in the address and cursor pages, and one record in full. Administrators only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from litestar import Response, get

from latchpin.audit import scan, trail
from latchpin.audit.trail import Filters
from latchpin.errors import Missing
from latchpin.identity.queries import overview, user_list
from latchpin.kit.pages import Page
from latchpin.storage.models import AuditEvent
from latchpin.web import audit_messages, audit_view, forms, lists, render, time_filters
from latchpin.web.page_context import SignedIn
from latchpin.web.views.common import Chip, Form, Option
from latchpin.web.views.organization import AuditLog, AuditRecord

BASE = "/audit"
_SIZE = 50
_APP = "app"
_TITLES = {
    "actor": "Who",
    "action": "Action",
    "outcome": "Outcome",
    "credential": "Credential",
    "name": "Credential name",
    "address": "Address",
    "since": "From",
    "until": "To",
    "target": "On",
    "through": "Through",
}
_OUTCOMES = (Option("", "Any outcome"), Option("done", "Success"), Option("refused", "Refused"), Option("failed", "Failed"))
_ACTIONS = (Option("", "Any action"), *(Option(action, label) for action, label in audit_messages.LABELS.items()))
_CREDENTIALS = (Option("", "Any credential"), *(Option(kind, label[:1].upper() + label[1:]) for kind, label in audit_view.KINDS.items()))
_MOST_PEOPLE = 200


@get("/audit")
async def show_log(ctx: SignedIn) -> Response[str]:
    """List what happened, newest first."""
    query = {name: value for name in _TITLES if (value := forms.query(ctx.request, name))}
    cursor = forms.query(ctx.request, "cursor") or None
    async with ctx.services.database.read_list() as session:
        page = await trail.page(session, ctx.principal.organization_id, _filters(query), cursor=cursor, size=_SIZE)
        chosen = forms.number(query.get("actor", ""))
        actor_ids = [each.actor_id for each in page.items if each.actor_id] + ([chosen] if chosen else [])
        names = await overview.names(session, ctx.principal.organization_id, actor_ids)
        choices = await user_list.choices(session, ctx.principal.organization_id, limit=_MOST_PEOPLE)
    people_by_id = {user.id: user.full_name for user in choices}
    if chosen in names:
        people_by_id.setdefault(chosen, names[chosen])  # also a user who is not among the first by name
    people = (Option("", "Anyone"), *(Option(str(user_id), name) for user_id, name in people_by_id.items()))
    view = AuditLog(
        ctx.shell("audit"),
        tuple(audit_view.event(each, names) for each in page.items),
        _chips(query, people, page.items),
        Form(query),
        _ACTIONS,
        _OUTCOMES,
        people,
        _CREDENTIALS,
        _link(query) if cursor else "",
        _link({**query, "cursor": page.next}) if page.next else "",
        bool(query),
        _looked_through(page, cursor),
    )
    return render.page(ctx.request, "audit/list.html", view)


@get("/audit/{event_id:int}")
async def show_record(ctx: SignedIn, event_id: lists.Id) -> Response[str]:
    """Show one record with all of its fields."""
    async with ctx.services.database.read() as session:
        audit_event = await trail.get(session, ctx.principal.organization_id, event_id)
        if audit_event is None:
            raise Missing("audit record", event_id)
        names = await overview.names(session, ctx.principal.organization_id, [audit_event.actor_id] if audit_event.actor_id else [])
    target = f"{(audit_event.target_kind or '').replace('_', ' ')} {audit_event.target_name or audit_event.target_id or ''}".strip()
    facts = (
        ("On", target),
        ("Address", audit_event.address or ""),
        ("Browser or program", audit_event.user_agent or ""),
        ("Request", audit_event.request_id or ""),
        ("Times", str(audit_event.count) if audit_event.count > 1 else ""),
    )
    view = AuditRecord(
        ctx.shell("audit"),
        audit_view.event(audit_event, names),
        audit_event.action,
        tuple(fact for fact in facts if fact[1]),
        audit_view.changes(audit_event),
        audit_view.raw(audit_event),
    )
    return render.page(ctx.request, "audit/record.html", view)


def _looked_through(page: Page[AuditEvent], cursor: str | None) -> str:
    """Say how far back a short page has searched, as older records may match too; empty for a full page and the last one."""
    if not page.is_short:
        return ""
    return f"Looked through {scan.DEPTH:,} {'older' if cursor else 'of the newest'} records. Older ones may match as well."


def _filters(query: dict[str, str]) -> Filters:
    kind, _, number = query.get("target", "").partition(":")
    through, _, credential = query.get("through", "").partition(":")
    credential_kind, whole = query.get("credential"), through not in ("", _APP)
    # An impossible credential, such as an API key that is a session, shows no records rather than all.
    credential_id = 0 if whole and credential_kind not in (None, through) else forms.number(credential) or 0
    until = _day(query.get("until", ""))
    return Filters(
        action=query.get("action"),
        outcome=query.get("outcome"),
        actor_id=forms.number(query["actor"]) or 0 if "actor" in query else None,
        target_kind=kind or None,
        target_id=forms.number(number),
        credential_kind=through if whole else credential_kind,
        credential_id=credential_id if whole else None,
        credential_name=query.get("name"),
        app_id=credential_id if through == _APP else None,
        address=query.get("address"),
        since=_day(query.get("since", "")),
        until=_day_after(until) if until else None,
    )


def _day(text: str) -> datetime | None:
    """The start of a day: 2027-12-28 in UTC, or 2027-12-28+13:00 in the viewer's time zone (as xs:date of XML Schema)."""
    try:
        return datetime.fromisoformat(f"{text[:10]}T00:00{text[10:] or '+00:00'}").astimezone(UTC) if text else None
    except (ValueError, OverflowError):
        return None


def _day_in_words(text: str) -> str:
    try:
        return f"{time_filters.day(date.fromisoformat(text[:10]))}{f' (UTC{text[10:]})' if text[10:] else ''}"
    except ValueError:
        return text


def _day_after(day: datetime) -> datetime | None:
    """The start of the next day; None after the calendar's last day, when nothing has to be excluded."""
    try:
        return day + timedelta(days=1)
    except OverflowError:
        return None


def _chips(query: dict[str, str], people: tuple[Option, ...], events: Sequence[AuditEvent]) -> tuple[Chip, ...]:
    options_by_filter = {"actor": people, "action": _ACTIONS, "outcome": _OUTCOMES, "credential": _CREDENTIALS}
    chips = []
    for name, value in query.items():
        fallback = value.replace(":", " ") if name == "target" else value
        label = next((option.label for option in options_by_filter.get(name, ()) if option.value == value), fallback)
        if name == "through":
            label = _through(value, events)
        if name in ("since", "until"):
            label = _day_in_words(value)
        chips.append(Chip(_TITLES[name], label, _link({other: text for other, text in query.items() if other != name})))
    return tuple(chips)


def _through(value: str, events: Sequence[AuditEvent]) -> str:
    """Return a credential in words, with its name from the records, or its number where there are no records."""
    kind, _, number = value.partition(":")
    noun = audit_view.KINDS.get("client" if kind == _APP else kind, kind)
    return f"{noun[:1].upper()}{noun[1:]} {events[0].credential_name if events else number}"


def _link(query: dict[str, str]) -> str:
    return f"{BASE}?{urlencode(query)}" if query else BASE


HANDLERS = (show_log, show_record)
