"""Dashboard, API policy, audit log, My account and error pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from latchpin.web.views.api_keys import KeyOwner, KeyRow
from latchpin.web.views.automation import AgentRow
from latchpin.web.views.common import Chip, Form, Option, Part, Shell


@dataclass(frozen=True, slots=True)
class ExpiringKey:
    """A valid key that expires within 30 days, with the user for whom it acts."""

    owner: KeyOwner
    row: KeyRow


@dataclass(frozen=True, slots=True)
class EventRow:
    """One audit record in words. ``outcome`` is done, refused or failed; ``icon`` names a drawing."""

    id: int
    at: datetime
    actor: str
    actor_kind: str
    credential: str
    sentence: tuple[Part, ...]
    outcome: str
    reason: str
    address: str
    icon: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Counts are None where the viewer may not know them."""

    shell: Shell
    agents: int
    archived: int
    spaces: int
    users: int | None
    disabled_users: int | None
    active_keys: int | None
    expiring: tuple[ExpiringKey, ...]
    events: tuple[EventRow, ...]
    recent: tuple[AgentRow, ...]
    my_keys: tuple[KeyRow, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """The lifetimes of new API keys, and whether apps need approval; ``ceiling_days`` is the deployment's own limit.

    Where ``over_maximum`` is ``most_counted``, there may be more.
    """

    shell: Shell
    form: Form
    ceiling_days: int
    over_maximum: int
    most_counted: int


@dataclass(frozen=True, slots=True)
class AuditLog:
    """One page of the audit log, newest first. Pages are cursors: new records do not shift them.

    ``looked_through`` says how far back the search went where few records match; older ones may match too.
    """

    shell: Shell
    rows: tuple[EventRow, ...]
    chips: tuple[Chip, ...]
    form: Form
    actions: tuple[Option, ...]
    outcomes: tuple[Option, ...]
    people: tuple[Option, ...]
    credentials: tuple[Option, ...]
    newer: str
    older: str
    filtered: bool
    looked_through: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One changed field with its old and new value, as text."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One audit record with all of its fields."""

    shell: Shell
    event: EventRow
    action: str
    facts: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]
    raw: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One browser session of the viewer."""

    id: int
    browser: str
    address: str
    started_at: datetime
    last_seen_at: datetime
    current: bool


@dataclass(frozen=True, slots=True)
class ConnectedRow:
    """An app that a user has authorized.

    ``hosts`` are where its addresses lead, ``api_keys`` the names of keys that are exchanged for its tokens. ``until`` is None where it
    ends with the browser session; one that is not ``active`` has no grant now, but can get one without asking.
    """

    id: int
    name: str
    client_id: str
    hosts: tuple[str, ...]
    rights: tuple[str, ...]
    spaces: str
    since: datetime
    last_used_at: datetime | None
    until: datetime | None
    active: bool
    api_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """My account: profile, password, browser sessions, connected apps and the viewer's keys (read-only)."""

    shell: Shell
    form: Form
    minimum: int
    group: str
    created_at: datetime
    sessions: tuple[SessionRow, ...]
    apps: tuple[ConnectedRow, ...]
    keys: tuple[KeyRow, ...]


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """An error page of ours. ``retry_after`` is in seconds, 0 when waiting does not help."""

    shell: Shell
    status: int
    title: str
    text: str
    retry_after: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Components:
    """The page that shows every component in every state."""

    shell: Shell
    form: Form
    refused: Form
    options: tuple[Option, ...]
    key: KeyRow
    event: EventRow
