"""The token endpoint (RFC 6749 section 3.2): a client authenticates and exchanges a grant for tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import ModuleType

from litestar import Response, post, route
from litestar.enums import HttpMethod

from latchpin.audit import Origin
from latchpin.oauth import dpop_binding
from latchpin.oauth.authorization_server import AnyRequest, AuthorizationServer
from latchpin.oauth.clients import Client
from latchpin.oauth.endpoints import client_request
from latchpin.oauth.endpoints.responses import json_response, preflight
from latchpin.oauth.errors import OAuthError, unauthorized_client
from latchpin.oauth.grants import authorization_code, client_credentials, device_code, refresh_token, token_exchange
from latchpin.oauth.issue import TokenResponse
from latchpin.oauth.params import Params

PATH = "/api/oauth/token"
Grant = Callable[[AuthorizationServer, Client, Params, Origin], Awaitable[TokenResponse | OAuthError]]


def _in_transaction(grant: ModuleType) -> Grant:
    """Redeem what one transaction uses up: opened here, it commits what the grant returns, a refusal too, and undoes what it raises."""

    async def redeem(server: AuthorizationServer, client: Client, params: Params, origin: Origin) -> TokenResponse | OAuthError:
        params.need(grant.PARAMETER)
        await server.now()  # the signing keys are at hand before rows are locked
        async with server.database.transaction() as session:
            response: TokenResponse | OAuthError = await grant.redeem(server, session, client, params, origin)
        return response

    return redeem


GRANTS: dict[str, Grant] = {
    authorization_code.NAME: _in_transaction(authorization_code),
    refresh_token.NAME: _in_transaction(refresh_token),
    client_credentials.NAME: client_credentials.redeem,
    device_code.NAME: _in_transaction(device_code),
    token_exchange.NAME: token_exchange.redeem,
}


@post(PATH, status_code=200)
async def token(request: AnyRequest) -> Response[bytes]:
    """Issue tokens; errors as RFC 6749 section 5.2."""
    oauth_request = await client_request.read(request)
    server, grant_type = oauth_request.server, oauth_request.params.need("grant_type")
    grant = GRANTS.get(grant_type)
    if grant is None:
        raise OAuthError("unsupported_grant_type", f"known grant types: {' '.join(GRANTS)}")
    if grant_type == token_exchange.NAME:
        oauth_request = replace(oauth_request, params=token_exchange.with_client(oauth_request.params, oauth_request.authorization))
    generation = await server.now()
    await oauth_request.count("token", server.settings.token_limit)
    proof = dpop_binding.verify(request, server)
    client = await oauth_request.client(generation)
    if grant_type not in client.grant_types:
        raise unauthorized_client(f"this client may not use {grant_type}")
    jkt = await dpop_binding.use_proof(server, client, proof, oauth_request.origin)
    response = await grant(server, client, replace(oauth_request.params, jkt=jkt), oauth_request.origin)
    if isinstance(response, OAuthError):
        raise response  # after the grant's transaction: what had to outlive the refusal is committed
    return json_response(response, headers=dpop_binding.response_headers(server, proof))


@route(PATH, http_method=[HttpMethod.OPTIONS])
async def token_preflight() -> Response[bytes]:
    """Let other sites' pages ask."""
    return preflight("POST")
