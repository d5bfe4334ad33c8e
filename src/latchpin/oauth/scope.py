"""Reading and narrowing `scope` (RFC 6749 section 3.3)."""

from __future__ import annotations

from latchpin.identity.scopes import ALL, OFFLINE, REQUESTABLE, ordered
from latchpin.oauth.errors import invalid_scope

DEFAULT = frozenset(scope.value for scope in ALL)


def requested_scopes(text: str | None, allowed: frozenset[str], *, offline: bool) -> frozenset[str]:
    """Return the scopes that a client asks for and may have; without `scope` the API's own six, of those it may have.

    Scopes that cannot be granted are left out; the response lists the rest (section 3.3). Words are exact and case-sensitive. An empty
    `allowed` is no bound; `offline_access` is had where `offline` says that the client refreshes, and is ignored where not (OpenID
    Connect Core section 11). Raises OAuthError `invalid_scope` where nothing remains.
    """
    grantable = (allowed or frozenset(REQUESTABLE)) - {OFFLINE} | ({OFFLINE} if offline else frozenset())
    return _required((DEFAULT if text is None else _words(text)) & grantable, grantable)


def may_stay(scopes: str, grant_types: frozenset[str]) -> bool:
    """Whether a client can refresh but does not request it: then its user may allow it to stay connected nevertheless."""
    return "refresh_token" in grant_types and OFFLINE not in scopes.split()


def staying(scopes: str) -> str:
    """Return scopes with `offline_access` added."""
    return ordered([*scopes.split(), OFFLINE])


def for_token(text: str | None, granted: frozenset[str]) -> frozenset[str]:
    """Return the scopes for one token out of those granted, all where none is requested: never more.

    Raises OAuthError `invalid_scope` where none of the requested ones was granted.
    """
    return granted if text is None else _required(_words(text) & granted, granted)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split(" ")) - {""}


def _required(rest: frozenset[str], grantable: frozenset[str]) -> frozenset[str]:
    if not rest:
        raise invalid_scope(f"none of the scopes asked for can be granted; these can: {ordered(grantable) or 'none'}")
    return rest
