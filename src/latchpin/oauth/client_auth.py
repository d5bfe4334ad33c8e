"""Client authentication (RFC 6749 section 2.3, OAuth 2.1 section 2.4)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from latchpin.audit import Origin
from latchpin.identity.roles import CredentialKind
from latchpin.identity.verified import RejectedCredential, RejectionReason
from latchpin.oauth import auth_methods, client_assertion, client_secrets
from latchpin.oauth.authorization_server import AuthorizationServer
from latchpin.oauth.clients import Client
from latchpin.oauth.errors import OAuthError, invalid_client, invalid_request
from latchpin.oauth.params import Params

_MOST_NAME = 500
_REFUSED = "the client is unknown, or its credential is not accepted"


@dataclass(frozen=True, slots=True)
class _ClientCredentials:
    client_id: str | None
    method: str
    secret: str | None = field(default=None, repr=False)
    assertion: str | None = field(default=None, repr=False)


async def authenticate(server: AuthorizationServer, params: Params, authorization: str | None, generation: int, origin: Origin) -> Client:
    """Return the client, authenticated by its registered method; raises OAuthError, and Throttled where an address is refused too often.

    A secret may come by HTTP Basic or in the form, whichever was registered (RFC 6749 section 2.3.1). A public client only states
    its client_id; sending a secret does not make it confidential (security.md 60).
    """
    credentials = _read_credentials(params, authorization)
    client_id = credentials.client_id
    if client_id is None:
        raise invalid_request("client_id is required")
    client = await server.clients.find(client_id, generation, origin)
    problem = client_assertion.problem_of(credentials.assertion, server.issuer) if credentials.assertion is not None else None
    matches = credentials.secret is None or client_secrets.matches(client, credentials.secret, server.secrets)  # for unknown clients, too
    if client is None:
        reason = RejectionReason.UNKNOWN
    elif not auth_methods.is_same(credentials.method, client.auth_method):
        reason = RejectionReason.WRONG_METHOD
    elif problem is None and matches and await _is_signed_by(client, credentials, server, origin):
        return client
    else:
        reason = RejectionReason.NOT_PROVED
    pk, organization_id, name = (client.pk, client.organization_id, client.name) if client else (None, None, "unknown client")
    await server.note_refusal(RejectedCredential(reason, organization_id, id=pk, name=name, kind=CredentialKind.CLIENT), origin)
    if problem is not None and reason is not RejectionReason.WRONG_METHOD:
        raise invalid_client(f"the client assertion does not count: {problem}")
    raise _refusal(client, credentials.method)


async def _is_signed_by(client: Client, credentials: _ClientCredentials, server: AuthorizationServer, origin: Origin) -> bool:
    """Whether the request has the assertion that is required, and it is the client's own."""
    return credentials.assertion is None or await client_assertion.is_sound(server, client, credentials.assertion, origin)


def claimed_client_id(params: Params, authorization: str | None) -> str:
    """Return the client_id that a request names, not authenticated, to count its requests: never a secret, empty where none can be read."""
    try:
        return (_read_credentials(params, authorization).client_id or "")[:_MOST_NAME]
    except OAuthError:
        return ""


def _refusal(client: Client | None, method: str) -> OAuthError:
    """Make the error: an app that uses another method than its registered one gets its name, all other errors are the same."""
    basic = method == auth_methods.BASIC
    if client is None or auth_methods.is_same(method, client.auth_method):
        return invalid_client(_REFUSED, basic=basic)
    if client.is_public:
        return invalid_client("this client has no secret or key (none): send its client_id alone", basic=basic)
    expected_method = (
        " or ".join(sorted(auth_methods.SECRET_METHODS)) if client.auth_method in auth_methods.SECRET_METHODS else client.auth_method
    )
    return invalid_client(f"this client authenticates with {expected_method}", basic=basic)


def _read_credentials(params: Params, authorization: str | None) -> _ClientCredentials:
    """Read the one method by which the client authenticates; two at once are refused (RFC 6749 section 2.3)."""
    ways = [
        authorization is not None,
        params.get("client_secret") is not None,
        params.get("client_assertion") is not None or params.get("client_assertion_type") is not None,
    ]
    if sum(ways) > 1:
        raise invalid_request("use one way of client authentication only")
    if authorization is not None and "\n" in authorization:
        raise invalid_request("the Authorization header came more than once")
    if authorization is not None:
        client_id, client_secret = _basic(authorization)
        if params.get("client_id") not in (None, client_id):
            raise invalid_request("client_id differs from the one in Authorization")
        return _ClientCredentials(client_id, auth_methods.BASIC, client_secret)
    if ways[2]:
        claimed_client_id = client_assertion.claimed_client(params)
        if params.get("client_id") not in (None, claimed_client_id):
            raise invalid_request("client_id differs from the assertion's")
        return _ClientCredentials(claimed_client_id, auth_methods.PRIVATE_KEY_JWT, assertion=params.need("client_assertion"))
    secret = params.get("client_secret")
    method = auth_methods.NONE if secret is None else auth_methods.POST
    return _ClientCredentials(params.get("client_id"), method, secret)


def _basic(authorization: str) -> tuple[str, str]:
    """Read HTTP Basic, whose two halves are form-encoded first (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (ValueError, binascii.Error, UnicodeDecodeError):
        decoded = ""
    client_id, colon, secret = decoded.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise invalid_client("the Authorization header cannot be read", basic=True)
    return unquote_plus(client_id), unquote_plus(secret)
