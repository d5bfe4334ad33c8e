"""How the audit log shows each event and each kind of event, one row for each: its label in filters, its sentence, its icon."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One event. Without an `icon` of its own it has that of its kind.

    Braces in the sentence are placeholders: {target}, a changed field for its new value, or {was_field} for its old one. The words in
    square brackets are omitted where an event has no such value.
    """

    label: str
    sentence: str
    icon: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """All events whose names have the same beginning, such as `user.`; without a `label` it is not offered as a filter."""

    label: str | None
    icon: str


# In the order in which the filter lists them.
MESSAGES: dict[str, Message | Kind] = {
    "organization": Kind(None, "spaces"),
    "organization.created": Message("Organization created", "set up the organization {target}"),
    "organization.key_policy_changed": Message("API policy changed", "changed the API policy", "policy"),
    "deployment.pepper_rotated": Message("Key secret changed", "changed the secret that API keys are stored under"),
    "user": Kind("Users: everything", "user"),
    "user.created": Message("User created", "created user {target}", "user-plus"),
    "user.changed": Message("User changed", "changed user {target}"),
    "user.disabled": Message("User disabled", "disabled user {target}"),
    "user.enabled": Message("User enabled", "enabled user {target}"),
    "user.deleted": Message("User deleted", "deleted user {target}"),
    "user.password_reset": Message("Password reset", "reset the password of {target}", "password"),
    "user.password_changed": Message("Password changed", "changed the password of {target}", "password"),
    "session": Kind("Sign-ins: everything", "sign-in"),
    "session.signed_in": Message("Signed in", "signed in"),
    "session.sign_in_refused": Message("Sign-in failed", "failed to sign in"),
    "session.signed_out": Message("Signed out", "signed out", "sign-out"),
    "session.ended": Message("Session ended", "ended a browser session", "sign-out"),
    "session.password_proved": Message("Password confirmed", "confirmed the password", "password"),
    "api_key": Kind("API keys: everything", "key"),
    "api_key.created": Message("API key created", "created API key {target}[ for {user}]"),
    "api_key.changed": Message("API key changed", "changed the expiry of API key {target}"),
    "api_key.revoked": Message("API key revoked", "revoked API key {target}", "ban"),
    "api_key.deleted": Message("API key deleted", "deleted API key {target}", "trash"),
    "api_key.refused": Message("API key: authentication failed", "failed to authenticate[ with API key {target}]", "ban"),
    "api_key.used": Message("API key used", "called the API with {target}"),
    "organization.app_policy_changed": Message("App policy changed", "changed whether apps need approval", "policy"),
    "deployment.signing_key_rotated": Message("Signing key rotated", "rotated the signing key"),
    "client": Kind("OAuth apps: everything", "apps"),
    "client.created": Message("App registered", "registered the app {target}"),
    "client.changed": Message("App changed", "changed the app {target}"),
    "client.secret_added": Message("Client secret created", "created a client secret for the app {target}", "key"),
    "client.secret_removed": Message("Client secret revoked", "revoked a client secret of the app {target}", "key"),
    "client.approved": Message("App approved", "approved the app {target}", "check-circle"),
    "client.blocked": Message("App blocked", "blocked the app {target}", "ban"),
    "client.revoked": Message("App revoked", "revoked the app {target}", "ban"),
    "client.deleted": Message("App deleted", "deleted the app {target}", "trash"),
    "client.refused": Message("App: authentication failed", "failed to authenticate as the app {target}", "ban"),
    "consent": Kind("Consents: everything", "apps"),
    "consent.refused": Message("Consent refused", "said no to the app {target}", "ban"),
    "consent.withdrawn": Message("Consent withdrawn", "withdrew the app {target}[ for {was_user}]", "ban"),
    "grant": Kind("Grants: everything", "apps"),
    "grant.began": Message("Grant created", "authorized the app {target}"),
    "grant.ended": Message("Grant ended", "ended what the app {target} was granted[ by {was_user}]", "ban"),
    "grant.refreshed": Message("Tokens refreshed", "refreshed tokens of the app {target}", "restore"),
    "grant.replayed": Message("Token replayed", "presented a spent token of the app {target}, so its grant ended", "alert"),
    "grant.token_revoked": Message("Access token revoked", "revoked one access token of the app {target}"),
    "access_token": Kind("Access tokens: everything", "apps"),
    "access_token.refused": Message(
        "Access token: authentication failed", "failed to authenticate with a token of the app {target}", "ban"
    ),
    "access_token.used": Message("Access token used", "called the API with a token of the app {target}"),
    "resource": Kind("API resources: everything", "resources"),
    "resource.created": Message("API resource registered", "registered the API resource {target}"),
    "resource.changed": Message("API resource changed", "changed the API resource {target}"),
    "resource.deleted": Message("API resource deleted", "deleted the API resource {target}", "trash"),
    "space": Kind("Spaces: everything", "spaces"),
    "space.created": Message("Space created", "created Space {target}"),
    "space.changed": Message("Space changed", "changed Space {target}"),
    "space.deleted": Message("Space deleted", "deleted Space {target}"),
    "space.member_changed": Message("Members changed", "changed the members of Space {target}"),
    "agent": Kind("Agents: everything", "agents"),
    "agent.created": Message("Agent created", "created agent {target}"),
    "agent.changed": Message("Agent changed", "saved version {version} of agent {target}"),
    "agent.moved": Message("Agent moved", "moved agent {target} to {space}", "out"),
    "agent.archived": Message("Agent archived", "archived agent {target}", "archive"),
    "agent.unarchived": Message("Agent unarchived", "unarchived agent {target}", "restore"),
    "run": Kind("Runs: everything", "agents"),
    "run.started": Message("Run started", "started {target}"),
    "run.stopped": Message("Run stopped", "stopped {target}"),
    "run.killed": Message("Run killed", "killed {target}"),
    "run.restarted": Message("Run restarted", "restarted {target}"),
    "run.deleted": Message("Run deleted", "deleted {target}"),
}
LABELS = {name: each.label for name, each in MESSAGES.items() if each.label is not None}


def sentence(action: str) -> str:
    """Return the sentence of an event; for one that is not listed here, its name."""
    message = MESSAGES.get(action)
    return message.sentence if isinstance(message, Message) else f"did {action} to {{target}}"


def icon(action: str) -> str:
    """Return the icon of an event."""
    message, kind = MESSAGES.get(action), MESSAGES.get(action.partition(".")[0])
    return (message.icon if message else None) or (kind.icon if kind else None) or "audit"
