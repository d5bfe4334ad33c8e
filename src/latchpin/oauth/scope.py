"""Reading and narrowing `scope` (RFC 6749 section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable

from latchpin.identity.scopes import ALL, EVERY, OFFLINE
from latchpin.oauth.errors import invalid_scope

DEFAULT = frozenset(scope.value for scope in ALL)


def asked(text: str | None, allowed: Iterable[str]) -> frozenset[str]:
    """Return the scopes that a client asks for: without `scope` the API's own six, of those it may have.

    Exact and case-sensitive. Raises OAuthError `invalid_scope` for an unknown one, and for one that the client may not have.
    """
    may = frozenset(allowed)
    if text is None:
        return (DEFAULT & may) if may else DEFAULT
    words = frozenset(text.split(" ")) - {""}
    unknown = words.difference(EVERY)
    if unknown or not words:
        raise invalid_scope(f"unknown scope; known are {' '.join(EVERY)}")
    if may and (beyond := words - may - {OFFLINE}):
        raise invalid_scope(f"this app may not ask for {' '.join(sorted(beyond))}")
    return words


def narrowed(text: str | None, granted: frozenset[str]) -> frozenset[str]:
    """Return the scopes for one token out of those granted, all where none is asked for; raises OAuthError for more."""
    if text is None:
        return granted
    words = frozenset(text.split(" ")) - {""}
    if not words or not words <= granted:
        raise invalid_scope("scope goes beyond what was granted")
    return words
