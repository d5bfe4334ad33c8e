"""Writing the audit trail: rows are added as a transaction's last statements, each linked to all rows before it (`chain`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import chain
from latchpin.audit.actor import Actor, one_line
from latchpin.audit.events import Changes, Event, Plain
from latchpin.kit import clock
from latchpin.storage.database import before_commit
from latchpin.storage.models import AuditEvent

_PENDING = "latchpin_audit"
_LOCK = 7202332
# The database's own counter does not go back when the newest rows are removed, and so leaves a gap.
_COUNTER = {
    "sqlite": text("SELECT seq FROM sqlite_sequence WHERE name = 'audit_events'"),
    "postgresql": text("SELECT nextval(pg_get_serial_sequence('audit_events', 'id')) - 1 FROM generate_series(1, :rows)"),
}
_ADD = insert(AuditEvent.__table__)  # type: ignore[arg-type]  # a Table, which SQLAlchemy types as less than it is
_LONGEST_VALUE, _SHOWN = 1000, 200  # characters of one changed value; of a longer one only the start and the digest are stored
_MOST_CHANGES = 32_000


def record(session: AsyncSession, event: Event, by: Actor, *, at: datetime | None = None) -> None:
    """Add one event to this transaction. It is written only with the commit; never call this in a read-only transaction."""
    pending: list[dict[str, Any]] | None = session.info.get(_PENDING)
    if pending is None:
        pending = session.info[_PENDING] = []
        before_commit(session, _write)
    pending.append(_row(event, by, at or clock.now()))


async def _write(session: AsyncSession) -> None:
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))  # only one transaction at a time may extend the chain
    last = await chain.newest(session) or chain.Checkpoint(0, chain.FIRST)
    pending, rows = session.info.pop(_PENDING), []
    for row_id, values in zip(await _ids(session, len(pending), last.id), pending, strict=True):
        row = {"id": row_id, **values}
        last = chain.Checkpoint(row_id, chain.link(last.chain, row))
        rows.append({**row, "chain": last.chain})
    await session.execute(_ADD, rows)


async def _ids(session: AsyncSession, number: int, last: int) -> range:
    """Return the ids of the next rows: they are part of the links, so they have to be known before the rows are written.

    They continue from the newest row even where the database's counter was reset, so that no change fails because of it.
    """
    dialect = session.get_bind().dialect.name
    given = (await session.scalars(_COUNTER[dialect], {"rows": number} if dialect == "postgresql" else {})).all()
    first = max([last, *given[:1]]) + 1
    return range(first, first + number)


def _row(event: Event, by: Actor, at: datetime) -> dict[str, Any]:
    return {
        "at": at,
        "organization_id": event.organization_id if event.organization_id is not None else by.organization_id,
        "action": event.action,
        "outcome": event.outcome,
        "reason": _printable(event.reason, 200),
        "actor_id": by.user_id,
        "actor_name": one_line(by.name, 254),
        "credential_kind": by.credential_kind,
        "credential_id": by.credential_id,
        "credential_name": one_line(by.credential_name, 500),
        "target_kind": event.target_kind,
        "target_id": event.target_id,
        "target_name": _printable(event.target_name, 500),
        "address": _printable(by.origin.address, 64),
        "user_agent": _printable(by.origin.user_agent, 400),
        "request_id": _printable(by.origin.request_id, 64),
        "changes": _changes(event.changes) if event.changes else None,
        "count": event.count,
    }


def _changes(changes: Changes) -> str:
    """Return the changes as JSON of limited size, so that a user who changes a long text again and again cannot fill the disk."""
    pairs = {name: [_bounded(value) for value in pair] for name, pair in changes.items()}
    encoded = _one_line_of_json(pairs)
    if len(encoded) <= _MOST_CHANGES:
        return encoded
    return _one_line_of_json({f"{len(pairs)} fields": [None, _digest(encoded)]})


def _one_line_of_json(pairs: Mapping[str, list[Plain]]) -> str:
    text = json.dumps(pairs, ensure_ascii=False)
    return one_line(text, 7 * len(text))  # `one_line` writes a hidden character as six, and truncated JSON would be invalid


def _bounded(value: Plain) -> Plain:
    if not isinstance(value, str) or len(value) <= _LONGEST_VALUE:
        return value
    return f"{value[:_SHOWN]}... ({_digest(value)})"


def _digest(text: str) -> str:
    return f"{len(text)} characters, SHA-256 {hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def _printable(text: str | None, limit: int) -> str | None:
    return None if text is None else one_line(text, limit)
