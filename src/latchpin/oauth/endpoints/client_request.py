"""What the endpoints that clients call directly have in common: read the form, count the request, authenticate the client."""

from __future__ import annotations

from dataclasses import dataclass, replace

from latchpin.audit import Origin
from latchpin.kit import context
from latchpin.oauth import authorization_server, client_auth, params, request_limits
from latchpin.oauth.authorization_server import AnyRequest, AuthorizationServer
from latchpin.oauth.clients import Client
from latchpin.oauth.params import Params


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A request at an endpoint, its client not yet authenticated."""

    server: AuthorizationServer
    params: Params
    authorization: str | None
    origin: Origin

    async def count(self, what: str, limit: int) -> None:
        """Count the request against its client and its subnet before any secret is looked at; raises Throttled (request_limits)."""
        client_id = client_auth.claimed_client_id(self.params, self.authorization)
        await request_limits.count_request(self.server, what, client_id, self.origin.address, most=limit)

    async def require_room(self, rows: str, client: Client) -> None:
        """Count a row that the request leaves, where anybody can leave one; raises Throttled.

        Not needed for an authenticated app that an administrator registered: the limit of its requests is enough.
        """
        if client.is_public or client.organization_id is None:
            await request_limits.require_room(self.server, rows, self.origin.address)

    async def client(self, generation: int) -> Client:
        """Return the client, authenticated by its registered method; raises OAuthError, Throttled."""
        return await client_auth.authenticate(self.server, self.params, self.authorization, generation, self.origin)


async def read(request: AnyRequest) -> ClientRequest:
    """Read a posted form; raises OAuthError for anything else."""
    form = params.form(request.headers.get("content-type", ""), await request.body())
    headers = context.of(request.scope).request_headers  # as it came: two headers are two lines, so that neither is overlooked
    authorization, page = headers.get(b"authorization"), headers.get(b"origin")
    if page is not None:
        form = replace(form, page=page.decode("latin-1"))
    return ClientRequest(
        authorization_server.of(request),
        form,
        None if authorization is None else authorization.decode("latin-1"),
        authorization_server.origin_of(request),
    )
