"""One log line for every finished request, buffered for 50 ms and written together.

Writing each line separately costs more than checking a key. A killed process loses the lines of its last 50 ms.
"""

from __future__ import annotations

import asyncio
import time
from typing import TextIO

import msgspec

from latchpin.kit import clock, plain_text
from latchpin.kit.context import RequestContext
from latchpin.kit.log_stream import LogStream

GATHER_SECONDS = 0.05
FAILED = 500  # the lowest status of a request that failed because of the server


class _Line(msgspec.Struct, omit_defaults=True):
    """One finished request. The path has no query, which might contain a secret."""

    at: str
    level: str
    event: str
    method: str
    path: str
    status: int
    ms: float
    request_id: str
    address: str | None
    caller: str
    trace_id: str | None = None
    parent_id: str | None = None


class AccessLog:
    """The log of one process, written to standard error or another stream."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = LogStream(stream)
        self._lines: list[bytes] = []
        self._encode = msgspec.json.Encoder().encode
        self._second = (0, "")

    def add(self, method: str, path: str, request: RequestContext, started: float) -> None:
        """Add the line of a request that began at `started` (time.perf_counter)."""
        line = _Line(
            self._now(),
            "info" if request.status < FAILED else "error",
            "request",
            method,
            path[:500],
            request.status,
            round((time.perf_counter() - started) * 1000, 2),
            request.request_id,
            request.address,
            request.limiter_key,
            *((request.trace.trace_id, request.trace.parent_id) if request.trace is not None else ()),
        )
        if not self._lines:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self.flush)
        encoded = self._encode(line)
        self._lines.append(encoded if encoded.isascii() else plain_text.visible(encoded.decode()).encode())

    def flush(self) -> None:
        """Write the buffered lines."""
        if self._lines:
            text = b"\n".join(self._lines).decode() + "\n"
            self._lines.clear()
            self._stream.write(text)

    def _now(self) -> str:
        now = clock.timestamp()
        second = int(now)
        if second != self._second[0]:
            self._second = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
        return f"{self._second[1]}.{int(now % 1 * 1000):03d}Z"
