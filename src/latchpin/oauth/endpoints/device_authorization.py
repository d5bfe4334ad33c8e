"""The device authorization endpoint (RFC 8628 section 3.1): a device without a browser begins, and a person goes on elsewhere."""

from __future__ import annotations

from urllib.parse import urlencode

from litestar import Response, post, route
from litestar.enums import HttpMethod
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity.scopes import ordered
from latchpin.oauth import client_admin, device_codes, resources, scope
from latchpin.oauth.authorization_server import AnyRequest
from latchpin.oauth.clients import Client
from latchpin.oauth.endpoints import client_request
from latchpin.oauth.endpoints.client_request import ClientRequest
from latchpin.oauth.endpoints.responses import json_response, preflight
from latchpin.oauth.errors import unauthorized_client

PATH = "/api/oauth/device_authorization"
VERIFICATION = "/device"  # the page where a person types the code


@post(PATH, status_code=200)
async def device_authorization(request: AnyRequest) -> Response[bytes]:
    """Give a device its two codes (section 3.2); errors as RFC 6749 section 5.2."""
    oauth_request = await client_request.read(request)
    server = oauth_request.server
    generation = await server.now()
    await oauth_request.count("device", server.settings.token_limit)
    client = await oauth_request.client(generation)
    if client_admin.DEVICE not in client.grant_types:
        raise unauthorized_client(f"this client may not use {client_admin.DEVICE}")
    scopes = ordered(
        scope.requested_scopes(oauth_request.params.get("scope"), client.scopes, offline="refresh_token" in client.grant_types)
    )
    await oauth_request.require_room("device_codes", client)
    async with server.database.transaction() as session:
        resource = await _resource(session, oauth_request, client)
        created_code = await device_codes.create(
            session, client, scopes=scopes, resource=resource, address=oauth_request.origin.address, secrets=server.secrets
        )
    page = server.issuer + VERIFICATION
    return json_response(
        {
            "device_code": created_code.device_code,
            "user_code": created_code.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?{urlencode({'user_code': created_code.user_code})}",
            "expires_in": int(device_codes.LIFETIME.total_seconds()),
            "interval": created_code.row.interval_seconds,
        }
    )


@route(PATH, http_method=[HttpMethod.OPTIONS])
async def device_authorization_preflight() -> Response[bytes]:
    """Let other sites' pages ask."""
    return preflight("POST")


async def _resource(session: AsyncSession, oauth_request: ClientRequest, client: Client) -> str:
    """Check the requested resources; for a client without an organization, this is done when the user is known."""
    if client.organization_id is not None:
        return await resources.validate(session, oauth_request.params.resources, client.organization_id, oauth_request.server.settings)
    resources.require_form(oauth_request.params.resources)
    return " ".join(oauth_request.params.resources)
