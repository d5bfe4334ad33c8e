"""The revocation endpoint (RFC 7009): an app gives back what it does not need any more."""

from __future__ import annotations

from litestar import Response, post, route
from litestar.enums import HttpMethod

from latchpin.audit import Actor
from latchpin.identity.credentials import PREFIX as API_KEY
from latchpin.identity.verified import Refused
from latchpin.oauth import issue, revocation
from latchpin.oauth.clients import Client
from latchpin.oauth.endpoints import asking
from latchpin.oauth.endpoints.answers import json_answer, preflight
from latchpin.oauth.errors import OAuthError
from latchpin.oauth.server import AnyRequest, AuthorizationServer, acting

PATH = "/api/oauth/revoke"


@post(PATH, status_code=200)
async def revoke(request: AnyRequest) -> Response[bytes]:
    """Revoke a refresh token or an access token of the asking client.

    Unknown tokens and those of others get the same 200 (section 2.2), so that nobody learns which token exists; nothing happens then.
    `token_type_hint` is not needed: our tokens tell themselves apart.
    """
    asked = await asking.read(request)
    serving, token = asked.serving, asked.params.need("token")
    generation = await serving.now()
    await asked.limited("revoke", serving.settings.rate_limit)
    client = await asked.client(generation)
    by = acting(client, asked.came_from)
    if token.startswith(API_KEY):
        raise OAuthError("unsupported_token_type", "API keys are revoked in the Control Center, under Users, Manage API keys")
    if token.startswith(issue.REFRESH_PREFIX):
        async with serving.database.transaction() as session:
            await revocation.of_refresh_token(session, client, token, by=by)
    else:
        await _access_token(serving, client, token, generation, by)
    return json_answer({})


@route(PATH, http_method=[HttpMethod.OPTIONS])
async def revoke_preflight() -> Response[bytes]:
    """Let other sites' pages ask."""
    return preflight("POST")


async def _access_token(serving: AuthorizationServer, client: Client, token: str, generation: int, by: Actor) -> None:
    found = await serving.tokens.read(token.encode(), generation)
    if isinstance(found, Refused) or found[1].client_id != client.client_id:
        return
    claims, stands = found
    async with serving.database.transaction() as session:
        await revocation.of_access_token(session, stands, jti=str(claims["jti"]), expires=float(claims["exp"]), by=by)
