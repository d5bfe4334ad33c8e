"""The revocation endpoint (RFC 7009): an app gives back what it does not need any more."""

from __future__ import annotations

from litestar import Response, post, route
from litestar.enums import HttpMethod

from latchpin.audit import Actor
from latchpin.identity.credentials import PREFIX as API_KEY
from latchpin.identity.verified import RejectedCredential
from latchpin.oauth import issue, revocation
from latchpin.oauth.authorization_server import AnyRequest, AuthorizationServer, actor
from latchpin.oauth.clients import Client
from latchpin.oauth.endpoints import client_request
from latchpin.oauth.endpoints.responses import json_response, preflight
from latchpin.oauth.errors import OAuthError

PATH = "/api/oauth/revoke"


@post(PATH, status_code=200)
async def revoke(request: AnyRequest) -> Response[bytes]:
    """Revoke a refresh token or an access token of the asking client.

    Unknown tokens and those of others get the same 200 (section 2.2), so that nobody learns which token exists; nothing happens then.
    `token_type_hint` is not needed: our tokens tell themselves apart.
    """
    oauth_request = await client_request.read(request)
    server, token = oauth_request.server, oauth_request.params.need("token")
    generation = await server.now()
    await oauth_request.count("revoke", server.settings.rate_limit)
    client = await oauth_request.client(generation)
    by = actor(client, oauth_request.origin)
    if token.startswith(API_KEY):
        raise OAuthError("unsupported_token_type", "API keys are revoked in the Control Center, under Users, Manage API keys")
    if token.startswith(issue.REFRESH_PREFIX):
        async with server.database.transaction() as session:
            await revocation.of_refresh_token(session, client, token, by=by)
    else:
        await _access_token(server, client, token, generation, by)
    return json_response({})


@route(PATH, http_method=[HttpMethod.OPTIONS])
async def revoke_preflight() -> Response[bytes]:
    """Let other sites' pages ask."""
    return preflight("POST")


async def _access_token(server: AuthorizationServer, client: Client, token: str, generation: int, by: Actor) -> None:
    result = await server.tokens.read(token.encode(), generation)
    if isinstance(result, RejectedCredential) or result[1].client_id != client.client_id:
        return
    claims, active = result
    async with server.database.transaction() as session:
        await revocation.of_access_token(session, active, jti=str(claims["jti"]), expires=float(claims["exp"]), by=by)
