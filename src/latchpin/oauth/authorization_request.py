"""Reading an authorization request (OAuth 2.1 section 4.1.1, OpenID Connect Core section 3.1.2.1), and building its response.

First `target`: the client and its redirect URI. An error there is shown to the user, never sent by a redirect. Then `read`: its errors
are sent back to the app.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlencode

from latchpin.audit import Origin
from latchpin.identity.scopes import OFFLINE, ordered
from latchpin.oauth import params, pkce, redirects, resources, scope
from latchpin.oauth.authorization_server import AuthorizationServer
from latchpin.oauth.clients import Client
from latchpin.oauth.errors import OAuthError, invalid_request, unauthorized_client
from latchpin.oauth.params import Params
from latchpin.storage.models.oauth_client import ClientSource

PATH = "/api/oauth/authorize"
PARAMETERS = (  # all parameters that are read
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "login_hint",
    "dpop_jkt",
)
NONE, LOGIN, CONSENT, SELECT_ACCOUNT = "none", "login", "consent", "select_account"
_PROMPTS_AGAIN = frozenset({LOGIN, SELECT_ACCOUNT})
_LONGEST_AGE = 10**9
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class ResponseTarget:
    """The client, and the redirect URI for the response: one that this client registered."""

    client: Client
    redirect_uri: str
    state: str | None

    @property
    def is_unverified(self) -> bool:
        """Whether the client registered itself, so that no administrator has checked where its redirect URI leads."""
        return self.client.source in (ClientSource.DYNAMIC, ClientSource.DOCUMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A valid authorization request. `scopes` is space-separated; `max_age` is in seconds.

    `dpop_jkt` is the thumbprint of the key that the code is bound to (RFC 9449 section 10).
    """

    redirect_uri: str
    state: str | None
    code_challenge: str
    scopes: str
    resource: tuple[str, ...]
    nonce: str | None
    prompt: frozenset[str]
    max_age: int | None
    dpop_jkt: str | None = None


async def target(server: AuthorizationServer, encoded: bytes, generation: int, origin: Origin | None = None) -> ResponseTarget:
    """Return the client and its redirect URI; raises OAuthError, which must not be sent by redirect (section 7.12.2)."""
    client = await named_client(server, encoded, generation, origin)
    redirect_uri = _some(encoded, b"redirect_uri").get("redirect_uri")
    if redirect_uri is None:
        if len(client.redirect_uris) != 1:
            raise invalid_request("redirect_uri is required")
        redirect_uri = client.redirect_uris[0]
    if not redirect_uri_allowed(client, redirect_uri):
        raise invalid_request("redirect_uri is not one that this app registered")
    return ResponseTarget(client, redirect_uri, _once(encoded, b"state"))


async def named_client(server: AuthorizationServer, encoded: bytes, generation: int, origin: Origin | None = None) -> Client:
    """Return the client; raises OAuthError, which must not be sent by redirect."""
    client = await server.clients.find(_some(encoded, b"client_id").need("client_id"), generation, origin)
    if client is None:
        raise OAuthError("invalid_client", "this app is unknown here, or was revoked")
    return client


def reference(encoded: bytes) -> str:
    """Return `request_uri`, empty where it was not sent; raises OAuthError where it was sent twice or cannot be read."""
    return _some(encoded, b"request_uri").get("request_uri") or ""


def must_be_pushed(server: AuthorizationServer, client: Client) -> bool:
    """Whether an app must push its requests (RFC 9126 section 5).

    Never required of our own app: it would accept nothing that an attacker can put into its requests.
    """
    return not client.is_first_party and (client.require_pushed or server.settings.require_pushed_authorization_requests)


def require_pushed(server: AuthorizationServer, client: Client) -> None:
    """Refuse a request that was not pushed where the app must push; raises OAuthError."""
    if must_be_pushed(server, client):
        raise invalid_request("this app must send its requests ahead (pushed authorization requests, RFC 9126)")


def redirect_uri_allowed(client: Client, redirect_uri: str) -> bool:
    """Whether a redirect URI is registered by the client; for apps of others, the port of a loopback address may differ.

    Not for our own: they need no consent, and another program on this computer may listen at another port.
    """
    if client.is_first_party:
        return redirect_uri in client.redirect_uris
    any_port = client.application_type == "native" or client.source is ClientSource.DOCUMENT
    return any(redirects.matches(redirect_uri, each, any_port=any_port) for each in client.redirect_uris)


def prompts(encoded: bytes) -> frozenset[str]:
    """Return the values of `prompt`, as far as they can be read; `read` refuses invalid ones."""
    return frozenset((_once(encoded, b"prompt") or "").split())


def hint(encoded: bytes) -> str:
    """Return `login_hint`: the e-mail address that the app expects; empty where it was not sent. Use it only to fill in a form."""
    return (_once(encoded, b"login_hint") or "")[:254]


def read(encoded: bytes, to: ResponseTarget) -> AuthorizationRequest:
    """Check the rest of a request; raises OAuthError, to be sent back to the app. The resource is looked up later."""
    request_params = params.parse(encoded)
    refuse_objects(request_params)
    if request_params.need("response_type") != "code":
        raise OAuthError("unsupported_response_type", "response_type must be code")
    if request_params.get("response_mode") not in (None, "query"):
        raise invalid_request("response_mode must be query")
    if "authorization_code" not in to.client.grant_types:
        raise unauthorized_client("this app may not use authorization_code")
    challenge = pkce.checked_challenge(request_params.get("code_challenge"), request_params.get("code_challenge_method"))
    words = scope.requested_scopes(request_params.get("scope"), to.client.scopes, offline="refresh_token" in to.client.grant_types)
    resources.require_form(request_params.resources)
    prompt = frozenset((request_params.get("prompt") or "").split())
    if NONE in prompt and len(prompt) > 1:
        raise invalid_request("prompt=none stands alone")
    return AuthorizationRequest(
        redirect_uri=to.redirect_uri,
        state=to.state,
        code_challenge=challenge,
        scopes=ordered(words),
        resource=request_params.resources,
        nonce=request_params.get("nonce"),
        prompt=prompt,
        max_age=_age(request_params),
        dpop_jkt=_thumbprint(request_params),
    )


def refuse_objects(request_params: Params) -> None:
    """Refuse `request`, and a `request_uri` to fetch (OpenID Connect Core section 6); raises OAuthError."""
    for name in ("request", "request_uri"):
        if request_params.get(name) is not None:
            raise OAuthError(f"{name}_not_supported", f"{name} is not supported")


def usable(words: frozenset[str], client: Client) -> frozenset[str]:
    """Return the scopes that a client can use: `offline_access` is ignored for one that cannot refresh (OpenID Connect Core section 11)."""
    return words if "refresh_token" in client.grant_types else words - {OFFLINE}


def _age(request_params: Params) -> int | None:
    text = request_params.get("max_age")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_LONGEST_AGE)):
        raise invalid_request("max_age must be a number of seconds")
    return int(text)


def _thumbprint(request_params: Params) -> str | None:
    """Return `dpop_jkt`: a SHA-256 thumbprint in base64url, which is 43 characters."""
    text = request_params.get("dpop_jkt")
    if text is not None and not _THUMBPRINT.fullmatch(text):
        raise invalid_request("dpop_jkt must be 43 base64url characters")
    return text


def after_signing_in(encoded: bytes) -> str:
    """Return this request's address for a user who signs in now, without the parameters that require the sign-in."""
    pieces = []
    for piece in encoded.split(b"&"):
        name = _name(piece)
        if name == b"prompt":
            remaining = [
                word
                for word in unquote_to_bytes(piece.partition(b"=")[2].replace(b"+", b" ")).split()
                if word.decode("latin-1") not in _PROMPTS_AGAIN
            ]
            if not remaining:
                continue
            piece = b"prompt=" + quote(b" ".join(remaining)).encode()  # noqa: PLW2901
        if name != b"max_age":
            pieces.append(piece)
    return f"{PATH}?{b'&'.join(pieces).decode('latin-1')}"


def success(to: ResponseTarget | AuthorizationRequest, code: str, issuer: str) -> str:
    """Return the redirect URI with a code for the app (OAuth 2.1 section 4.1.2, with `iss` of RFC 9207)."""
    return _response(to, {"code": code}, issuer)


def failure(to: ResponseTarget | AuthorizationRequest, error: OAuthError, issuer: str) -> str:
    """Return the redirect URI with an error for the app (OAuth 2.1 section 4.1.2.1, with `iss` of RFC 9207)."""
    return _response(to, {"error": error.error, "error_description": error.description}, issuer)


def _response(to: ResponseTarget | AuthorizationRequest, parameters: dict[str, str], issuer: str) -> str:
    if to.state is not None:
        parameters["state"] = to.state
    query = urlencode({**parameters, "iss": issuer}, quote_via=quote)
    uri = to.redirect_uri
    return f"{uri}{'&' if '?' in uri else '?'}{query}"


def _some(encoded: bytes, *names: bytes) -> Params:
    """Read only these parameters; raises OAuthError where one of them was sent twice or cannot be read."""
    return params.parse(b"&".join(piece for piece in encoded.split(b"&") if _name(piece) in names))


def _once(encoded: bytes, name: bytes) -> str | None:
    """Return a parameter that was sent exactly once and can be read, else None."""
    try:
        return _some(encoded, name).get(name.decode())
    except OAuthError:
        return None


def _name(piece: bytes) -> bytes:
    return unquote_to_bytes(piece.partition(b"=")[0].replace(b"+", b" "))
