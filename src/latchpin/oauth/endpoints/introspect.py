"""The introspection endpoint (RFC 7662): whether a token is active now, for its client or for the server it is meant for.

Unknown, expired and revoked tokens and those for others get the same response: `{"active": false}` (section 2.2).
"""

from __future__ import annotations

from typing import Any

from litestar import Response, post, route
from litestar.enums import HttpMethod
from sqlalchemy import select

from latchpin.identity import active_grant, bearer, credentials, dpop, scopes
from latchpin.identity.active_grant import ActiveGrant
from latchpin.identity.credentials import PREFIX as API_KEY
from latchpin.identity.scopes import ALL, serialize
from latchpin.identity.verified import RejectedCredential, admits
from latchpin.kit import clock
from latchpin.oauth import issue
from latchpin.oauth.authorization_server import AnyRequest
from latchpin.oauth.clients import Client
from latchpin.oauth.endpoints import client_request
from latchpin.oauth.endpoints.client_request import ClientRequest
from latchpin.oauth.endpoints.responses import json_response, preflight
from latchpin.oauth.errors import invalid_client
from latchpin.storage.models import OAuthGrant, OAuthResource, RefreshToken

PATH = "/api/oauth/introspect"
_INACTIVE = {"active": False}
_CLAIMS = (
    *("iss", "aud", "sub", "client_id", "exp", "iat", "jti", "sid", "auth_time"),
    *("cnf", "org", "role", "space", "spaces", "spaces_omitted", "spaces_digest", "spaces_uri"),
)


@post(PATH, status_code=200)
async def introspect(request: AnyRequest) -> Response[bytes]:
    """Return the state of a token, to the confidential client that owns it, or (API keys too) to the resource server that received it.

    The state of an API key is returned to resource servers of its organization. A key that is bound to networks is active only where the
    optional parameter `client_address` (section 2.1) names an allowed one, and so is a token that it was exchanged for.
    """
    oauth_request = await client_request.read(request)
    generation = await oauth_request.server.now()
    client = await oauth_request.client(generation)
    if client.is_public:
        raise invalid_client("introspection is for clients that prove themselves")
    if client.organization_id is None:  # anybody can register one
        await oauth_request.count("introspect", oauth_request.server.settings.rate_limit)
    token = oauth_request.params.need("token")
    if token.startswith(API_KEY):
        return json_response(await _api_key(oauth_request, client, token, generation))
    if token.startswith(issue.REFRESH_PREFIX):
        return json_response(await _refresh_token(oauth_request, client, token))
    return json_response(await _access_token(oauth_request, client, token, generation))


@route(PATH, http_method=[HttpMethod.OPTIONS])
async def introspect_preflight() -> Response[bytes]:
    """Let other sites' pages ask."""
    return preflight("POST")


async def _access_token(oauth_request: ClientRequest, client: Client, token: str, generation: int) -> dict[str, Any]:
    result = await oauth_request.server.tokens.read(token.encode(), generation)
    if isinstance(result, RejectedCredential):
        return _INACTIVE
    claims, active = result
    if claims["client_id"] != client.client_id and not await _is_for(oauth_request, client, claims, active):
        return _INACTIVE
    public_claims = {name: claims[name] for name in _CLAIMS if name in claims}
    kind = "Bearer" if bearer.thumbprint(claims) is None else dpop.SCHEME  # RFC 9449 section 6.2: the caller must check the proof
    return {"active": True, "token_type": kind, **public_claims, "scope": _active_scope(claims, active)}


async def _is_for(oauth_request: ClientRequest, client: Client, claims: dict[str, Any], active: ActiveGrant) -> bool:
    """Whether the client is the server of a resource that the token is for, in the same organization."""
    if client.resource_id is None or client.organization_id != active.principal.organization_id:
        return False
    if not admits(active.networks, oauth_request.params.get("client_address")):
        return False  # of an exchanged key, which its tokens reach no further than
    async with oauth_request.server.database.read() as session:
        identifier = await session.scalar(select(OAuthResource.identifier).where(OAuthResource.id == client.resource_id))
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    return identifier is not None and any(isinstance(each, str) and each.rstrip("/") == identifier.rstrip("/") for each in audiences)


def _active_scope(claims: dict[str, Any], active: ActiveGrant) -> str:
    """Return the token's scopes without those that its grant does not have any more."""
    active_scopes = {scope.value for scope in active.principal.scopes}
    return scopes.ordered(word for word in str(claims.get("scope", "")).split() if word not in ALL or word in active_scopes)


async def _refresh_token(oauth_request: ClientRequest, client: Client, token: str) -> dict[str, Any]:
    """Check a refresh token, for its own client only."""
    async with oauth_request.server.database.read() as session:
        row = await session.scalar(
            select(RefreshToken)
            .join(OAuthGrant, OAuthGrant.id == RefreshToken.grant_id)
            .where(RefreshToken.digest == credentials.token_digest(token), OAuthGrant.oauth_client_id == client.pk)
        )
        if row is None or row.used_at is not None or row.expires_at <= clock.now():
            return _INACTIVE
        active = await active_grant.by_id(session, row.grant_id, oauth_request.server.settings)
    if not isinstance(active, ActiveGrant):
        return _INACTIVE
    return {
        "active": True,
        "iss": oauth_request.server.issuer,
        "sub": active.subject,
        "client_id": active.client_id,
        "scope": scopes.ordered(active.granted),
        "exp": int(row.expires_at.timestamp()),
        "iat": int(row.created_at.timestamp()),
        "sid": active.sid,
    }


async def _api_key(oauth_request: ClientRequest, client: Client, token: str, generation: int) -> dict[str, Any]:
    """Check an API key, for a resource server of the key's own organization only."""
    if client.resource_id is None or client.organization_id is None:
        return _INACTIVE
    keys, secret = oauth_request.server.keys, token.encode()
    verification = keys.cached(secret, generation) or await keys.look_up(secret, generation)
    if isinstance(verification, RejectedCredential):
        oauth_request.server.activity.refused(verification, oauth_request.origin)
        return _INACTIVE
    principal = verification.principal
    if principal.organization_id != client.organization_id or not verification.admits(oauth_request.params.get("client_address")):
        return _INACTIVE
    oauth_request.server.activity.used_at(f"POST {PATH}", principal, verification.limiter_key, oauth_request.origin)
    return {
        "active": True,
        "token_type": "ApiKey",
        "iss": oauth_request.server.issuer,
        "sub": str(principal.user_id),
        "username": principal.email,
        "scope": serialize(principal.scopes),
        "exp": int(verification.expires_at),
        "org": principal.organization_id,
        "role": principal.group.value,
    }
