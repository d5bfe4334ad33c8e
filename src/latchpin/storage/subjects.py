"""Subjects: what a change that can narrow a right concerns, and what a cached credential depends on.

Each has one of a fixed number of slots, by its hash. Two subjects in one slot cause extra look-ups, but never a wrong acceptance.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

SLOTS = 1 << 14  # 128 KB in a file; at 20 changes of other subjects a second, a credential has a needless look-up every five minutes


@dataclass(frozen=True, slots=True)
class Subject:
    """One subject: a kind and an id, such as user 7; a kind with one member has no id."""

    kind: str
    id: int = 0

    @property
    def slot(self) -> int:
        """The subject's slot, the same in every process and version; the first slot is only for `EVERYTHING`."""
        if self.kind == _EVERYTHING:
            return 0
        digest = blake2b(f"{self.kind}:{self.id}".encode(), digest_size=8).digest()
        return 1 + int.from_bytes(digest) % (SLOTS - 1)


_EVERYTHING = "everything"
EVERYTHING = Subject(_EVERYTHING)
SIGNING_KEYS = Subject("signing keys")


def organization(organization_id: int) -> Subject:
    """An organization: its Spaces, its resources, and which apps it approves."""
    return Subject("organization", organization_id)


def user(user_id: int) -> Subject:
    """A user: status, group, name, address, and roles in Spaces."""
    return Subject("user", user_id)


def key(api_key_id: int) -> Subject:
    """An API key."""
    return Subject("key", api_key_id)


def client(client_pk: int) -> Subject:
    """An OAuth client, by its row's id: its secrets, and its own roles in Spaces."""
    return Subject("client", client_pk)


def grant(grant_id: int) -> Subject:
    """A grant, with its access tokens."""
    return Subject("grant", grant_id)


def browser_session(session_id: int) -> Subject:
    """A browser session; grants without `offline_access` end with it."""
    return Subject("browser session", session_id)


def slots(*subjects: Subject) -> tuple[int, ...]:
    """Return the slots of subjects."""
    return tuple({subject.slot: None for subject in subjects})
