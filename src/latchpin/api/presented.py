"""What credential a request presents: read from its headers, with the misuses refused that leak keys.

A key belongs in `Authorization: ApiKey <key>` and nowhere else: not in the query or a cookie (they end in logs and histories), not after
`Bearer`, not together with another credential, and not in a web page's script, which everybody can read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl

from latchpin.errors import Denied, Malformed, Unauthenticated
from latchpin.identity.credentials import PREFIX

HOW_TO = (
    "Send an API key in the header `Authorization: ApiKey <key>`. An administrator issues one in the Control Center: "
    "Users, Manage API keys, New API key."
)
_MOST_HEADER = 4096
_MOST_PARAMETERS = 500
_QUERY_NAMES = frozenset({"api_key", "apikey", "api-key", "access_token", "x-api-key"})
_KEY = PREFIX.encode()


@dataclass(slots=True)
class Presented:
    """The one credential of a request; both None where there is none. `origin` is the browser's Origin header."""

    api_key: bytes | None = None
    session: str | None = None
    origin: bytes | None = None


class TwoCredentials(Malformed):
    """More than one credential in one request (RFC 6750 section 2: clients must not use more than one method)."""

    code = "two_credentials"


class InBrowser(Denied):
    """A key that a browser page sent which is not ours."""

    code = "key_in_browser"

    def __init__(self) -> None:
        super().__init__(
            "An API key was sent from a web page. Keys do not belong in client-side code, where everybody can read them: call the API "
            "from your server, and have this key revoked."
        )


def read(seen: Mapping[bytes, bytes], query: bytes, cookie_name: str) -> Presented:
    """Return what the request presents; `seen` as RequestContext has it.

    Raises Unauthenticated for a key in a wrong place or form, TwoCredentials for two, Malformed for an endless query.
    """
    authorization, cookie = seen.get(b"authorization"), seen.get(b"cookie")
    found = Presented(None, None, seen.get(b"origin"))
    if query:
        _refuse_in_query(query, with_header=authorization is not None)
    if b"x-api-key" in seen:
        raise Unauthenticated("A key in X-API-Key is not accepted. " + HOW_TO)
    if cookie is not None and _KEY in cookie:
        raise Unauthenticated("A key in a cookie is not accepted; treat it as exposed and have it revoked. " + HOW_TO)
    if authorization is not None:
        found.api_key = _key(authorization)
        if cookie is not None and seen.get(b"sec-fetch-site") != b"same-origin" and _session(cookie.replace(b"\n", b"; "), cookie_name):
            raise TwoCredentials("The request carries a browser session as well as a key. Send one credential only.")
    elif cookie is not None:
        found.session = _session(cookie.replace(b"\n", b"; "), cookie_name)
    return found


def _key(authorization: bytes) -> bytes:
    scheme, _, key = authorization.partition(b" ")
    scheme = scheme.lower()
    if b"\n" in authorization or (b"," in key and _KEY in key.partition(b",")[2]):
        raise TwoCredentials("The request carries two credentials in Authorization. Send one only.")
    key = key.strip()
    if scheme == b"apikey":
        return key[:_MOST_HEADER]
    if scheme == b"bearer" and key.startswith(_KEY):
        raise Unauthenticated("An API key is not a bearer token. " + HOW_TO)
    if scheme == b"bearer":
        raise Unauthenticated("The access token was not accepted. " + HOW_TO)
    raise Unauthenticated("The Authorization scheme is not known here. " + HOW_TO)


def _refuse_in_query(query: bytes, *, with_header: bool) -> None:
    named = b"%" in query or b"key" in query.lower() or b"token" in query.lower()
    if not named and _KEY not in query:
        return
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise Malformed(f"The address has more than {_MOST_PARAMETERS} parameters.") from None
    if any(name.lower() in _QUERY_NAMES or PREFIX in value or PREFIX in name for name, value in pairs):
        if with_header:
            raise TwoCredentials("The request carries a credential in its address as well. Send one credential only, in the header.")
        raise Unauthenticated("A key in the address is not accepted: it ends in logs. Treat it as exposed and have it revoked. " + HOW_TO)


def _session(cookie: bytes, name: str) -> str | None:
    try:
        morsel = SimpleCookie(cookie[:16_000].decode("latin-1")).get(name)
    except CookieError:
        return None
    return morsel.value if morsel else None
