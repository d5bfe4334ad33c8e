"""Users of the organization, as administrators see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from latchpin.web.views.api_keys import KeyRow
from latchpin.web.views.common import Form, Listing, Option, Shell, initials
from latchpin.web.views.organization import EventRow

UserState = Literal["active", "disabled", "invited"]


@dataclass(frozen=True, slots=True)
class UserRow:
    """One user. "invited" means active, but the temporary password has not been changed yet.

    ``active_keys`` counts keys that would be accepted now; ``expiring_keys`` those of them that end within 30 days.
    """

    id: int
    name: str
    email: str
    group: str
    state: UserState
    active_keys: int
    expiring_keys: int
    last_sign_in_at: datetime | None
    created_at: datetime
    me: bool

    @property
    def initials(self) -> str:
        """At most two letters, for the round mark beside the name."""
        return initials(self.name)


@dataclass(frozen=True, slots=True)
class Users:
    """The list of users."""

    shell: Shell
    listing: Listing
    rows: tuple[UserRow, ...]


@dataclass(frozen=True, slots=True)
class UserEditor:
    """New User when ``user`` is None, otherwise Edit."""

    shell: Shell
    form: Form
    user: UserRow | None
    groups: tuple[Option, ...]
    minimum: int


@dataclass(frozen=True, slots=True)
class UserProfile:
    """One user: profile, keys and apps, and recent events. ``keys`` are the active ones, ``spaces`` names with roles."""

    shell: Shell
    user: UserRow
    keys: tuple[KeyRow, ...]
    inactive_keys: int
    spaces: tuple[tuple[int, str, str], ...]
    sessions: int
    apps: int
    events: tuple[EventRow, ...]


@dataclass(frozen=True, slots=True)
class UserConfirm:
    """Before a user is disabled, enabled, deleted or given a new temporary password; ``back`` is the page that the question came from."""

    shell: Shell
    user: UserRow
    form: Form
    back: str


@dataclass(frozen=True, slots=True)
class TemporaryPassword:
    """The only page that shows a temporary password made by the server."""

    shell: Shell
    user: UserRow
    password: str
    back: str
