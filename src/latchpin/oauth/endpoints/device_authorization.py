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
    asked = await client_request.read(request)
    server = asked.server
    generation = await server.now()
    await asked.limited("device", server.settings.token_limit)
    client = await asked.client(generation)
    if client_admin.DEVICE not in client.grant_types:
        raise unauthorized_client(f"this client may not use {client_admin.DEVICE}")
    wanted = ordered(scope.asked(asked.params.get("scope"), client.scopes, offline="refresh_token" in client.grant_types))
    await asked.require_room("device_codes", client)
    async with server.database.transaction() as session:
        resource = await _resource(session, asked, client)
        made = await device_codes.create(
            session, client, scopes=wanted, resource=resource, address=asked.origin.address, secrets=server.secrets
        )
    page = server.issuer + VERIFICATION
    return json_response(
        {
            "device_code": made.device_code,
            "user_code": made.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?{urlencode({'user_code': made.user_code})}",
            "expires_in": int(device_codes.LIFETIME.total_seconds()),
            "interval": made.row.interval_seconds,
        }
    )


@route(PATH, http_method=[HttpMethod.OPTIONS])
async def device_authorization_preflight() -> Response[bytes]:
    """Let other sites' pages ask."""
    return preflight("POST")


async def _resource(session: AsyncSession, asked: ClientRequest, client: Client) -> str:
    """Check the resources asked for; for a client of no organization their organization is known only with the person, so then."""
    if client.organization_id is not None:
        return await resources.checked(session, asked.params.resources, client.organization_id, asked.server.settings)
    resources.require_form(asked.params.resources)
    return " ".join(asked.params.resources)
