"""What is known of a request before anything else: its id, where it came from, and headers its answer will carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KEY = "latchpin"


@dataclass(slots=True)
class RequestContext:
    """One request's facts. `address` is the client's, None where it cannot be known; `headers` are added to the answer."""

    request_id: str
    address: str | None
    user_agent: str | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    caller: str = "-"
    status: int = 0


def of(scope: Mapping[str, Any]) -> RequestContext:
    """Return the context that the envelope put into an ASGI scope."""
    found: RequestContext = scope[KEY]
    return found
