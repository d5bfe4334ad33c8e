"""The one source of the present time.

All code gets the time here, so that tests can move time without waiting for it. `now` and `timestamp` are the wall
clock, which an operator or NTP may set forward or back: they are for times that are stored or shown. `monotonic` only ever
grows: it is for durations within one process, such as windows of limits and the age of what a cache holds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Self

_wall: Callable[[], float] = time.time
_offset = 0.0  # seconds by which a frozen clock was moved, so that the monotonic clock does not go back when the real clock returns


def now() -> datetime:
    """Return the present as an aware UTC datetime."""
    return datetime.fromtimestamp(_wall(), UTC)


def timestamp() -> float:
    """Return the present in seconds since the epoch; cheaper than `now()` on the request path."""
    return _wall()


def _running() -> float:
    return time.monotonic() + _offset


_monotonic: Callable[[], float] = _running


def monotonic() -> float:
    """Return seconds since an arbitrary moment, for use in this process only; never goes back, whatever happens to the wall clock."""
    return _monotonic()


class Frozen:
    """A clock that stands still until it is moved, for tests and for the demo's past; `with Frozen(...)` replaces the process's clock."""

    def __init__(self, at: datetime) -> None:
        self._at = at.timestamp()
        self._elapsed = 0.0
        self._begin = 0.0

    def advance(self, delta: timedelta) -> None:
        """Let time pass: both clocks move forward by `delta`."""
        self._at += delta.total_seconds()
        self._elapsed += delta.total_seconds()

    def set_wall(self, delta: timedelta) -> None:
        """Correct the wall clock by `delta`, forward or back, while no time passes."""
        self._at += delta.total_seconds()

    def __enter__(self) -> Self:
        global _wall, _monotonic
        self._begin = _running()
        _wall, _monotonic = self._read_wall, self._read_monotonic
        return self

    def __exit__(self, *_: object) -> None:
        global _wall, _monotonic, _offset  # noqa: PLW0603  as above
        _offset += max(0.0, self._read_monotonic() - _running())
        _wall, _monotonic = time.time, _running

    def _read_wall(self) -> float:
        return self._at

    def _read_monotonic(self) -> float:
        return self._begin + self._elapsed


def iso(at: datetime) -> str:
    """Write a UTC time as the API does: ISO 8601 with `Z`, with fractions only if there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


async def wait_until(at: float) -> None:
    """Wait until `monotonic` shows `at`; follows a clock that is moved by hand."""
    if _monotonic is _running:
        await asyncio.sleep(max(0.0, at - _running()))
    while _monotonic() < at:  # noqa: ASYNC110  a clock that is moved by hand signals nothing
        await asyncio.sleep(0.005)
