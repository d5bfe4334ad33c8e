"""Audit records as sentences: who did what to which thing, in words, with the names in bold. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from latchpin.storage.models import AuditEvent
from latchpin.web.views.common import Part
from latchpin.web.views.organization import Change, EventRow

# Braces name a piece: {target}, the new value of a changed field, or as {was_field} its old one. An event without the piece drops the
# words in square brackets.
PHRASES: dict[str, str] = {
    "organization.created": "set up the organization {target}",
    "organization.key_policy_changed": "changed the API policy",
    "deployment.pepper_rotated": "changed the secret that API keys are stored under",
    "user.created": "created user {target}",
    "user.changed": "changed user {target}",
    "user.disabled": "disabled user {target}",
    "user.enabled": "enabled user {target}",
    "user.deleted": "deleted user {target}",
    "user.password_reset": "reset the password of {target}",
    "user.password_changed": "changed the password of {target}",
    "session.signed_in": "signed in",
    "session.sign_in_refused": "was refused at sign-in",
    "session.signed_out": "signed out",
    "session.ended": "ended a browser session",
    "session.password_proved": "confirmed the password",
    "api_key.created": "created API key {target}[ for {user}]",
    "api_key.changed": "changed the expiry of API key {target}",
    "api_key.revoked": "revoked API key {target}",
    "api_key.deleted": "deleted API key {target}",
    "api_key.refused": "was refused[ with API key {target}]",
    "api_key.used": "called the API with {target}",
    "deployment.signing_key_rotated": "changed the key that tokens are signed with",
    "grant.began": "began a grant of the app {target}",
    "grant.ended": "ended what the app {target} was granted[ by {was_user}]",
    "grant.refreshed": "refreshed tokens of the app {target}",
    "grant.replayed": "presented a spent token of the app {target}, so its grant ended",
    "grant.token_revoked": "revoked one access token of the app {target}",
    "access_token.refused": "was refused with a token of the app {target}",
    "access_token.used": "called the API with a token of the app {target}",
    "consent.refused": "said no to the app {target}",
    "consent.withdrawn": "withdrew the app {target}[ for {was_user}]",
    "client.created": "registered the app {target}",
    "client.changed": "changed the app {target}",
    "client.secret_added": "made a secret for the app {target}",
    "client.secret_removed": "ended a secret of the app {target}",
    "client.approved": "approved the app {target}",
    "client.blocked": "blocked the app {target}",
    "client.revoked": "revoked the app {target}",
    "client.deleted": "deleted the app {target}",
    "client.refused": "was refused as the app {target}",
    "resource.created": "registered the API resource {target}",
    "resource.changed": "changed the API resource {target}",
    "resource.deleted": "deleted the API resource {target}",
    "organization.app_policy_changed": "changed whether apps need approval",
    "space.created": "created Space {target}",
    "space.changed": "changed Space {target}",
    "space.deleted": "deleted Space {target}",
    "space.member_changed": "changed the members of Space {target}",
    "agent.created": "created agent {target}",
    "agent.changed": "saved version {version} of agent {target}",
    "agent.moved": "moved agent {target} to {space}",
    "agent.archived": "archived agent {target}",
    "agent.unarchived": "unarchived agent {target}",
    "run.started": "started {target}",
    "run.stopped": "stopped {target}",
    "run.killed": "killed {target}",
    "run.restarted": "restarted {target}",
    "run.deleted": "deleted {target}",
}
LABELS: dict[str, str] = {
    "organization.created": "Organization created",
    "organization.key_policy_changed": "API policy changed",
    "deployment.pepper_rotated": "Key secret changed",
    "user": "Users: everything",
    "user.created": "User created",
    "user.changed": "User changed",
    "user.disabled": "User disabled",
    "user.enabled": "User enabled",
    "user.deleted": "User deleted",
    "user.password_reset": "Password reset",
    "user.password_changed": "Password changed",
    "session": "Sign-ins: everything",
    "session.signed_in": "Signed in",
    "session.sign_in_refused": "Sign-in refused",
    "session.signed_out": "Signed out",
    "session.ended": "Session ended",
    "session.password_proved": "Password confirmed",
    "api_key": "API keys: everything",
    "api_key.created": "API key created",
    "api_key.changed": "API key changed",
    "api_key.revoked": "API key revoked",
    "api_key.deleted": "API key deleted",
    "api_key.refused": "API key refused",
    "api_key.used": "API key used",
    "organization.app_policy_changed": "App policy changed",
    "deployment.signing_key_rotated": "Signing key changed",
    "client": "OAuth apps: everything",
    "client.created": "App registered",
    "client.changed": "App changed",
    "client.secret_added": "App secret made",
    "client.secret_removed": "App secret ended",
    "client.approved": "App approved",
    "client.blocked": "App blocked",
    "client.revoked": "App revoked",
    "client.deleted": "App deleted",
    "client.refused": "App refused",
    "consent": "Consents: everything",
    "consent.refused": "Consent refused",
    "consent.withdrawn": "Consent withdrawn",
    "grant": "Grants: everything",
    "grant.began": "Grant began",
    "grant.ended": "Grant ended",
    "grant.refreshed": "Tokens refreshed",
    "grant.replayed": "Token replayed",
    "grant.token_revoked": "Access token revoked",
    "access_token": "Access tokens: everything",
    "access_token.refused": "Access token refused",
    "access_token.used": "Access token used",
    "resource": "API resources: everything",
    "resource.created": "API resource registered",
    "resource.changed": "API resource changed",
    "resource.deleted": "API resource deleted",
    "space": "Spaces: everything",
    "space.created": "Space created",
    "space.changed": "Space changed",
    "space.deleted": "Space deleted",
    "space.member_changed": "Members changed",
    "agent": "Agents: everything",
    "agent.created": "Agent created",
    "agent.changed": "Agent changed",
    "agent.moved": "Agent moved",
    "agent.archived": "Agent archived",
    "agent.unarchived": "Agent unarchived",
    "run": "Runs: everything",
    "run.started": "Run started",
    "run.stopped": "Run stopped",
    "run.killed": "Run killed",
    "run.restarted": "Run restarted",
    "run.deleted": "Run deleted",
}
_ICONS = {
    "user.created": "user-plus",
    "user.password_reset": "password",
    "user.password_changed": "password",
    "session.signed_out": "sign-out",
    "session.ended": "sign-out",
    "session.password_proved": "password",
    "api_key.revoked": "ban",
    "api_key.refused": "ban",
    "api_key.deleted": "trash",
    "organization.key_policy_changed": "policy",
    "organization.app_policy_changed": "policy",
    "grant.ended": "ban",
    "grant.replayed": "alert",
    "grant.refreshed": "restore",
    "access_token.refused": "ban",
    "consent.refused": "ban",
    "consent.withdrawn": "ban",
    "client.secret_added": "key",
    "client.secret_removed": "key",
    "client.approved": "check-circle",
    "client.blocked": "ban",
    "client.revoked": "ban",
    "client.deleted": "trash",
    "client.refused": "ban",
    "resource.deleted": "trash",
    "agent.moved": "out",
    "agent.archived": "archive",
    "agent.unarchived": "restore",
}
_ICONS_BY_KIND = {
    "organization": "spaces",
    "user": "user",
    "session": "sign-in",
    "api_key": "key",
    "client": "apps",
    "consent": "apps",
    "grant": "apps",
    "access_token": "apps",
    "resource": "resources",
    "space": "spaces",
    "agent": "agents",
    "run": "agents",
}
KINDS = {
    "session": "browser session",
    "api_key": "API key",
    "access_token": "access token",
    "client": "app",
    "command_line": "command line",
    "none": "not signed in",
}


def event(found: AuditEvent, names: Mapping[int, str]) -> EventRow:
    """One record in words; `names` are full names by user id, for those who are still there."""
    reason = found.reason or ""
    return EventRow(
        id=found.id,
        at=found.at,
        actor=names.get(found.actor_id or 0, found.actor_name),
        actor_kind=KINDS.get(found.credential_kind, found.credential_kind),
        credential=_credential(found),
        sentence=_sentence(found),
        outcome=found.outcome,
        reason=reason[:1].upper() + reason[1:],
        address=found.address or "",
        icon=_ICONS.get(found.action) or _ICONS_BY_KIND.get(found.action.partition(".")[0], "audit"),
    )


def changes(found: AuditEvent) -> tuple[Change, ...]:
    """What a change touched, before and after."""
    return tuple(
        Change(name.replace("_", " ").capitalize() if "@" not in name else name, _plain(old), _plain(new))
        for name, (old, new) in _changes(found).items()
    )


def raw(found: AuditEvent) -> str:
    """The record as it is stored, as JSON."""
    names = [column.key for column in AuditEvent.__table__.columns]
    values: dict[str, Any] = {name: getattr(found, name) for name in names}
    values["at"] = found.at.isoformat()
    values["chain"] = found.chain.hex()
    values["changes"] = _changes(found) or None
    return json.dumps(values, indent=2, ensure_ascii=False)


def _credential(found: AuditEvent) -> str:
    if found.credential_kind == "session":
        return "Browser session"
    if found.credential_kind == "api_key":
        return f"API key {found.credential_name}"
    if found.credential_kind in ("access_token", "client"):
        return f"App {found.credential_name}"
    if found.credential_kind == "command_line":
        return "Command line"
    return ""


def _sentence(found: AuditEvent) -> tuple[Part, ...]:
    changed = _changes(found)
    pieces = {f"was_{name}": _plain(old) for name, (old, _) in changed.items()} | {name: _plain(new) for name, (_, new) in changed.items()}
    pieces["target"] = found.target_name or ""
    phrase = PHRASES.get(found.action, f"did {found.action} to {{target}}")
    phrase = re.sub(r"\[([^\]]*\{(\w+)\})\]", lambda match: match[1] if pieces.get(match[2]) else "", phrase)
    parts = tuple(
        Part(pieces.get(text, "") if index % 2 else text, strong=bool(index % 2))
        for index, text in enumerate(re.split(r"\{(\w+)\}", phrase))
        if text
    )
    return (*parts, Part(f" ({found.count} times)")) if found.count > 1 else parts


def _changes(found: AuditEvent) -> dict[str, tuple[Any, Any]]:
    return {name: (pair[0], pair[1]) for name, pair in json.loads(found.changes or "{}").items()}


def _plain(value: Any) -> str:  # noqa: ANN401  plain JSON values
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
