"""Writing the audit trail, as a chain that shows where it was tampered with.

Each row carries HMAC(key, chain of the row before || this row). The key is derived from the deployment's secrets, so that somebody with
the database alone can neither change nor remove a row without `verify` seeing it.
"""

from __future__ import annotations

import hmac
import json
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit.actor import Actor, one_line
from latchpin.audit.events import Event
from latchpin.kit import clock
from latchpin.storage.database import before_commit
from latchpin.storage.models import AuditEvent

_PENDING = "latchpin_audit"
_FIRST = bytes(32)
_LOCK = 7202332
_LAST = select(AuditEvent.chain).order_by(AuditEvent.id.desc()).limit(1)
_ADD = insert(AuditEvent.__table__)  # type: ignore[arg-type]  # a Table, which SQLAlchemy types as less than it is
_MOST_CHANGES = 1_000_000  # fields are checked for length before; this only bounds a mistake
_key: list[bytes] = [b"latchpin-unkeyed-chain"]


def use_key(key: bytes) -> None:
    """Set the key of the chain for this process; the composition root derives it from the deployment's secrets."""
    _key[0] = key


def record(session: AsyncSession, event: Event, by: Actor, *, at: datetime | None = None) -> None:
    """Add one event to this transaction. It is written with the commit, or not at all; never call it for reading."""
    pending: list[dict[str, Any]] | None = session.info.get(_PENDING)
    if pending is None:
        pending = session.info[_PENDING] = []
        before_commit(session, _write)
    pending.append(_row(event, by, at or clock.now()))


async def _write(session: AsyncSession) -> None:
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))  # the chain has one end
    last = await session.scalar(_LAST)
    chain = last or _FIRST
    for row in session.info.pop(_PENDING):
        chain = link(chain, row)
        await session.execute(_ADD, {**row, "chain": chain})


def link(previous: bytes, row: dict[str, Any]) -> bytes:
    """Return the chain value of a row (a mapping of column to value, without id and chain) after `previous`."""
    plain = {name: value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value for name, value in row.items()}
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.digest(_key[0], previous + canonical.encode(), "sha256")


def _row(event: Event, by: Actor, at: datetime) -> dict[str, Any]:
    changes = {name: list(pair) for name, pair in event.changes.items()}
    return {
        "at": at,
        "organization_id": event.organization_id if event.organization_id is not None else by.organization_id,
        "action": event.action,
        "outcome": event.outcome,
        "reason": _shown(event.reason, 200),
        "actor_id": by.user_id,
        "actor_name": one_line(by.name, 254),
        "credential_kind": by.credential_kind,
        "credential_id": by.credential_id,
        "credential_name": one_line(by.credential_name, 500),
        "target_kind": event.target_kind,
        "target_id": event.target_id,
        "target_name": _shown(event.target_name, 500),
        "address": _shown(by.origin.address, 64),
        "user_agent": _shown(by.origin.user_agent, 400),
        "request_id": _shown(by.origin.request_id, 64),
        "changes": one_line(json.dumps(changes, ensure_ascii=False), _MOST_CHANGES) if changes else None,
        "count": event.count,
    }


def _shown(text: str | None, limit: int) -> str | None:
    return None if text is None else one_line(text, limit)
