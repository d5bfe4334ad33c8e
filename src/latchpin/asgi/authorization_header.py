"""Reads the credential of a request from its headers, and refuses misuses that leak keys.

A key belongs in `Authorization: ApiKey <key>`, an access token in `Authorization: Bearer <JWT>` or, where it is bound to a key of the
client, in `Authorization: DPoP <JWT>`, and neither anywhere else: not in the query or a cookie (they end up in logs and histories), and
not together with another credential. The script of a web page must not send a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl

from latchpin.errors import BadToken, Denied, Malformed, Unauthenticated
from latchpin.identity.credentials import PREFIX
from latchpin.identity.roles import CredentialKind

HOW_TO = (
    "Send an API key in the header `Authorization: ApiKey <key>`. An administrator issues one in the Control Center: "
    "Users, Manage API keys, New API key. Apps send an OAuth access token as `Authorization: Bearer <token>`."
)
_REJECTED_KEY = (
    "The API key was not accepted. Check that it was copied whole, that it has not expired or been revoked, and that it is used "
    "from an allowed network; an administrator sees the reason in the audit log."
)
_REJECTED_BEARER = (
    "The access token was not accepted. Refresh it (grant_type=refresh_token at /api/oauth/token), or send the user through authorization "
    "again; an administrator sees the reason in the audit log."
)
AUTHORIZATION = "latchpin_authorization"  # the key in the scope under which an outer layer stores what it has parsed
_MOST_HEADER = 4096
_MOST_TOKEN = 16_384
_MOST_PARAMETERS = 500
_KEY_NAMES = frozenset({"api_key", "apikey", "api-key", "x-api-key"})
_QUERY_NAMES = _KEY_NAMES | {"access_token"}
_KEY = PREFIX.encode()
_SECOND = (_KEY, b"earer ", b"PoP ", b"pop ")  # how a second credential in the same header begins


@dataclass(slots=True)
class ParsedAuthorization:
    """The one credential of a request; all None where there is none. `origin` is the browser's Origin header.

    With `is_dpop` the token was sent with the scheme DPoP, which requires a proof (RFC 9449 section 7.1).
    """

    api_key: bytes | None = None
    bearer: bytes | None = None
    is_dpop: bool = False
    session: str | None = None
    origin: bytes | None = None


class TwoCredentials(Malformed):
    """More than one credential in one request (RFC 6750 section 2: clients must not use more than one method)."""

    code = "two_credentials"


class TokenInAddress(Unauthenticated):
    """An access token in the query (RFC 6750 section 2.3, which OAuth 2.1 removes)."""

    def __init__(self) -> None:
        super().__init__(
            "An access token in the address is not accepted: it ends in logs. Treat it as exposed, have it revoked, and send tokens in "
            "the header `Authorization: Bearer <token>`."
        )


class InBrowser(Denied):
    """A key that was sent by a browser page of another site."""

    code = "key_in_browser"

    def __init__(self) -> None:
        super().__init__(
            "An API key was sent from a web page. Keys do not belong in client-side code, where everybody can read them: call the API "
            "from your server, and have this key revoked."
        )


def read(request_headers: Mapping[bytes, bytes], query: bytes, cookie_name: str) -> ParsedAuthorization:
    """Return what the request presents; `request_headers` are those of RequestContext.

    Raises Unauthenticated for a key in a wrong place or form (TokenInAddress for a token), TwoCredentials for two, Malformed for an
    overlong query.
    """
    header, cookie = request_headers.get(b"authorization"), request_headers.get(b"cookie")
    authorization = ParsedAuthorization(origin=request_headers.get(b"origin"))
    if query:
        _refuse_in_query(query, with_header=header is not None)
    if b"x-api-key" in request_headers:
        raise Unauthenticated("A key in X-API-Key is not accepted. " + HOW_TO)
    if cookie is not None and _KEY in cookie:
        raise Unauthenticated("A key in a cookie is not accepted; treat it as exposed and have it revoked. " + HOW_TO)
    if header is not None:
        scheme, secret = _authorization(header)
        if scheme == b"apikey":
            authorization.api_key = secret[:_MOST_HEADER]
        else:
            authorization.bearer = secret[: _MOST_TOKEN + 1]  # a token that was cut here is too long to be valid
            authorization.is_dpop = scheme == b"dpop"
        if (
            cookie is not None
            and request_headers.get(b"sec-fetch-site") != b"same-origin"
            and _session(cookie.replace(b"\n", b"; "), cookie_name)
        ):
            raise TwoCredentials("The request carries a browser session as well as a key or token. Send one credential only.")
    elif cookie is not None:
        authorization.session = _session(cookie.replace(b"\n", b"; "), cookie_name)
    return authorization


def _authorization(header: bytes) -> tuple[bytes, bytes]:
    scheme, _, secret = header.partition(b" ")
    scheme = scheme.lower()
    if b"\n" in header or (b"," in secret and any(each in secret.partition(b",")[2] for each in _SECOND)):
        raise TwoCredentials("The request carries two credentials in Authorization. Send one only.")
    secret = secret.strip()
    if scheme in (b"bearer", b"dpop") and secret.startswith(_KEY):
        raise Unauthenticated("An API key is not a bearer token. " + HOW_TO)
    if scheme not in (b"apikey", b"bearer", b"dpop"):
        raise Unauthenticated("The Authorization scheme is not known here. " + HOW_TO)
    return scheme, secret


def _refuse_in_query(query: bytes, *, with_header: bool) -> None:
    may_hold_credential = b"%" in query or b"key" in query.lower() or b"token" in query.lower()
    if not may_hold_credential and _KEY not in query:
        return
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise Malformed(f"The address has more than {_MOST_PARAMETERS} parameters.") from None
    if any(name.lower() in _QUERY_NAMES or PREFIX in value or PREFIX in name for name, value in pairs):
        if with_header:
            raise TwoCredentials("The request carries a credential in its address as well. Send one credential only, in the header.")
        if not any(PREFIX in value or PREFIX in name or name.lower() in _KEY_NAMES for name, value in pairs):
            raise TokenInAddress
        raise Unauthenticated("A key in the address is not accepted: it ends in logs. Treat it as exposed and have it revoked. " + HOW_TO)


def _session(cookie: bytes, name: str) -> str | None:
    try:
        morsel = SimpleCookie(cookie[:16_000].decode("latin-1")).get(name)
    except CookieError:
        return None
    return morsel.value if morsel else None


def rejection(kind: CredentialKind) -> Unauthenticated:
    """Return the error for a refused credential, the same for every reason."""
    return Unauthenticated(_REJECTED_KEY) if kind is CredentialKind.API_KEY else BadToken(_REJECTED_BEARER)
