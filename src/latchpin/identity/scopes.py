"""The scopes, the same for API keys and OAuth tokens (contract/auth.md 3). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from latchpin.errors import Invalid


class Scope(StrEnum):
    """What a credential may be used for. A scope only restricts; it never gives a right that the user does not have."""

    AGENTS_READ = "agents:read"
    AGENTS_WRITE = "agents:write"
    RUNS_READ = "runs:read"
    SPACES_READ = "spaces:read"
    SPACES_WRITE = "spaces:write"
    BILLING_READ = "billing:read"


class Access(StrEnum):
    """The named sets of scopes from which an API key's is chosen."""

    FULL = "full"
    READ_ONLY = "read-only"
    RUNS_ONLY = "runs-only"
    BILLING_ONLY = "billing-only"


ALL = frozenset(Scope)
OPENID, PROFILE, EMAIL, OFFLINE = "openid", "profile", "email", "offline_access"
REQUESTABLE = (*(scope.value for scope in Scope), OPENID, PROFILE, EMAIL, OFFLINE)  # all that an app can request
SETS: dict[Access, frozenset[Scope]] = {
    Access.FULL: ALL,
    Access.READ_ONLY: frozenset(scope for scope in Scope if scope.endswith(":read")),
    Access.RUNS_ONLY: frozenset({Scope.AGENTS_READ, Scope.AGENTS_WRITE, Scope.RUNS_READ}),
    Access.BILLING_ONLY: frozenset({Scope.BILLING_READ}),
}


def parse(text: str) -> frozenset[Scope]:
    """Read a space-separated scope list (RFC 6749 section 3.3), exact and case-sensitive; raises Invalid for an unknown one."""
    scopes = set()
    for word in text.split(" "):
        try:
            if word:
                scopes.add(Scope(word))
        except ValueError:
            detail = f"Unknown scope. Known scopes: {serialize(ALL)}."
            raise Invalid(detail, field="scope") from None
    return frozenset(scopes)


def serialize(scopes: Iterable[Scope]) -> str:
    """Return scopes in the order of Scope, separated by spaces."""
    scope_set = set(scopes)
    return " ".join(scope.value for scope in Scope if scope in scope_set)


def api(words: Iterable[str]) -> frozenset[Scope]:
    """Return the API's own scopes among some scopes, without the others."""
    return frozenset(Scope(word) for word in words if word in ALL)


def ordered(words: Iterable[str]) -> str:
    """Return scopes in one order: the API's own first, then openid, profile, email, offline_access."""
    word_set = set(words)
    return " ".join(word for word in REQUESTABLE if word in word_set)


def access_of(scopes: Iterable[Scope]) -> Access | None:
    """Return the named set that has exactly these scopes, or None for any other combination."""
    scope_set = frozenset(scopes)
    return next((access for access, members in SETS.items() if members == scope_set), None)
