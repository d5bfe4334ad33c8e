"""The audit events. A class's docstring is its entry in docs/reference/audit-events.md.

An event names its target and what changed: `changes` maps a field to (old, new) in plain values. Never put a secret into one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

Plain = str | int | float | bool | None
Changes = Mapping[str, tuple[Plain, Plain]]
Outcome = Literal["done", "refused", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events. `organization_id` overrides the actor's where the actor is unknown."""

    action: ClassVar[str]
    target_kind: ClassVar[str | None] = None

    target_id: int | None = None
    target_name: str | None = None
    outcome: Outcome = "done"
    reason: str | None = None
    changes: Changes = field(default_factory=dict)
    count: int = 1
    organization_id: int | None = None


class _OnUser(Event):
    target_kind: ClassVar[str | None] = "user"


class _OnKey(Event):
    target_kind: ClassVar[str | None] = "api_key"


class _OnSpace(Event):
    target_kind: ClassVar[str | None] = "space"


class _OnAgent(Event):
    target_kind: ClassVar[str | None] = "agent"


class _OnRun(Event):
    target_kind: ClassVar[str | None] = "run"


class _OnGrant(Event):
    target_kind: ClassVar[str | None] = "grant"


class _OnClient(Event):
    target_kind: ClassVar[str | None] = "client"


class _OnOrganization(Event):
    target_kind: ClassVar[str | None] = "organization"


class PepperRotated(Event):
    """New API keys are kept under another pepper from now on; `changes` holds the versions."""

    action = "deployment.pepper_rotated"


class SigningKeyRotated(Event):
    """Tokens get another signing key; the target's name is its `kid`. `at once` means that all older keys were taken down."""

    action = "deployment.signing_key_rotated"
    target_kind: ClassVar[str | None] = "signing_key"


class OrganizationCreated(_OnOrganization):
    """An organization was made, by `latchpin init` or the first-run page."""

    action = "organization.created"


class KeyPolicyChanged(_OnOrganization):
    """The organization's default or longest lifetime of API keys was changed."""

    action = "organization.key_policy_changed"


class UserCreated(_OnUser):
    """A user was made."""

    action = "user.created"


class UserChanged(_OnUser):
    """A user's name, e-mail or group was changed."""

    action = "user.changed"


class UserDisabled(_OnUser):
    """A user was disabled; all of the user's keys, browser sessions and apps' grants died with it."""

    action = "user.disabled"


class UserEnabled(_OnUser):
    """A disabled user was let in again; what was revoked stays revoked."""

    action = "user.enabled"


class UserDeleted(_OnUser):
    """A user was deleted, with all keys and sessions; agents went to the administrator who did it."""

    action = "user.deleted"


class PasswordReset(_OnUser):
    """An administrator gave a user a temporary password; all of the user's sessions and apps' grants ended."""

    action = "user.password_reset"


class PasswordChanged(_OnUser):
    """A user chose a new password; the user's other sessions and apps' grants ended."""

    action = "user.password_changed"


class SignedIn(_OnUser):
    """A user signed in with a password."""

    action = "session.signed_in"


class SignInRefused(_OnUser):
    """Signing in was refused; the reason is known here and not told to the caller."""

    action = "session.sign_in_refused"


class SignedOut(_OnUser):
    """A user signed out."""

    action = "session.signed_out"


class SessionEnded(_OnUser):
    """A browser session was ended from the list of sessions."""

    action = "session.ended"


class Reauthenticated(_OnUser):
    """A user gave the password again before a sensitive change."""

    action = "session.password_proved"


class ApiKeyCreated(_OnKey):
    """An API key was made for a user."""

    action = "api_key.created"


class ApiKeyChanged(_OnKey):
    """An API key's expiry was changed."""

    action = "api_key.changed"


class ApiKeyRevoked(_OnKey):
    """An API key was revoked."""

    action = "api_key.revoked"


class ApiKeyDeleted(_OnKey):
    """An API key's entry was deleted; a live one was revoked by that."""

    action = "api_key.deleted"


class ApiKeyRefused(_OnKey):
    """A request's key was refused; `reason` is the true one, which the caller is not told. `count` requests are one event."""

    action = "api_key.refused"


class ApiKeyUsed(_OnKey):
    """An API key was used for a route; the first use and then hourly totals in `count`.

    `refused` where the answer was 403, and `reason` names a scope that lacked; `failed` where it was another error, such as no such route.
    Addresses of one IPv6 subnet are counted together, and so are routes and addresses beyond 300 of one credential.
    """

    action = "api_key.used"


class GrantActivated(_OnGrant):
    """An app got its first token of a grant: by a user's consent, on its own behalf, or for an API key."""

    action = "grant.began"


class GrantEnded(_OnGrant):
    """A grant ended, with all of its tokens; `reason` says why."""

    action = "grant.ended"


class GrantRefreshed(_OnGrant):
    """An app refreshed its tokens."""

    action = "grant.refreshed"


class TokenReplayed(_OnGrant):
    """A spent code or refresh token was presented again, so the grant was ended: somebody has a copy."""

    action = "grant.replayed"


class TokenRevoked(_OnGrant):
    """One access token was revoked by itself."""

    action = "grant.token_revoked"


class TokenRefused(_OnGrant):
    """A request's access token was refused; `reason` is the true one. `count` requests are one event."""

    action = "access_token.refused"


class TokenUsed(_OnGrant):
    """An access token was used for a route; the first use and then hourly totals in `count`.

    `refused` where the answer was 403, and `reason` names a scope that lacked; `failed` where it was another error, such as no such route.
    Addresses of one IPv6 subnet are counted together, and so are routes and addresses beyond 300 of one credential.
    """

    action = "access_token.used"


class ConsentRefused(_OnClient):
    """A user said no to an app."""

    action = "consent.refused"


class ConsentWithdrawn(_OnClient):
    """A user or an administrator took back what an app was allowed."""

    action = "consent.withdrawn"


class ClientCreated(_OnClient):
    """An app was made known: by an administrator, by itself, or by its metadata document."""

    action = "client.created"


class ClientChanged(_OnClient):
    """An app's name, addresses, scopes, Spaces or keys were changed."""

    action = "client.changed"


class ClientSecretAdded(_OnClient):
    """An app got another secret; the older one lives on for as long as `changes` says."""

    action = "client.secret_added"


class ClientSecretRemoved(_OnClient):
    """One of an app's secrets was removed."""

    action = "client.secret_removed"


class ClientApproved(_OnClient):
    """An administrator let the organization's users use an app that the organization did not make."""

    action = "client.approved"


class ClientBlocked(_OnClient):
    """An administrator closed an app to the organization's users; its grants ended."""

    action = "client.blocked"


class ClientRevoked(_OnClient):
    """An app was revoked for good, with all of its grants."""

    action = "client.revoked"


class ClientDeleted(_OnClient):
    """A revoked app's entry was deleted."""

    action = "client.deleted"


class ClientRefused(_OnClient):
    """An app's own credential was refused at an OAuth endpoint. `count` requests are one event."""

    action = "client.refused"


class ResourceCreated(Event):
    """An API resource was registered, for which tokens can be asked."""

    action = "resource.created"
    target_kind: ClassVar[str | None] = "resource"


class ResourceChanged(Event):
    """An API resource's name, or whether its tokens may call our API, was changed."""

    action = "resource.changed"
    target_kind: ClassVar[str | None] = "resource"


class ResourceDeleted(Event):
    """An API resource was deleted."""

    action = "resource.deleted"
    target_kind: ClassVar[str | None] = "resource"


class AppPolicyChanged(_OnOrganization):
    """Whether an administrator has to approve apps of others was changed."""

    action = "organization.app_policy_changed"


class SpaceCreated(_OnSpace):
    """A Space was made."""

    action = "space.created"


class SpaceChanged(_OnSpace):
    """A Space's name, description, scope or default access was changed."""

    action = "space.changed"


class SpaceDeleted(_OnSpace):
    """An empty Space was deleted."""

    action = "space.deleted"


class SpaceMemberChanged(_OnSpace):
    """A user became a member of a Space, got another role there, or was removed (new role empty)."""

    action = "space.member_changed"


class AgentCreated(_OnAgent):
    """An agent was made from a definition."""

    action = "agent.created"


class AgentChanged(_OnAgent):
    """An agent got a new version, by editing or by restoring an old one."""

    action = "agent.changed"


class AgentMoved(_OnAgent):
    """An agent was moved to another Space, or into or out of its owner's personal Space (no id, "Personal")."""

    action = "agent.moved"


class AgentArchived(_OnAgent):
    """An agent was archived."""

    action = "agent.archived"


class AgentUnarchived(_OnAgent):
    """An archived agent was unarchived."""

    action = "agent.unarchived"


class RunStarted(_OnRun):
    """A run of an agent was started; `changes` holds the agent's id, and which of its runs and versions it is."""

    action = "run.started"


class RunStopped(_OnRun):
    """A run was asked to finish the page at hand and end, or was taken out of the queue."""

    action = "run.stopped"


class RunKilled(_OnRun):
    """A run that was stopping already was ended at once."""

    action = "run.killed"


class RunRestarted(_OnRun):
    """A failed run was put back into the queue."""

    action = "run.restarted"


class RunDeleted(_OnRun):
    """A run or its files were deleted; `reason` is the method."""

    action = "run.deleted"


ALL: tuple[type[Event], ...] = tuple(
    event_type
    for event_type in list(globals().values())
    if isinstance(event_type, type) and issubclass(event_type, Event) and "action" in vars(event_type)
)
