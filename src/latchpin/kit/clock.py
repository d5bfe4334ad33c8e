"""The one source of the present time.

Everything that asks what time it is asks here, so that tests can move time without waiting for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Self

_source: Callable[[], float] = time.time


def now() -> datetime:
    """Return the present as an aware UTC datetime."""
    return datetime.fromtimestamp(_source(), UTC)


def timestamp() -> float:
    """Return the present in seconds since the epoch; cheaper than `now()` on the request path."""
    return _source()


class Frozen:
    """A clock that stands still until it is moved, for tests; `with Frozen(...)` replaces the process's clock."""

    def __init__(self, at: datetime) -> None:
        self._at = at.timestamp()

    def advance(self, delta: timedelta) -> None:
        """Move the clock forward by `delta`."""
        self._at += delta.total_seconds()

    def __enter__(self) -> Self:
        global _source  # noqa: PLW0603  replacing the process's clock is what this class is for
        _source = self._read
        return self

    def __exit__(self, *_: object) -> None:
        global _source  # noqa: PLW0603  as above
        _source = time.time

    def _read(self) -> float:
        return self._at


def iso(at: datetime) -> str:
    """Write a UTC time as the wire does: ISO 8601 with `Z`, fractions only where there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


async def wait_until(at: float) -> None:
    """Wait until the clock shows `at` (seconds since the epoch); follows a clock that is moved by hand."""
    if _source is time.time:
        await asyncio.sleep(max(0.0, at - time.time()))
    while _source() < at:  # noqa: ASYNC110  a clock that is moved by hand signals nothing
        await asyncio.sleep(0.005)
