"""OAuth apps and API resources as administrators see them, and the apps that a user has authorized."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from latchpin.web.views.common import Form, Listing, Option, Shell
from latchpin.web.views.organization import ConnectedRow, SessionRow
from latchpin.web.views.users import UserRow

AppState = Literal["active", "waiting", "blocked", "revoked"]
Kind = Literal["confidential", "public", "service"]


@dataclass(frozen=True, slots=True)
class AppRow:
    """One app. ``own`` is whether the organization registered it; ``source`` says in words how it was registered."""

    id: int
    client_id: str
    name: str
    kind: Kind
    kind_word: str
    source: str
    own: bool
    state: AppState
    users: int
    last_used_at: datetime | None
    created_at: datetime
    has_secret: bool


@dataclass(frozen=True, slots=True)
class Apps:
    """The list of apps; ``waiting`` counts those that wait for approval."""

    shell: Shell
    listing: Listing
    rows: tuple[AppRow, ...]
    statuses: tuple[Option, ...]
    waiting: int


@dataclass(frozen=True, slots=True)
class AppKinds:
    """What kind of app is to be registered: the first step of New app."""

    shell: Shell
    kinds: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class SpaceChoice:
    """A Space that a service may be given a role in; ``field`` is the select's name."""

    field: str
    name: str


@dataclass(frozen=True, slots=True)
class AppEditor:
    """The form of an app, new when ``app`` is None. ``idempotency_key`` is random: sending the form twice registers one app.

    ``spaces`` are for services; ``more_spaces`` counts those that the form leaves out.
    """

    shell: Shell
    form: Form
    idempotency_key: str
    app: AppRow | None
    kind: Kind
    methods: tuple[Option, ...]
    types: tuple[Option, ...]
    scopes: tuple[Option, ...]
    spaces: tuple[SpaceChoice, ...]
    roles: tuple[Option, ...]
    more_spaces: int


@dataclass(frozen=True, slots=True)
class SecretRow:
    """One valid secret: its first characters and its age. ``expires_at`` is set for the older of two."""

    prefix: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class AppUserRow:
    """A user who has authorized the app."""

    id: int
    name: str
    email: str
    rights: tuple[str, ...]
    since: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class ApplicationFacts:
    """The settings of an app, in words. ``decision`` says who requested an app of others, who decided, and when."""

    client_authentication: str
    grant_types: tuple[str, ...]
    addresses: tuple[str, ...]
    logout_addresses: tuple[str, ...]
    home: str
    keys: str
    rights: tuple[str, ...]
    spaces: tuple[tuple[str, str], ...]
    created_by: str
    revoked_at: datetime | None
    revoked_by: str
    decision: str
    require_pushed: bool
    dpop_bound: bool


@dataclass(frozen=True, slots=True)
class AppDetails:
    """Everything about one app."""

    shell: Shell
    app: AppRow
    facts: ApplicationFacts
    secrets: tuple[SecretRow, ...]
    users: tuple[AppUserRow, ...]
    issuer: str


@dataclass(frozen=True, slots=True)
class AppSecret:
    """The only page that ever shows an app's secret, above the app's details. ``first`` is whether the app is new."""

    shell: Shell
    app: AppRow
    facts: ApplicationFacts
    secrets: tuple[SecretRow, ...]
    users: tuple[AppUserRow, ...]
    issuer: str
    secret: str
    first: bool
    basic: bool


@dataclass(frozen=True, slots=True)
class AppRotate:
    """Before an app's secret is rotated: how long the current one stays valid."""

    shell: Shell
    app: AppRow
    form: Form
    secrets: tuple[SecretRow, ...]
    overlaps: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class AppConfirm:
    """Before an app is approved, blocked, revoked or deleted: what will change. ``version`` is that of the app as it is shown."""

    shell: Shell
    app: AppRow
    facts: ApplicationFacts
    version: int
    form: Form


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """One API resource with the client of its server."""

    id: int
    name: str
    identifier: str
    may_call_api: bool
    client_id: str
    secrets: tuple[SecretRow, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Resources:
    """The list of API resources."""

    shell: Shell
    rows: tuple[ResourceRow, ...]


@dataclass(frozen=True, slots=True)
class ResourceSecret:
    """The only page that ever shows the secret of a resource's server, above the list."""

    shell: Shell
    rows: tuple[ResourceRow, ...]
    resource: ResourceRow
    secret: str
    issuer: str


@dataclass(frozen=True, slots=True)
class ResourceEditor:
    """The form of an API resource, new when ``resource`` is None."""

    shell: Shell
    form: Form
    resource: ResourceRow | None


@dataclass(frozen=True, slots=True)
class ResourceRotate:
    """Before the secret of a resource's server is rotated."""

    shell: Shell
    resource: ResourceRow
    form: Form
    overlaps: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class ResourceConfirm:
    """Before an API resource is deleted."""

    shell: Shell
    resource: ResourceRow
    form: Form


@dataclass(frozen=True, slots=True)
class UserAccess:
    """A user's browser sessions and connected apps, for an administrator to list and to end."""

    shell: Shell
    user: UserRow
    sessions: tuple[SessionRow, ...]
    apps: tuple[ConnectedRow, ...]


@dataclass(frozen=True, slots=True)
class ConnectedConfirm:
    """Before an app's access is withdrawn. ``owner`` is the user's name, empty for the viewer's own; ``trail`` leads back."""

    shell: Shell
    connected: ConnectedRow
    owner: str
    action: str
    trail: tuple[tuple[str, str], ...]
