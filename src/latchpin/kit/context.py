"""What is known of a request before routing: its id, its client's address, and the headers to add to its response."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any

from latchpin.kit.trace_context import TraceContext

KEY = "latchpin"


@dataclass(slots=True)
class RequestContext:
    """One request's facts. `address` is the client's, None if it is unknown; `headers` are added to the response.

    `request_headers` holds those that matter before routing, by lower-case name; values of a repeated header are joined with a line
    break, which no single header can contain. `scheme` is the authentication scheme of the token, or the expected one, for
    WWW-Authenticate. `method` is the one that was sent: the routes see GET for HEAD. `lacking` is the missing scope for which the
    request was denied. `trace` is the caller's trace, for log lines only.
    """

    request_id: str
    address: str | None
    request_headers: dict[bytes, bytes]
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    limiter_key: str = "-"
    scheme: str = "Bearer"
    status: int = 0
    method: str = "GET"
    lacking: str | None = None
    trace: TraceContext | None = None

    @property
    def user_agent(self) -> str | None:
        """The User-Agent header, cut to 400 characters."""
        agent = self.request_headers.get(b"user-agent")
        return None if agent is None else agent[:400].decode("latin-1")


def of(scope: Mapping[str, Any]) -> RequestContext:
    """Return the context that RequestContextMiddleware put into an ASGI scope."""
    request: RequestContext = scope[KEY]
    return request


_current: ContextVar[RequestContext | None] = ContextVar("latchpin_request", default=None)


def current() -> RequestContext | None:
    """Return the context of the request that the present task works for, None outside of requests."""
    return _current.get()


def enter(request: RequestContext) -> Token[RequestContext | None]:
    """Make this the present task's request, until `leave`."""
    return _current.set(request)


def leave(token: Token[RequestContext | None]) -> None:
    """Undo `enter`."""
    _current.reset(token)
