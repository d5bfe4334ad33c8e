"""Subjects: whom or what a change concerns that can narrow a right, and what a remembered credential depends on.

Each stands in one of a fixed number of slots, by its hash. Two that share a slot cost each other a look-up, and never an acceptance.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

SLOTS = 1 << 14  # 128 KB in a file; among so many, 20 changes a second to others meet one of a credential's subjects every five minutes


@dataclass(frozen=True, slots=True)
class Subject:
    """One of a kind, such as user 7, or all of it where there is one only."""

    kind: str
    id: int = 0

    @property
    def slot(self) -> int:
        """Where it stands, in every process and version alike; the first slot is that of everything alone."""
        if self.kind == _EVERYTHING:
            return 0
        digest = blake2b(f"{self.kind}:{self.id}".encode(), digest_size=8).digest()
        return 1 + int.from_bytes(digest) % (SLOTS - 1)


_EVERYTHING = "everything"
EVERYTHING = Subject(_EVERYTHING)
SIGNING_KEYS = Subject("signing keys")


def organization(organization_id: int) -> Subject:
    """An organization: its Spaces, its resources, and which apps it lets in."""
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
    """A session of a browser, which the grants without `offline_access` end with."""
    return Subject("browser session", session_id)


def slots(*subjects: Subject) -> tuple[int, ...]:
    """Return where subjects stand."""
    return tuple({subject.slot: None for subject in subjects})
