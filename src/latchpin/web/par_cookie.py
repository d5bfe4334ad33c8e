"""The cookie that binds a pushed authorization request to the first browser that used it; its secret alone grants no access."""

from __future__ import annotations

import re

from litestar.datastructures import Cookie

from latchpin import services
from latchpin.identity import credentials
from latchpin.kit import cookie_names
from latchpin.oauth import authorization_request as requests
from latchpin.oauth import authorization_server, par
from latchpin.oauth.par import PushedAuthorizationRequest
from latchpin.services import AnyRequest
from latchpin.settings import Settings
from latchpin.web import cookies

_SECRET = re.compile(r"[0-9A-Za-z]{43}")


async def find(request: AnyRequest, encoded: bytes) -> PushedAuthorizationRequest:
    """Return the request that this browser continues at an address with these parameters; raises OAuthError, Unavailable."""
    server = services.of(request)
    client = await requests.named_client(server, encoded, await server.now(), authorization_server.origin_of(request))
    async with server.database.read() as session:
        return await par.find(session, requests.reference(encoded), client, _from_cookie(request))


def secret(request: AnyRequest) -> str:
    """Return this browser's secret, a new one where it has none; all of its windows share one."""
    existing = _from_cookie(request)
    return existing if _SECRET.fullmatch(existing) else credentials.new_token()


def cookie(settings: Settings, text: str) -> Cookie:
    """The cookie with the browser's secret; it lives as long as the request that it was set for."""
    return cookies.lasting(settings, _name(settings), text, int(par.CONTINUATION.total_seconds()))


def _from_cookie(request: AnyRequest) -> str:
    return request.cookies.get(_name(services.of(request).settings), "")


def _name(settings: Settings) -> str:
    return cookie_names.of(settings, "par")
