"""The token endpoint (RFC 6749 section 3.2): a client proves itself and trades a grant for tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from litestar import Response, post, route
from litestar.enums import HttpMethod

from latchpin.audit import Origin
from latchpin.errors import Throttled
from latchpin.kit import clock, households
from latchpin.oauth import client_auth, params, server
from latchpin.oauth.clients import Client
from latchpin.oauth.endpoints.answers import json_answer, preflight
from latchpin.oauth.errors import OAuthError, unauthorized_client
from latchpin.oauth.grants import authorization_code, client_credentials, refresh_token
from latchpin.oauth.issue import Answer
from latchpin.oauth.params import Params
from latchpin.oauth.server import AnyRequest, AuthorizationServer

PATH = "/api/oauth/token"
_WINDOW_SECONDS = 60
Grant = Callable[[AuthorizationServer, Client, Params, Origin], Awaitable[Answer | OAuthError]]
GRANTS: dict[str, Grant] = {
    authorization_code.NAME: authorization_code.redeem,
    refresh_token.NAME: refresh_token.redeem,
    client_credentials.NAME: client_credentials.redeem,
}


@post(PATH, status_code=200)
async def token(request: AnyRequest) -> Response[bytes]:
    """Issue tokens; errors as RFC 6749 section 5.2."""
    serving, came_from = server.of(request), server.origin(request)
    asked = params.form(request.headers.get("content-type", ""), await request.body())
    grant_type = asked.need("grant_type")
    grant = GRANTS.get(grant_type)
    if grant is None:
        raise OAuthError("unsupported_grant_type", f"known grant types: {' '.join(GRANTS)}")
    generation = await serving.now()
    await _limit(serving, request, asked, came_from)
    client = await client_auth.authenticate(serving, asked, request.headers.get("authorization"), generation, came_from)
    if grant_type not in client.grant_types:
        raise unauthorized_client(f"this client may not use {grant_type}")
    answer = await grant(serving, client, asked, came_from)
    if isinstance(answer, OAuthError):
        raise answer  # after the grant's transaction: what had to outlive the refusal is committed
    return json_answer(answer)


@route(PATH, http_method=[HttpMethod.OPTIONS], status_code=204)
async def token_preflight() -> Response[bytes]:
    """Let other sites' pages ask."""
    return preflight("POST")


async def _limit(serving: AuthorizationServer, request: AnyRequest, asked: Params, came_from: Origin) -> None:
    """Count the request against its client and address, before any secret is looked at; raises Throttled."""
    named = asked.get("client_id") or request.headers.get("authorization", "")[:300]
    window = await serving.counter.hit(f"token:{named[:500]}|{households.of(came_from.address)}", _WINDOW_SECONDS)
    if window.count > serving.settings.token_limit:
        left = window.seconds_left(clock.timestamp())
        raise Throttled(f"too many requests of this client; wait {left} seconds", retry_after=left)
