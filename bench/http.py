"""The smallest HTTP/1.1 client that can keep a server busy from one core: requests are bytes, answers a status and a body."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlencode, urlsplit

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: a GET, or a POST of `form`."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None

    def encode(self, **more: str) -> bytes:
        """Write the request down; `more` are further headers."""
        parts = urlsplit(self.url)
        body = urlencode(self.form or {})
        given = {"Host": parts.netloc, **self.headers, **more}
        if self.form is not None:
            given |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
        lines = [f"{name}: {value}" for name, value in given.items()]
        return "\r\n".join([f"{'GET' if self.form is None else 'POST'} {parts.path} HTTP/1.1", *lines, "", body]).encode()


class Connection(asyncio.Protocol):
    """One connection that asks one request after the other. `on_answer` is called with each status and body."""

    def __init__(self) -> None:
        self.on_answer: Callable[[int, bytes], None] = lambda _status, _body: None
        self.on_loss: Callable[[], None] = lambda: None
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what writes."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, _error: Exception | None) -> None:
        """Say so to whoever waits for an answer."""
        self.on_loss()

    def send(self, request: bytes) -> None:
        """Send a request; the one before must have been answered."""
        assert self._transport is not None
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Read on; tells `on_answer` when an answer is complete."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        if length := _LENGTH.search(head):
            if len(rest) < int(length[1]):
                return
        elif b"\r\ntransfer-encoding: chunked" in head.lower():
            if not rest.endswith(_LAST_CHUNK):
                return
            rest = rest.partition(b"\r\n")[2].removesuffix(_LAST_CHUNK)  # one chunk, and the end of all
        self._buffer = b""
        self.on_answer(int(head[9:12]), rest)

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and wait for its status and body; raises ConnectionError where the server hangs up."""
        answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self.on_answer = lambda status, body: answer.set_result((status, body))
        self.on_loss = lambda: None if answer.done() else answer.set_exception(ConnectionError("the server hung up"))
        self.send(request)
        return await answer

    def close(self) -> None:
        """Hang up."""
        self.on_loss = lambda: None
        if self._transport is not None:
            self._transport.close()


async def connect(url: str) -> Connection:
    """Open a connection to the server of an address."""
    parts = urlsplit(url)
    _, connection = await asyncio.get_running_loop().create_connection(Connection, parts.hostname or "", parts.port or 80)
    return connection
