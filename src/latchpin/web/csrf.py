"""Refuses changes that do not come from our own pages. This needs no hidden field and no token; the session cookie is SameSite too."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from latchpin import services
from latchpin.errors import Denied
from latchpin.kit import context, same_origin

_REFUSED = (
    "This was not sent from a page of this Control Center, so nothing was changed. Open the page here and repeat it. "
    "If you operate it: LATCHPIN_PUBLIC_URL must be the address in the browser."
)


async def require_own_page(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Refuse a changing request that did not come from our own pages (a Litestar guard on all pages)."""
    headers = context.of(connection.scope).request_headers
    if not same_origin.may_change(str(connection.scope.get("method")), headers, same_origin.own_origins(services.of(connection).settings)):
        raise Denied(_REFUSED, code="cross_site")


async def refuse_other_sites(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Refuse a changing request where the browser says that another site sent it; for forms with a one-time token of ours.

    The pages of these forms send no referrer, so browsers without Sec-Fetch-Site send `Origin: null`. For them the token decides.
    """
    headers = context.of(connection.scope).request_headers
    origin_unknown = b"sec-fetch-site" not in headers and headers.get(b"origin", b"null") == b"null"
    if not origin_unknown and not same_origin.may_change(
        str(connection.scope.get("method")), headers, same_origin.own_origins(services.of(connection).settings)
    ):
        raise Denied(_REFUSED, code="cross_site")
