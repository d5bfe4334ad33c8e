"""Audit records as sentences: who did what to which object, with the names in bold. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from latchpin.storage.models import AuditEvent
from latchpin.web import audit_messages
from latchpin.web.views.common import Part
from latchpin.web.views.organization import Change, EventRow

KINDS = {
    "session": "browser session",
    "api_key": "API key",
    "access_token": "access token",
    "client": "app",
    "command_line": "command line",
    "none": "not signed in",
}


def event(audit_event: AuditEvent, names: Mapping[int, str]) -> EventRow:
    """One record in words; `names` are full names by user id, for users who still exist."""
    reason = audit_event.reason or ""
    return EventRow(
        id=audit_event.id,
        at=audit_event.at,
        actor=names.get(audit_event.actor_id or 0, audit_event.actor_name),
        actor_kind=KINDS.get(audit_event.credential_kind, audit_event.credential_kind),
        credential=_credential(audit_event),
        sentence=_sentence(audit_event),
        outcome=audit_event.outcome,
        reason=reason[:1].upper() + reason[1:],
        address=audit_event.address or "",
        icon=audit_messages.icon(audit_event.action),
    )


def changes(audit_event: AuditEvent) -> tuple[Change, ...]:
    """The fields that an event changed, with old and new values."""
    return tuple(
        Change(name.replace("_", " ").capitalize() if "@" not in name else name, _plain(old), _plain(new))
        for name, (old, new) in _changes(audit_event).items()
    )


def raw(audit_event: AuditEvent) -> str:
    """The record as it is stored, as JSON."""
    names = [column.key for column in AuditEvent.__table__.columns]
    values: dict[str, Any] = {name: getattr(audit_event, name) for name in names}
    values["at"] = audit_event.at.isoformat()
    values["chain"] = audit_event.chain.hex()
    values["changes"] = _changes(audit_event) or None
    return json.dumps(values, indent=2, ensure_ascii=False)


def _credential(audit_event: AuditEvent) -> str:
    if audit_event.credential_kind == "session":
        return "Browser session"
    if audit_event.credential_kind == "api_key":
        return f"API key {audit_event.credential_name}"
    if audit_event.credential_kind in ("access_token", "client"):
        return f"App {audit_event.credential_name}"
    if audit_event.credential_kind == "command_line":
        return "Command line"
    return ""


def _sentence(audit_event: AuditEvent) -> tuple[Part, ...]:
    changed = _changes(audit_event)
    pieces = {f"was_{name}": _plain(old) for name, (old, _) in changed.items()} | {name: _plain(new) for name, (_, new) in changed.items()}
    pieces["target"] = audit_event.target_name or ""
    phrase = audit_messages.sentence(audit_event.action)
    phrase = re.sub(r"\[([^\]]*\{(\w+)\})\]", lambda match: match[1] if pieces.get(match[2]) else "", phrase)
    parts = tuple(
        Part(pieces.get(text, "") if index % 2 else text, strong=bool(index % 2))
        for index, text in enumerate(re.split(r"\{(\w+)\}", phrase))
        if text
    )
    return (*parts, Part(f" ({audit_event.count} times)")) if audit_event.count > 1 else parts


def _changes(audit_event: AuditEvent) -> dict[str, tuple[Any, Any]]:
    return {name: (pair[0], pair[1]) for name, pair in json.loads(audit_event.changes or "{}").items()}


def _plain(value: Any) -> str:  # noqa: ANN401  plain JSON values
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
