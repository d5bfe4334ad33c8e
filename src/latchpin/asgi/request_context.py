"""The outermost ASGI layer: gives each request an id, determines the client's address, and writes one log line when it ends.

The client's address is the peer's, unless the peer is a trusted proxy: then it is the nearest address in X-Forwarded-For that is not
itself a trusted proxy. An address that cannot be determined is None, and checks that depend on it fail closed (security.md 104).
A request's id is a trusted proxy's X-Request-Id, else our own: any other caller could make its requests look like those of others.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import time
from itertools import count
from typing import Any

from litestar.enums import ScopeType
from litestar.exceptions import ClientException
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from latchpin.asgi import problems
from latchpin.asgi.access_log import AccessLog
from latchpin.asgi.body_budget import BodyBudget
from latchpin.identity.credentials import PREFIX
from latchpin.kit import addresses, context, trace_context
from latchpin.kit.logger import Logger
from latchpin.settings import Settings

_error_log = Logger(__name__)
_REQUEST_HEADERS = frozenset(
    (
        b"authorization",
        b"cookie",
        b"dpop",
        b"origin",
        b"sec-fetch-site",
        b"traceparent",
        b"user-agent",
        b"x-api-key",
        b"x-forwarded-for",
        b"x-request-id",
    )
)
_REQUEST_ID = re.compile(rb"(?!.*" + PREFIX.encode() + rb")[A-Za-z0-9._-]{8,64}")
_KEY_IN_PATH = re.compile(PREFIX + "[0-9A-Za-z]*")
_SLASHES = re.compile("/{2,}")
_BODYLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_API = "/api/v1"
_NO_SNIFF = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")
BODY_SECONDS = 30.0
LONGEST_PATH, LONGEST_QUERY, LONGEST_COOKIES = 2_000, 24_000, 8_000


class RequestContextMiddleware:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, settings: Settings, log: AccessLog | None = None) -> None:
        self._app = app
        self._trusted = settings.trusted_proxies
        self._public_url = settings.public_url
        self._log = log
        self._prefix = f"{secrets.token_hex(5)}{os.getpid():x}"
        self._number = count(1)
        self.bodies = BodyBudget(settings.max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        path = scope["path"]
        if "//" in path or PREFIX in path:
            scope["path"] = _normalized(path)
        request = self._context(scope)
        scope[context.KEY] = request  # type: ignore[literal-required]
        entered = context.enter(request)
        body = _Body(scope["method"], receive, self.bodies, request.address)

        async def send_response(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                message["headers"] = _secured([*message["headers"], *request.headers], scope["path"])
            await send(message)

        try:
            if rejection := _rejection(scope, request):
                await self._send_problem(*rejection, scope, request, send_response)
            else:
                await self._app(scope, body.read, send_response)
        except Exception as error:
            _error_log.error("request.failed", request_id=request.request_id, path=_loggable(scope["path"]), exc_info=error)
            if request.status:
                raise
            await self._send_problem(500, problems.FAILED, scope, request, send_response)
        finally:
            context.leave(entered)
            self.bodies.give_back(request.address, body.held)
            if self._log is not None:
                self._log.add(scope["method"], _loggable(scope["path"]), request, started)

    async def _send_problem(self, status: int, detail: str, scope: Any, request: context.RequestContext, send: Send) -> None:  # noqa: ANN401  the server's dictionary
        """Send a problem document for a request that failed (the log has the details under its id) or that no inner layer needs to see."""
        response = problems.render(status, detail, instance=scope["path"], public_url=self._public_url, request_id=request.request_id)
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body, "more_body": False})

    def _context(self, scope: Any) -> context.RequestContext:  # noqa: ANN401  the server's dictionary
        request_headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in _REQUEST_HEADERS:
                request_headers[name] = request_headers[name] + b"\n" + value if name in request_headers else value
        peer = scope.get("client")
        address = peer[0] if peer else None
        if self._trusted:
            address = self._client(address, request_headers.get(b"x-forwarded-for"))
        given = (
            request_headers.get(b"x-request-id") if self._trusted and self._is_trusted(addresses.read(peer[0] if peer else None)) else None
        )
        is_sound = given is not None and _REQUEST_ID.fullmatch(given)
        request_id = given.decode("ascii") if given and is_sound else f"{self._prefix}-{next(self._number)}"
        headers = [(b"x-request-id", request_id.encode("ascii"))]
        trace = trace_context.parse(request_headers.get(b"traceparent"))
        return context.RequestContext(request_id, address, request_headers, headers, method=scope["method"], trace=trace)

    def _client(self, peer: str | None, forwarded: bytes | None) -> str | None:
        """Return the client behind trusted proxies, or None where they do not report a valid address."""
        if not self._is_trusted(addresses.read(peer)):
            return peer
        for part in reversed((forwarded or b"")[-4000:].replace(b"\n", b",").split(b",")):
            address = addresses.read_forwarded(part.strip().decode("latin-1"))
            if address is None:
                return None
            if not self._is_trusted(address):
                return str(address)
        return None

    def _is_trusted(self, address: addresses.Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _secured(headers: list[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
    """Add the headers that every response needs (security.md 57, 91).

    Browsers must not guess its type, and must not store responses of the API.
    """
    present_names = {name.lower() for name, _ in headers}
    if _NO_SNIFF[0] not in present_names:
        headers.append(_NO_SNIFF)
    if _NO_STORE[0] not in present_names and path.startswith(_API):
        headers.append(_NO_STORE)
    return headers


class _Body:
    """Reads a request's body: within BODY_SECONDS, so that nobody can hold it open by sending single bytes, and within the budget.

    A body that breaks off is the client's error: it hung up, or its chunks are malformed, which the server reports in the same way.

    `held` is how many bytes of the budget it holds.
    """

    def __init__(self, method: str, receive: Receive, budget: BodyBudget, address: str | None) -> None:
        self._receive, self._budget, self._address = receive, budget, address
        self._whole = method in _BODYLESS  # no route reads a body of these methods
        self._deadline = 0.0 if self._whole else asyncio.get_running_loop().time() + BODY_SECONDS
        self.held = 0

    async def read(self) -> Any:  # noqa: ANN401  the server's message
        """Return the next message; raises ClientException (408), Throttled, Overloaded."""
        if self._whole:
            return await self._receive()  # waits for the client to disconnect
        try:
            async with asyncio.timeout_at(self._deadline):
                message: Any = await self._receive()
        except TimeoutError:
            raise ClientException(f"The body did not arrive within {BODY_SECONDS:g} seconds.", status_code=408) from None
        if message["type"] != "http.request":
            raise ClientException("The body broke off, or its chunks cannot be read.", status_code=400)
        self._whole = not message.get("more_body", False)
        if size := len(message.get("body", b"")):
            self._budget.take(self._address, size)
            self.held += size
        return message


def _rejection(scope: Any, request: context.RequestContext) -> tuple[int, str] | None:  # noqa: ANN401  as above
    """Return status and detail where a request is refused here: the router and the parsers cache what they have read, of any length."""
    if b"%00" in scope["query_string"]:
        return 400, "The address holds a NUL character."
    if len(scope["path"]) > LONGEST_PATH or len(scope["query_string"]) > LONGEST_QUERY:
        return 414, f"The address is too long. Its path may have {LONGEST_PATH} characters, its query {LONGEST_QUERY}."
    if len(request.request_headers.get(b"cookie", b"")) > LONGEST_COOKIES:
        return 431, f"The cookies are too long together; they may have {LONGEST_COOKIES} bytes. Remove those of this site."
    return None


def _normalized(path: str) -> str:
    """Return the path as the router understands it (repeated slashes become one), with any key in it removed.

    The layers inside decide by the start of the path, so they must see the same path as the router.
    """
    return _KEY_IN_PATH.sub(PREFIX + "[struck out]", _SLASHES.sub("/", path))


def _loggable(path: str) -> str:
    """Return a path that may be logged: without the token of the one-time setup link, which is a credential."""
    return "/setup/[struck out]" if path.startswith("/setup/") else path
