"""What the endpoints that clients call directly have in common: the form is read, the request counted, the client proved."""

from __future__ import annotations

from dataclasses import dataclass, replace

from latchpin.audit import Origin
from latchpin.kit import context, households, rate_limit
from latchpin.oauth import client_auth, params, server
from latchpin.oauth.clients import Client
from latchpin.oauth.params import Params
from latchpin.oauth.server import AnyRequest, AuthorizationServer

_WINDOW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Asking:
    """A request at an endpoint, its client not yet proved."""

    serving: AuthorizationServer
    params: Params
    authorization: str | None
    came_from: Origin

    async def limited(self, what: str, limit: int) -> None:
        """Count the request against its client and address before any secret is looked at; raises Throttled beyond `limit` a minute.

        The client is who it says it is: whoever lies pays for another, but from their own address only.
        """
        named = client_auth.claimed(self.params, self.authorization)
        key = f"{what}:{named}|{households.of(self.came_from.address)}"
        detail = "too many requests of this client; wait {left} seconds"
        await rate_limit.require(self.serving.counter, key, seconds=_WINDOW_SECONDS, most=limit, detail=detail)

    async def client(self, generation: int) -> Client:
        """Return the client, proved by its registered method; raises OAuthError, Throttled."""
        return await client_auth.authenticate(self.serving, self.params, self.authorization, generation, self.came_from)


async def read(request: AnyRequest) -> Asking:
    """Read a posted form; raises OAuthError for what is none."""
    form = params.form(request.headers.get("content-type", ""), await request.body())
    seen = context.of(request.scope).seen  # as it came: two headers are two lines, so that neither is overlooked
    authorization, page = seen.get(b"authorization"), seen.get(b"origin")
    if page is not None:
        form = replace(form, page=page.decode("latin-1"))
    return Asking(server.of(request), form, None if authorization is None else authorization.decode("latin-1"), server.origin(request))
