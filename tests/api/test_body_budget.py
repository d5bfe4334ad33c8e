"""Request bodies under way take bounded memory: of one client subnet, and of all together."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from latchpin.asgi.body_budget import BODIES_IN_ALL, BODIES_PER_SUBNET, BodyBudget
from latchpin.asgi.request_context import RequestContextMiddleware
from latchpin.errors import Overloaded, Throttled
from tests.support.people import Organization
from tests.support.server import PATIENCE, Server

LARGEST = 10_000
UNFINISHED = 9_000
FORM = "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n"


@pytest.fixture
def served(kind: str, serve: Callable[..., Server]) -> Server:
    """A deployment that takes bodies of 10 KB at most."""
    if kind == "postgresql":
        pytest.skip("asks no database")
    return serve(max_body_bytes=LARGEST, trusted_proxies=(ipaddress.ip_network("127.0.0.0/8"),))


@pytest.fixture
def connect(served: Server) -> Iterator[Callable[..., socket.socket]]:
    """Begin a request of 10 KB on a connection of its own, and send 9 KB of it: `connect("192.0.2.1")`."""
    with ExitStack() as stack:

        def begin(address: str, path: str = "/login", headers: str = FORM) -> socket.socket:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", served.settings.port), timeout=PATIENCE))
            head = f"POST {path} HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {address}\r\nContent-Length: {LARGEST}\r\n{headers}\r\n"
            connection.sendall(head.encode() + b"x" * UNFINISHED)
            return connection

        yield begin


def bodies(server: Server) -> BodyBudget:
    """What the server counts."""
    envelope = server.application.asgi
    assert isinstance(envelope, RequestContextMiddleware)
    return envelope.bodies


def await_bytes(server: Server, number: int) -> None:
    """Wait until the server holds so many bytes."""
    until = time.monotonic() + PATIENCE
    while len(bodies(server)) != number and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert len(bodies(server)) == number


def fill(server: Server, connect: Callable[..., socket.socket], addresses: Iterator[str], number: int) -> list[socket.socket]:
    """Leave so many requests unfinished, and wait until the server holds what came of them."""
    before = len(bodies(server))
    connections = [connect(next(addresses)) for _ in range(number)]
    await_bytes(server, before + number * UNFINISHED)
    return connections


def test_unfinished_bodies_of_one_subnet_are_bounded(served: Server, connect: Callable[..., socket.socket]) -> None:
    """The next one is told to wait, others are not affected, and what was held is free once the connections are gone."""
    held = fill(served, connect, (f"2001:db8:1:1::{number}" for number in range(100)), BODIES_PER_SUBNET)

    response = connect("2001:db8:1:1::ffff").recv(65536)

    assert response.startswith(b"HTTP/1.1 429 "), response
    assert b"retry-after: 5" in response.lower()
    form, ours = {"email": "x" * UNFINISHED, "password": "x"}, {"Sec-Fetch-Site": "same-origin"}
    assert served.http.post("/login", data=form, headers={**ours, "X-Forwarded-For": "2001:db8:1:1::ffff"}).status_code == 429
    assert served.http.post("/login", data=form, headers={**ours, "X-Forwarded-For": "2001:db8:1:2::1"}).status_code == 422
    for each in held:
        each.close()
    await_bytes(served, 0)
    assert bodies(served).subnets == 0


def test_unfinished_bodies_of_all_are_bounded(served: Server, connect: Callable[..., socket.socket]) -> None:
    """Beyond that the answer is 503 to everybody who sends one, as a problem document below the API; others go on."""
    key = Organization(served).key()
    most = BODIES_IN_ALL * LARGEST // UNFINISHED
    fill(served, connect, (f"192.0.2.{number // 4}" for number in range(most)), most)

    bearing = f"Content-Type: application/json\r\nAuthorization: ApiKey {key.secret}\r\n"
    response = connect("198.51.100.1", "/api/v1/agent/1/version/1/restore", bearing).recv(65536)

    assert response.startswith(b"HTTP/1.1 503 "), response
    assert b"application/problem+json" in response
    assert b'"errorCode":"overloaded"' in response
    assert b"retry-after" in response.lower()
    assert connect("198.51.100.2", "/login").recv(65536).startswith(b"HTTP/1.1 503 ")
    assert '"cause": "bodies"' in served.log.getvalue()
    assert served.http.get("/api/v1/agent/all", headers=key.header).status_code == 200


def test_what_is_refused_is_not_held() -> None:
    """And what is given back can be taken by others."""
    budget = BodyBudget(10)
    for number in range(BODIES_IN_ALL):
        budget.take(f"192.0.2.{number}", 10)

    with pytest.raises(Overloaded):
        budget.take("198.51.100.1", 1)
    budget.give_back("192.0.2.0", 10)
    with pytest.raises(Throttled):
        budget.take("192.0.2.1", BODIES_PER_SUBNET * 10)
    budget.take("198.51.100.1", 10)

    assert (len(budget), budget.subnets) == (BODIES_IN_ALL * 10, BODIES_IN_ALL)
