"""Refuses changes that our own pages did not ask for, by the headers browsers cannot be made to forge.

Sec-Fetch-Site decides where the browser sends it (HTTPS and loopback), else Origin does; a request with neither is refused. No hidden
field and no token is needed, and the session cookie is SameSite besides.
"""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from latchpin.errors import Denied
from latchpin.settings import Settings
from latchpin.web.site import STATE, Site

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED = "This was not sent from a page of this Control Center, so nothing was changed. Open the page here and repeat it."


def own_origins(settings: Settings) -> frozenset[str]:
    """The origins of our own pages: the public address, and both names of the loopback address where it is one."""
    origins = {settings.public_url}
    for one, other in (("//127.0.0.1", "//localhost"), ("//localhost", "//127.0.0.1")):
        if one in settings.public_url:
            origins.add(settings.public_url.replace(one, other))
    return frozenset(origins)


async def require_own_page(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Refuse a changing request that did not come from our own pages (a Litestar guard on all pages)."""
    if connection.scope.get("method") in _SAFE:
        return
    fetch_site = connection.headers.get("sec-fetch-site")
    site: Site = connection.app.state[STATE]
    origin = connection.headers.get("origin")
    own = fetch_site == "same-origin" if fetch_site else origin in own_origins(site.settings)
    if not own:
        raise Denied(_REFUSED, code="cross_site")
