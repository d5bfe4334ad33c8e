"""Rate limits of the API's callers: counting, waiting for the next window, and the headers that tell where a caller stands."""

from __future__ import annotations

import asyncio
from functools import partial

from litestar.types import Receive

from latchpin.errors import Throttled
from latchpin.kit import clock, context
from latchpin.kit.rate_limit import InProcess, InRedis, Queue, Window
from latchpin.settings import Settings

_LIMIT = b"x-ratelimit-limit"
_MOST_LIMITS = 1000  # whose headers are remembered; each key may have a limit of its own


class RateLimiter:
    """Counts one process's requests; the window is the same for every caller."""

    def __init__(self, counter: InProcess | InRedis, settings: Settings) -> None:
        self._counter = counter
        self._queue = Queue(settings.rate_limit_queue, settings.rate_limit_queue_seconds)
        self._limit = settings.rate_limit
        self._seconds = settings.rate_limit_window_seconds
        self._window_header = (b"x-ratelimit-window-seconds", str(self._seconds).encode())
        self._fixed: dict[int, tuple[tuple[bytes, bytes], ...]] = {}

    @property
    def usual(self) -> tuple[tuple[bytes, bytes], ...]:
        """The headers of an answer to somebody who was not counted."""
        return (_LIMIT, b"%d" % self._limit), self._window_header

    def has_told(self, request: context.RequestContext) -> bool:
        """Whether the request's answer tells the caller where it stands."""
        return any(name == _LIMIT for name, _ in request.headers)

    async def count(self, limiter_key: str, own: int | None, request: context.RequestContext, watched: Receive | None) -> bool:
        """Count a request against its caller's own limit, else the usual one; returns whether it waited in the queue, or raises Throttled.

        `watched` tells that the client has hung up while it waited, which raises ClientGone.
        """
        limit = own or self._limit
        waited = False
        counter = self._counter
        window = (
            counter.hit_now(limiter_key, self._seconds) if isinstance(counter, InProcess) else await counter.hit(limiter_key, self._seconds)
        )
        while window.count > limit:
            if not await self._queue.wait(limiter_key, window.ends, partial(_hung_up, watched)):
                self._tell(request, limit, window)
                raise Throttled(
                    f"This credential may make {limit} requests in {self._seconds} seconds. Wait as Retry-After says.",
                    retry_after=window.seconds_left(clock.monotonic()),
                )
            waited = True
            window = await counter.hit(limiter_key, self._seconds)
        self._tell(request, limit, window)
        return waited

    def _tell(self, request: context.RequestContext, limit: int, window: Window) -> None:
        """Tell the caller where it stands (the contract's headers, and RateLimit of the IETF httpapi draft)."""
        fixed = self._fixed.get(limit)
        if fixed is None:
            if len(self._fixed) >= _MOST_LIMITS:
                self._fixed.clear()
            fixed = self._fixed[limit] = (
                (_LIMIT, b"%d" % limit),
                self._window_header,
                (b"ratelimit-policy", b'"default";q=%d;w=%d' % (limit, self._seconds)),
            )
        left = window.seconds_left(clock.monotonic())
        request.headers += (*fixed, (b"ratelimit", b'"default";r=%d;t=%d' % (max(0, limit - window.count), left)))


async def _hung_up(watched: Receive | None) -> None:
    """Return when the client has hung up. A request with a body is not watched: its body would be read away from the route."""
    if watched is None:
        await asyncio.Event().wait()  # until the turn comes and this is cancelled
    else:
        while (await watched())["type"] != "http.disconnect":
            pass
