"""The caller's place in a distributed trace (W3C Trace Context): checked, used in log lines and for nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Section 3.2.2: version, trace-id, parent-id, flags. Version 00 ends there; a later one may add fields behind a dash. ff is invalid.
_TRACEPARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_MOST = 512  # bytes; section 3.2.4 leaves the length of later versions open


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The trace that a request belongs to, and the caller's own step in it."""

    trace_id: str
    parent_id: str


def parse(traceparent: bytes | None) -> TraceContext | None:
    """Read a `traceparent` header; None if it is missing, invalid (section 3.2.2.3) or repeated."""
    if traceparent is None or len(traceparent) > _MOST:
        return None
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None or (match[1] == b"00" and match[4] is not None):
        return None
    return TraceContext(match[2].decode("ascii"), match[3].decode("ascii"))
