"""A second node of a served deployment: the same database and secrets, another process as far as memory goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.support.ports import free_port
from tests.support.server import Server, client_of


@contextmanager
def node(first: Server) -> Iterator[httpx.Client]:
    """Serve the same deployment a second time, on a port of its own; yields what talks to it."""
    chosen = dataclasses.replace(first.settings, port=free_port())
    second = Server(chosen)
    second.http.close()
    second.http = client_of(f"http://127.0.0.1:{chosen.port}")
    second.start()
    try:
        yield second.http
    finally:
        second.stop()
