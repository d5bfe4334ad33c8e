"""Requests byte by byte, the statements a request sends to the database, and what the audit trail says of it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any

import httpx
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.storage.models import ApiKey, AuditEvent
from tests.support.people import Key, Organization
from tests.support.server import Server

LIST = "/api/v1/agent/all"


def raw(server: Server, request: bytes, *, seconds: float = 15) -> bytes:
    """Send bytes as they are and return all that comes back until the server closes; for requests that no client library makes."""
    with closing(socket.create_connection(("127.0.0.1", server.settings.port), timeout=seconds)) as connection:
        with suppress(OSError):  # the server may answer and close before it has read all
            connection.sendall(request)
        return _received(connection)


def _received(connection: socket.socket) -> bytes:
    response = b""
    with suppress(OSError):
        while part := connection.recv(65536):
            response += part
    return response


def get(server: Server, *headers: bytes, path: str = LIST) -> tuple[int, bytes]:
    """GET with header lines as they are; returns status and body."""
    lines = [b"GET %s HTTP/1.1" % path.encode(), b"Host: test", b"Connection: close", *headers]
    head, _, body = raw(server, b"\r\n".join(lines) + b"\r\n\r\n").partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body


def present(server: Server, authorization: str, **headers: str) -> httpx.Response:
    """Ask for the list of agents with this Authorization header, and others with `_` for `-`."""
    extra_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.http.get(LIST, headers={"Authorization": authorization, **extra_headers})


@contextmanager
def statements(server: Server) -> Iterator[list[str]]:
    """Collect the SQL that requests make the server's engine execute within the block: its own batches wait until the block ends."""
    queries: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        queries.append(statement)

    engine = server.database.engine.sync_engine
    with server.without_batches():
        event.listen(engine, "before_cursor_execute", note)
        try:
            yield queries
        finally:
            event.remove(engine, "before_cursor_execute", note)


def audit(organization: Organization, action: str, **columns: Any) -> list[AuditEvent]:
    """Write what the server has collected and return audit rows with this action and these values, oldest first."""
    server = organization.server
    server.flush()

    async def work(session: AsyncSession) -> list[AuditEvent]:
        query = select(AuditEvent).where(AuditEvent.action == action).filter_by(**columns).order_by(AuditEvent.id)
        return list((await session.scalars(query)).all())

    return organization.write(work)


def stored(organization: Organization, key: Key) -> ApiKey:
    """Write what the server has collected and return the key's row."""
    organization.server.flush()

    async def work(session: AsyncSession) -> ApiKey:
        api_key = await session.get(ApiKey, key.id)
        assert api_key is not None
        return api_key

    return organization.write(work)


def same_refusal(response: httpx.Response) -> dict[str, Any]:
    """Return a refusal without what belongs to the one request, for comparing."""
    body: dict[str, Any] = response.json()
    return {name: value for name, value in body.items() if name not in ("requestId", "instance")}


def until(check: Callable[[], object], *, seconds: float = 10) -> None:
    """Come back when `check` holds; fail where it does not in time."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come about in time"
        threading.Event().wait(0.01)


def limits(response: httpx.Response) -> Mapping[str, str]:
    """Return the rate limit headers of an answer."""
    return {name: value for name, value in response.headers.items() if "ratelimit" in name or name == "retry-after"}
