"""The pushed authorization request endpoint (RFC 9126 section 2): an app sends its request ahead, and gets a reference for the browser."""

from __future__ import annotations

from litestar import Response, post, route
from litestar.enums import HttpMethod

from latchpin.oauth import authorization_request as requests
from latchpin.oauth import proving, pushed
from latchpin.oauth.endpoints import asking
from latchpin.oauth.endpoints.answers import json_answer, preflight
from latchpin.oauth.errors import invalid_request
from latchpin.oauth.server import AnyRequest

PATH = "/api/oauth/par"


@post(PATH, status_code=201)
async def push(request: AnyRequest) -> Response[bytes]:
    """Keep a request that the authorization endpoint would take; a bad one is refused at once, as RFC 6749 section 5.2 has it."""
    asked = await asking.read(request)
    serving = asked.serving
    generation = await serving.now()
    await asked.limited("pushed", serving.settings.token_limit)
    proof = proving.judge(request, serving)
    client = await asked.client(generation)
    if asked.params.get("request_uri") is not None:
        raise invalid_request("request_uri may not be sent ahead (RFC 9126 section 2.1)")
    requests.refuse_objects(asked.params)
    sent = await proving.bound_ahead(serving, client, asked.params, proof, asked.came_from)
    encoded = pushed.parameters(sent, client)
    requests.read(encoded.encode(), await requests.target(serving, encoded.encode(), generation, asked.came_from))
    await asked.require_room("pushed_requests", client)
    async with serving.database.transaction() as session:
        request_uri = await pushed.keep(session, client, encoded)
    told = {"request_uri": request_uri, "expires_in": int(pushed.LIFETIME.total_seconds())}
    return json_answer(told, status=201, headers=proving.answer_headers(serving, proof))


@route(PATH, http_method=[HttpMethod.OPTIONS])
async def push_preflight() -> Response[bytes]:
    """Let other sites' pages ask."""
    return preflight("POST")
