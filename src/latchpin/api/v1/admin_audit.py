"""The audit log under /api/v1/admin/: reading only, for administrators signed in to the Control Center."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated, Any, get_args

import msgspec
from litestar import Request, get
from litestar.params import PathParameter, QueryParameter

from latchpin.api.bodies import Time
from latchpin.api.example_times import CREATED_AT
from latchpin.api.parameters import text_parameter
from latchpin.api.routing import INT32, CamelStruct, database, principal, problems, requires
from latchpin.api.v1.admin_users import TAG
from latchpin.audit import events, trail
from latchpin.errors import Malformed, Missing
from latchpin.identity import roles
from latchpin.storage.models import AuditEvent

EventId = Annotated[int, PathParameter(ge=1, le=INT32, description="The record's id.")]
_OUTCOMES = get_args(events.Outcome)
_ADMINISTER = requires(roles.ADMINISTER)
_WHEN = "A date or a time, UTC: 2027-11-24 or 2027-11-24T08:00:00Z."
Plain = str | int | float | bool | None
Change = Annotated[list[Plain], msgspec.Meta(min_length=2, max_length=2)]  # the value before and the one after
_decode = msgspec.json.Decoder(dict[str, list[Any]]).decode


class Actor(CamelStruct, frozen=True):
    """Who acted: a user through a credential, the command line, or an unknown caller."""

    id: int | None
    name: str
    credential_kind: str
    credential_id: int | None
    credential_name: str


class Target(CamelStruct, frozen=True):
    """The object of the action; its name is kept even if it has been deleted since."""

    kind: str | None
    id: int | None
    name: str | None


class EventOut(CamelStruct, frozen=True):
    """One record. `changes` maps a field to its old and new value; `count` says how many requests one record stands for."""

    id: int
    at: Time
    action: str
    outcome: str
    reason: str | None
    actor: Actor
    target: Target
    address: str | None
    user_agent: str | None
    request_id: str | None
    changes: dict[str, Change]
    count: int


class EventPage(CamelStruct, frozen=True):
    """Records, newest first. `next` is the `cursor` of the following page; null only on the last page."""

    events: list[EventOut]
    next: str | None


def to_schema(row: AuditEvent) -> EventOut:
    """Return a record as the API shows it."""
    return EventOut(
        id=row.id,
        at=row.at,
        action=row.action,
        outcome=row.outcome,
        reason=row.reason,
        actor=Actor(
            id=row.actor_id,
            name=row.actor_name,
            credential_kind=row.credential_kind,
            credential_id=row.credential_id,
            credential_name=row.credential_name,
        ),
        target=Target(kind=row.target_kind, id=row.target_id, name=row.target_name),
        address=row.address,
        user_agent=row.user_agent,
        request_id=row.request_id,
        changes=_decode(row.changes) if row.changes else {},
        count=row.count,
    )


@get(
    "/admin/audit",
    operation_id="listAuditEvents",
    summary="Read the audit log",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(),
)
async def list_events(
    request: Request[Any, Any, Any],
    action: Annotated[str | None, text_parameter("Beginning of the action, such as `api_key.`", most=64)] = None,
    outcome: Annotated[str | None, QueryParameter(max_length=16, description="`done`, `refused` or `failed`.", enum=[*_OUTCOMES])] = None,
    actor_id: Annotated[int | None, QueryParameter(name="actorId", ge=1, le=INT32, description="The user who acted.")] = None,
    credential_kind: Annotated[str | None, text_parameter("Such as `api_key` or `session`.", most=32, name="credentialKind")] = None,
    credential_id: Annotated[int | None, QueryParameter(name="credentialId", ge=1, le=INT32)] = None,
    target_kind: Annotated[str | None, text_parameter("Such as `user` or `api_key`.", most=32, name="targetKind")] = None,
    target_id: Annotated[int | None, QueryParameter(name="targetId", ge=1, le=INT32)] = None,
    since: Annotated[str | None, text_parameter(f"From this moment on. {_WHEN}", most=40)] = None,
    until: Annotated[str | None, text_parameter(f"Before this moment. {_WHEN}", most=40)] = None,
    search: Annotated[str | None, text_parameter("Part of actor, target, credential or address.", most=200)] = None,
    max_records: Annotated[int, QueryParameter(name="maxRecords", ge=1, le=200, description="1 to 200.")] = 50,
    cursor: Annotated[str | None, text_parameter("`next` of the page before.", most=64)] = None,
) -> EventPage:
    """Return records of the organization, newest first. Records added between two requests do not shift the pages.

    Follow `next` until it is null: where few records match, a page may have fewer than requested, even none, before the last one.
    """
    if outcome not in (None, *_OUTCOMES):
        raise Malformed("outcome must be done, refused or failed.", field="outcome")
    filters = trail.Filters(
        action=action,
        outcome=outcome,
        actor_id=actor_id,
        credential_kind=credential_kind,
        credential_id=credential_id,
        target_kind=target_kind,
        target_id=target_id,
        since=_moment(since, "since"),
        until=_moment(until, "until"),
        text=search,
    )
    async with database(request).read_list() as session:
        page = await trail.page(session, principal(request).organization_id, filters, cursor=cursor, size=max_records)
    return EventPage(events=[to_schema(row) for row in page.items], next=page.next)


@get(
    "/admin/audit/{event_id:int}",
    operation_id="getAuditEvent",
    summary="One audit record",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(404),
)
async def get_event(request: Request[Any, Any, Any], event_id: EventId) -> EventOut:
    """Return one record of the organization."""
    async with database(request).read() as session:
        event = await trail.get(session, principal(request).organization_id, event_id)
    if event is None:
        raise Missing("audit record", event_id)
    return to_schema(event)


def _moment(text: str | None, field: str) -> datetime | None:
    """Read a time, or a date as the start of that day; without a time zone it is UTC."""
    if not text:
        return None
    try:
        if len(text) == len("2027-11-24"):
            return datetime.combine(date.fromisoformat(text), time(tzinfo=UTC))
        # An unescaped plus sign in a query is decoded as a space.
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed(f"{field}: Enter a date or a time, such as 2027-11-24 or 2027-11-24T08:00:00Z.", field=field) from None


# What the OpenAPI document shows of these routes, made from the very structs, so that it misses no field.
_EVENT = EventOut(
    id=17,
    at=CREATED_AT,
    action="api_key.created",
    outcome="done",
    reason=None,
    actor=Actor(id=1, name="maya@northwind.example", credential_kind="session", credential_id=3, credential_name="browser session"),
    target=Target(kind="api_key", id=1, name="Nightly export (sk-lp_9xQz...)"),
    address="203.0.113.24",
    user_agent="Mozilla/5.0",
    request_id="8726d9f4bf2436-7",
    changes={"user": [None, "jonas@northwind.example"], "expires": [None, "2027-11-20T09:30:00Z"]},
    count=1,
)
RESPONSE_EXAMPLES: dict[str, Any] = {
    "listAuditEvents": EventPage(events=[_EVENT], next="YzE6MTc"),
    "getAuditEvent": _EVENT,
}


HANDLERS = [list_events, get_event]
