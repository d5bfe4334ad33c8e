"""Rate limits of the API's callers: counting, waiting for the next window, and the headers that report what is left.

The layer is inside authentication, which identifies the caller: a request with an invalid credential uses up nobody's limit.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Protocol

from litestar.types import ASGIApp, Receive, Scope, Send

from latchpin.errors import Throttled
from latchpin.kit import clock, context
from latchpin.kit.rate_limit import InProcess, InRedis, Queue, Window
from latchpin.settings import Settings

CALLER = "latchpin_caller"
_BODYLESS = frozenset({"GET", "HEAD"})
_LIMIT = b"x-ratelimit-limit"
_MOST_LIMITS = 1000  # whose headers are cached; each key may have a limit of its own


class Caller(Protocol):
    """The caller of a request, which authentication puts into the scope under CALLER; `rate_limit` None means the default one."""

    limiter_key: str
    rate_limit: int | None

    async def admit(self, *, waited: bool) -> None:
        """Accept a request that is within its limit; where it `waited`, raises if the caller has become invalid meanwhile."""


class RateLimitMiddleware:
    """Counts the requests of authenticated callers; makes those beyond the limit wait, or refuses them."""

    def __init__(self, app: ASGIApp, limiter: RateLimiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; raises Throttled, ClientGone, and what `Caller.admit` raises, which the layer around it handles."""
        caller: Caller | None = scope.get(CALLER)  # type: ignore[assignment]
        if caller is not None:
            request = context.of(scope)
            request.limiter_key = caller.limiter_key
            watched = receive if request.method in _BODYLESS else None
            await caller.admit(waited=await self._limiter.count(caller.limiter_key, caller.rate_limit, request, watched))
        await self._app(scope, receive, send)


class RateLimiter:
    """Counts one process's requests; the window is the same for every caller."""

    def __init__(self, counter: InProcess | InRedis, settings: Settings) -> None:
        self._counter = counter
        self._queue = Queue(settings.rate_limit_queue, settings.rate_limit_queue_seconds)
        self._limit = settings.rate_limit
        self._seconds = settings.rate_limit_window_seconds
        self._window_header = (b"x-ratelimit-window-seconds", str(self._seconds).encode())
        self._headers_by_limit: dict[int, tuple[tuple[bytes, bytes], ...]] = {}

    @property
    def default_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The headers of a response to a caller who was not counted."""
        return (_LIMIT, b"%d" % self._limit), self._window_header

    def has_headers(self, request: context.RequestContext) -> bool:
        """Whether the request's response already has the rate limit headers."""
        return any(name == _LIMIT for name, _ in request.headers)

    async def count(self, limiter_key: str, own: int | None, request: context.RequestContext, watched: Receive | None) -> bool:
        """Count a request against its caller's own limit, else the default; returns whether it waited in the queue, or raises Throttled.

        `watched` receives the disconnect of a client that hangs up while it waits, which raises ClientGone.
        """
        limit = own or self._limit
        waited = False
        counter = self._counter
        window = (
            counter.hit_now(limiter_key, self._seconds) if isinstance(counter, InProcess) else await counter.hit(limiter_key, self._seconds)
        )
        while window.count > limit:
            if not await self._queue.wait(limiter_key, window.ends, partial(_hung_up, watched)):
                self._add_headers(request, limit, window)
                raise Throttled(
                    f"This credential may make {limit} requests in {self._seconds} seconds. Wait as Retry-After says.",
                    retry_after=window.seconds_left(clock.monotonic()),
                )
            waited = True
            window = await counter.hit(limiter_key, self._seconds)
        self._add_headers(request, limit, window)
        return waited

    def _add_headers(self, request: context.RequestContext, limit: int, window: Window) -> None:
        """Add the rate limit headers (the contract's, and RateLimit of the IETF httpapi draft)."""
        fixed = self._headers_by_limit.get(limit)
        if fixed is None:
            if len(self._headers_by_limit) >= _MOST_LIMITS:
                self._headers_by_limit.clear()
            fixed = self._headers_by_limit[limit] = (
                (_LIMIT, b"%d" % limit),
                self._window_header,
                (b"ratelimit-policy", b'"default";q=%d;w=%d' % (limit, self._seconds)),
            )
        left = window.seconds_left(clock.monotonic())
        request.headers += (*fixed, (b"ratelimit", b'"default";r=%d;t=%d' % (max(0, limit - window.count), left)))


async def _hung_up(watched: Receive | None) -> None:
    """Return when the client has hung up. A request with a body is not watched: that would take the body away from the route."""
    if watched is None:
        await asyncio.Event().wait()  # until the wait is over and this task is cancelled
    else:
        while (await watched())["type"] != "http.disconnect":
            pass
