"""Bodies that break off, or whose chunks cannot be read: the client's fault, told in one line and never a failure of ours."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from typing import Any

import pytest

from tests.support.people import Key, Organization
from tests.support.wire import raw, until

FORM = "application/x-www-form-urlencoded"
ENDPOINTS = {
    "page": ("/login", FORM),
    "form": ("/api/oauth/token", FORM),
    "authorize": ("/api/oauth/authorize", FORM),
    "register": ("/api/oauth/register", "application/json"),
    "api": ("/api/v1/agent/{agent}/version/1/restore", "application/json"),
}
CHUNKS = {
    "no number": b"zz\r\nabc\r\n0\r\n\r\n",
    "negative": b"-1\r\n\r\n",
    "endless number": b"ffffffffffffffffff\r\n\r\n",
    "longer than it says": b"3\r\nabcXX0\r\n\r\n",
    "control character behind": b"3\r\nabc\r\n0\r\nA: \x01\r\n\r\n",
}
UNFINISHED = {"Transfer-Encoding: chunked": b"5\r\nab", "Content-Length: 10": b"ab"}


def _head(organization: Organization, key: Key, endpoint: str, framing: str) -> bytes:
    path, kind = ENDPOINTS[endpoint]
    lines = [
        f"POST {path.format(agent=organization.agent())} HTTP/1.1",
        "Host: test",
        "Connection: close",
        "Sec-Fetch-Site: same-origin",
        f"Content-Type: {kind}",
        framing,
    ]
    if endpoint == "api":
        lines.append(f"Authorization: ApiKey {key.secret}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("chunks", CHUNKS)
def test_malformed_chunks_are_400(organization: Organization, endpoint: str, chunks: str) -> None:
    """Wherever a body is read, and no stack trace of it reaches the log."""
    key = organization.key()

    response = raw(organization.server, _head(organization, key, endpoint, "Transfer-Encoding: chunked") + CHUNKS[chunks])

    assert response.startswith(b"HTTP/1.1 400 "), response
    assert organization.server.failure() == ""


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    ("framing", "body"), [("Transfer-Encoding: chunked", b"5\r\nab"), ("Content-Length: 10", b"ab")], ids=["chunked", "length"]
)
def test_who_hangs_up_in_the_middle_leaves_no_failure(organization: Organization, endpoint: str, framing: str, body: bytes) -> None:
    """The log has the request's line and no stack trace, which anybody could fill it with."""
    server = organization.server
    head = _head(organization, organization.key(), endpoint, framing)
    path = head.split(b" ", 2)[1].decode()
    server.clear_log()

    with closing(socket.create_connection(("127.0.0.1", server.settings.port), timeout=15)) as connection:
        connection.sendall(head + UNFINISHED[framing])

    lines: list[dict[str, Any]] = []

    def look() -> bool:
        lines[:] = [line for line in map(json.loads, server.log.getvalue().splitlines()) if line.get("path") == path]
        return bool(lines)

    until(look)
    assert [line["status"] for line in lines] == [400]
    assert server.failure() == ""
