"""The outermost ASGI layer: gives each request an id, finds out where it came from, and writes one log line when it ends.

The client's address is the peer's, unless the peer is a trusted proxy: then it is the nearest address in X-Forwarded-For that is not
itself a trusted proxy. An address that cannot be known is None, and what depends on it fails closed (security.md 104).
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import sys
import time
from itertools import count
from typing import Any, TextIO

import msgspec
import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from latchpin.api import problems
from latchpin.kit import clock, context
from latchpin.settings import Settings

_error_log = structlog.get_logger(__name__)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")


class AccessLine(msgspec.Struct, omit_defaults=True):
    """One finished request. The path comes without its query, which might hold a secret."""

    at: str
    event: str
    method: str
    path: str
    status: int
    ms: float
    request_id: str
    address: str | None
    caller: str


class Envelope:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, settings: Settings, log: TextIO | None = None) -> None:
        self._app = app
        self._trusted = settings.trusted_proxies
        self._writes = settings.log_level in ("debug", "info")
        self._public_url = settings.public_url
        self._log = log or sys.stderr
        self._encode = msgspec.json.Encoder().encode
        self._prefix = f"{secrets.token_hex(5)}{os.getpid():x}"
        self._number = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request = self._context(scope)
        scope[context.KEY] = request  # type: ignore[literal-required]

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                message["headers"] = [*message["headers"], *request.headers]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            _error_log.error("request.failed", request_id=request.request_id, path=scope["path"], exc_info=error)
            if request.status:
                raise
            await self._apologize(scope, request, answer)
        finally:
            if self._writes:
                self._write(scope, request, (time.perf_counter() - started) * 1000)

    async def _apologize(self, scope: Any, request: context.RequestContext, send: Send) -> None:  # noqa: ANN401  the server's dictionary
        """Answer where the layers inside could not; the log has the rest under the request's id."""
        failed = problems.render(500, problems.FAILED, instance=scope["path"], public_url=self._public_url, request_id=request.request_id)
        await send({"type": "http.response.start", "status": failed.status, "headers": failed.headers})
        await send({"type": "http.response.body", "body": failed.body, "more_body": False})

    def _context(self, scope: Any) -> context.RequestContext:  # noqa: ANN401  the server's dictionary
        request_id = agent = forwarded = None
        for name, value in scope["headers"]:
            if name == b"user-agent":
                agent = value[:400].decode("latin-1")
            elif name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                request_id = value.decode("ascii")
            elif name == b"x-forwarded-for":
                forwarded = value if forwarded is None else forwarded + b"," + value
        peer = scope.get("client")
        address = peer[0] if peer else None
        if self._trusted:
            address = self._client(address, forwarded)
        request_id = request_id or f"{self._prefix}-{next(self._number)}"
        made = context.RequestContext(request_id, address, agent)
        made.headers.append((b"x-request-id", request_id.encode("ascii")))
        return made

    def _client(self, peer: str | None, forwarded: bytes | None) -> str | None:
        """Return the client behind trusted proxies, or None where they do not tell a sound one."""
        if not self._is_trusted(peer) or forwarded is None:
            return peer
        for part in reversed(forwarded[-4000:].split(b",")):
            named = part.strip().decode("latin-1")
            try:
                ipaddress.ip_address(named)
            except ValueError:
                return None
            if not self._is_trusted(named):
                return named
        return None

    def _is_trusted(self, address: str | None) -> bool:
        try:
            found = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        return any(found in network for network in self._trusted)

    def _write(self, scope: Any, request: context.RequestContext, ms: float) -> None:  # noqa: ANN401  as above
        line = AccessLine(
            clock.iso(clock.now()),
            "request",
            scope["method"],
            scope["path"][:500],
            request.status,
            round(ms, 2),
            request.request_id,
            request.address,
            request.caller,
        )
        self._log.write(self._encode(line).decode() + "\n")
