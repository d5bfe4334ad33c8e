"""How many requests a credential may make: a fixed window, with a short queue for those that come too early.

In process by default, exact for that process; in Redis (the `limits` library) exact for all processes. If Redis is unreachable, each one
counts by itself until it is back: a failing limiter must not stop the API. The in-process window is our own twenty lines because
the library's needs a task and a lock for every request (docs/decisions/0005).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from limits.aio.storage import RedisStorage
from limits.errors import StorageError

from latchpin.errors import Throttled
from latchpin.kit import client_subnet, clock
from latchpin.kit.logger import Logger
from latchpin.settings import Settings

_log = Logger(__name__)
MOST_WINDOWS = 50_000
_LONGEST_KEY = 100  # characters; in a longer key, the text that the caller sent is replaced by its digest
_ASK_AGAIN_SECONDS = 2.0
_SHORTEST_WAIT = 0.1  # Redis returns whole seconds: 0 in the last second of a window, when waiting requests must still pause


@dataclass(slots=True)
class Window:
    """The state of a window after a hit. `count` is how many hits it has had, `ends` on the monotonic clock."""

    count: int
    ends: float

    def seconds_left(self, now: float) -> int:
        """Whole seconds until the window ends, at least 1."""
        return max(1, math.ceil(self.ends - now))


class Counter(Protocol):
    """Counts hits in windows."""

    async def hit(self, key: str, seconds: int) -> Window:
        """Count one hit of `key` in its present window of `seconds`; a window begins with its first hit."""

    async def close(self) -> None:
        """Close its connections."""


class InProcess:
    """Counts for this process."""

    def __init__(self) -> None:
        self._windows: dict[str, Window] = {}

    def __len__(self) -> int:
        """The number of windows in memory."""
        return len(self._windows)

    def hit_now(self, key: str, seconds: int) -> Window:
        """Count one hit, without waiting."""
        if len(key) > _LONGEST_KEY:
            key = f"{key[:20]}|{sha256(key.encode(errors='surrogatepass')).hexdigest()}"
        now = clock.monotonic()
        window = self._windows.get(key)
        if window is None or window.ends <= now:
            if len(self._windows) >= MOST_WINDOWS:
                self._make_room(now)
            window = self._windows[key] = Window(0, now + seconds)
        window.count += 1
        return window

    async def hit(self, key: str, seconds: int) -> Window:
        """Count one hit."""
        return self.hit_now(key, seconds)

    async def close(self) -> None:
        """Do nothing: it has no connections."""

    def _make_room(self, now: float) -> None:
        self._windows = {key: window for key, window in self._windows.items() if window.ends > now}
        if len(self._windows) >= MOST_WINDOWS * 9 // 10:
            # A flood of addresses fills it with windows of few hits; those are removed, a tenth at once, so that this is rare.
            fullest = sorted(self._windows.items(), key=lambda item: item[1].count, reverse=True)
            self._windows = dict(fullest[: MOST_WINDOWS * 9 // 10])


class InRedis:
    """Counts for every process that uses the same Redis; falls back to its own process while Redis is unreachable.

    `deployment` keeps deployments that share a Redis apart: key 1 of one is not key 1 of the other.
    """

    def __init__(self, url: str, deployment: str) -> None:
        self._prefix = f"latchpin/{deployment[:12]}/"
        self._storage = RedisStorage("async+" + url, implementation="redispy", wrap_exceptions=True, socket_timeout=1)
        self._fallback = InProcess()
        self._away = False
        self._ask_again = 0.0

    async def hit(self, key: str, seconds: int) -> Window:
        """Count one hit."""
        if self._away and clock.monotonic() < self._ask_again:  # a Redis that hangs must not hold up every request
            return self._fallback.hit_now(key, seconds)
        try:
            count = await self._storage.incr(self._prefix + key, seconds)
            left = await self._storage.get_expiry(self._prefix + key) - time.time()  # the library adds the present to what Redis says
        except (StorageError, OSError, TimeoutError):
            if not self._away:
                _log.warning("rate_limit.redis_away", detail="each process counts for itself until it is back")
            self._away, self._ask_again = True, clock.monotonic() + _ASK_AGAIN_SECONDS
            return self._fallback.hit_now(key, seconds)
        self._away = False
        return Window(count, clock.monotonic() + max(left, _SHORTEST_WAIT))

    async def close(self) -> None:
        """Close the connections."""
        await self._storage.bridge.storage.aclose()  # type: ignore[attr-defined]  # the bridge of redispy has it


def open_counter(settings: Settings, deployment: str) -> InProcess | InRedis:
    """Return the counter that the settings ask for."""
    return InRedis(settings.redis_url, deployment) if settings.redis_url else InProcess()


async def require(counter: Counter, key: str, *, seconds: int, most: int, detail: str) -> None:
    """Count one hit, and raise Throttled beyond `most` in a window; `{left}` in `detail` becomes the seconds to wait."""
    window = await counter.hit(key, seconds)
    if window.count > most:
        left = window.seconds_left(clock.monotonic())
        raise Throttled(detail.format(left=left), retry_after=left)


async def count_refusal(counter: Counter, address: str | None, most: int) -> None:
    """Count a refused credential against its sender's address, whichever the endpoint; raises Throttled beyond `most` a minute."""
    detail = "Too many refused credentials from this address. Wait as Retry-After says; sound keys are not affected."
    await require(counter, f"refused:{client_subnet.of(address)}", seconds=60, most=most, detail=detail)


class ClientGone(Exception):
    """The client hung up while its request waited; there is nobody to answer."""


class Queue:
    """Lets a bounded number of requests per key wait for the next window."""

    def __init__(self, capacity: int, longest: int) -> None:
        self._capacity = capacity
        self._longest = longest
        self._waiting: dict[str, int] = {}

    async def wait(self, key: str, until: float, gone: Callable[[], Awaitable[None]]) -> bool:
        """Wait for the window's end; False at once if the queue is full, or the wait would be too long.

        `gone` returns when the client has hung up: its place is freed then, and ClientGone is raised.
        """
        waiting = self._waiting.get(key, 0)
        if waiting >= self._capacity or until - clock.monotonic() > self._longest:
            return False
        self._waiting[key] = waiting + 1
        turn, left_by = asyncio.ensure_future(clock.wait_until(until)), asyncio.ensure_future(gone())
        try:
            done, _ = await asyncio.wait((turn, left_by), return_when=asyncio.FIRST_COMPLETED)
            if turn not in done:
                raise ClientGone
        finally:
            turn.cancel()
            left_by.cancel()
            left = self._waiting[key] - 1
            if left:
                self._waiting[key] = left
            else:
                del self._waiting[key]
        return True
