"""HEAD is GET without the body (RFC 9110 section 9.3.2), for every route that answers GET: API, pages, documents, health.

The layer stands between authentication and the routes. Authentication and the log see the method that was sent, and the routes see GET:
so a route can neither forget HEAD nor treat it as a change, and HEAD needs the same permission as GET. The response keeps the
Content-Length of the body.
"""

from __future__ import annotations

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """Wraps the routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != ScopeType.HTTP or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_response(message: Message) -> None:
            if message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        scope["method"] = "GET"
        try:
            await self._app(scope, receive, send_response)
        finally:
            scope["method"] = "HEAD"
