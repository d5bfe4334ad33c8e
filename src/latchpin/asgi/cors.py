"""Lets pages of other sites call the API with a token and read the response (Fetch, CORS protocol); never with a cookie."""

from __future__ import annotations

from litestar.types import ASGIApp, Receive, Scope, Send

from latchpin.asgi import authorization_header, refusals
from latchpin.asgi.authorization_header import AUTHORIZATION
from latchpin.asgi.rate_limit import RateLimiter
from latchpin.errors import LatchpinError
from latchpin.identity import sessions
from latchpin.kit import client_subnet, context, cors
from latchpin.settings import Settings

_API = "/api/v1"
_PREFLIGHT = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
    (b"access-control-allow-headers", cors.REQUEST_HEADERS.encode()),
    (b"access-control-max-age", cors.PREFLIGHT_SECONDS.encode()),
    (b"content-length", b"0"),
)
_READABLE = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"www-authenticate, dpop-nonce, retry-after, ratelimit, ratelimit-policy, x-request-id"),
)


class CorsMiddleware:
    """Answers preflight requests, and lets scripts read responses to requests with a token; ignores requests without Origin."""

    def __init__(self, app: ASGIApp, settings: Settings, limiter: RateLimiter) -> None:
        self._app = app
        self._limiter = limiter
        self._public_url = settings.public_url
        self._cookie = sessions.cookie_name(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        request: context.RequestContext | None = scope.get(context.KEY)  # type: ignore[assignment]
        if request is None or b"origin" not in request.request_headers or not scope["path"].startswith(_API):
            await self._app(scope, receive, send)
            return
        try:
            authorization = authorization_header.read(request.request_headers, scope["query_string"], self._cookie)
        except LatchpinError:  # a credential in a wrong place, which authentication records and answers
            await self._app(scope, receive, send)
            return
        scope[AUTHORIZATION] = authorization  # type: ignore[literal-required]
        if request.method == "OPTIONS":
            await self._answer_preflight(request, scope, send)
            return
        if authorization.bearer is not None:
            request.headers += _READABLE
        await self._app(scope, receive, send)

    async def _answer_preflight(self, request: context.RequestContext, scope: Scope, send: Send) -> None:
        """Answer a browser's preflight request for another site's page, within the limit of its address."""
        try:
            await self._limiter.count(f"preflight:{client_subnet.of(request.address)}", None, request, None)
        except LatchpinError as error:
            await refusals.send_refusal(error, scope, send, self._limiter, self._public_url)
            return
        await send({"type": "http.response.start", "status": 204, "headers": list(_PREFLIGHT)})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
