"""The pushed authorization request endpoint (RFC 9126 section 2): an app pushes its request, and gets a reference for the browser."""

from __future__ import annotations

from litestar import Response, post, route
from litestar.enums import HttpMethod

from latchpin.oauth import authorization_request as requests
from latchpin.oauth import dpop_binding, par
from latchpin.oauth.authorization_server import AnyRequest
from latchpin.oauth.endpoints import client_request
from latchpin.oauth.endpoints.responses import json_response, preflight
from latchpin.oauth.errors import invalid_request

PATH = "/api/oauth/par"


@post(PATH, status_code=201)
async def push(request: AnyRequest) -> Response[bytes]:
    """Store a request that the authorization endpoint would accept; a bad one is refused at once, as RFC 6749 section 5.2 has it."""
    oauth_request = await client_request.read(request)
    server = oauth_request.server
    generation = await server.now()
    await oauth_request.count("pushed", server.settings.token_limit)
    proof = dpop_binding.verify(request, server)
    client = await oauth_request.client(generation)
    if oauth_request.params.get("request_uri") is not None:
        raise invalid_request("request_uri may not be sent ahead (RFC 9126 section 2.1)")
    requests.refuse_objects(oauth_request.params)
    params = await dpop_binding.bind_pushed(server, client, oauth_request.params, proof, oauth_request.origin)
    encoded = par.parameters(params, client)
    requests.read(encoded.encode(), await requests.target(server, encoded.encode(), generation, oauth_request.origin))
    await oauth_request.require_room("pushed_requests", client)
    async with server.database.transaction() as session:
        request_uri = await par.save(session, client, encoded)
    body = {"request_uri": request_uri, "expires_in": int(par.LIFETIME.total_seconds())}
    return json_response(body, status=201, headers=dpop_binding.response_headers(server, proof))


@route(PATH, http_method=[HttpMethod.OPTIONS])
async def push_preflight() -> Response[bytes]:
    """Let other sites' pages ask."""
    return preflight("POST")
