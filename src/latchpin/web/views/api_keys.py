"""API keys of one user, as the pages of Organization > Users > Manage API keys show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from latchpin.web.views.common import Form, Listing, Option, Shell

KeyState = Literal["active", "expiring", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """The user a key acts for."""

    id: int
    name: str
    email: str
    active: bool


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key. ``state`` is "expiring" within 30 days of the end. The full key is never stored."""

    id: int
    description: str
    prefix: str
    access: str
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime
    last_used_at: datetime | None
    last_used_address: str
    state: KeyState
    revoked_at: datetime | None
    revoked_by: str
    revoked_reason: str

    @property
    def is_active(self) -> bool:
        """Whether the key itself is still accepted."""
        return self.state in {"active", "expiring"}


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Limits for an expiry, in days, and the dates they come to today."""

    default_days: int
    maximum_days: int
    today: date
    default: date
    earliest: date
    latest: date


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one user."""

    shell: Shell
    owner: KeyOwner
    listing: Listing
    active: tuple[KeyRow, ...]
    inactive: tuple[KeyRow, ...]


@dataclass(frozen=True, slots=True)
class NewKey:
    """The form for a new key. ``idempotency_key`` is random and good for one key: sending the form twice makes one key."""

    shell: Shell
    owner: KeyOwner
    form: Form
    idempotency_key: str
    lifetime: Lifetime
    quick: tuple[Option, ...]
    accesses: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """The only page that ever holds a full key. It is never stored by the browser or by us."""

    shell: Shell
    owner: KeyOwner
    listing: Listing
    active: tuple[KeyRow, ...]
    inactive: tuple[KeyRow, ...]
    key: str
    row: KeyRow
    base_url: str


@dataclass(frozen=True, slots=True)
class KeyExpiry:
    """Changing when a live key ends."""

    shell: Shell
    owner: KeyOwner
    row: KeyRow
    form: Form
    lifetime: Lifetime


@dataclass(frozen=True, slots=True)
class KeyConfirm:
    """Before a key is revoked or deleted: what will stop working."""

    shell: Shell
    owner: KeyOwner
    row: KeyRow
    form: Form
