"""The real application behind the real HTTP server, in a thread of the test's process, so that its clock can be moved."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.embed import Server as Granian
from sqlalchemy import update

from latchpin import app, settings
from latchpin.audit import chain
from latchpin.kit import logs
from latchpin.serving.server_process import HTTP1
from latchpin.settings import Settings
from latchpin.storage import Database, secrets
from latchpin.storage.models import Space
from latchpin.storage.models.space import SpaceScope
from tests.support.plain_http import PLAIN
from tests.support.ports import free_port

T = TypeVar("T")
PATIENCE = 60.0  # seconds; far beyond what anything takes, so that a busy machine fails no test
_served: list[Server] = []  # the last one has what a process has one of


def client_of(url: str, **more: Any) -> httpx.Client:
    """Return an HTTP client of a server at this address."""
    return httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False, verify=PLAIN, **more)


class Server:
    """A served deployment. `run` runs a coroutine in the server's own event loop; `log` is what it wrote."""

    def __init__(self, chosen: Settings) -> None:
        self.settings = chosen
        self.url = chosen.public_url
        self.log = io.StringIO()
        self.application = app.build(chosen, secrets.load(chosen.secrets_file), access_log=self.log)
        self._loop = asyncio.new_event_loop()
        self._granian: Granian | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.http = client_of(self.url)

    @property
    def services(self) -> Any:
        """What the application works with."""
        return self.application.services

    @property
    def database(self) -> Database:
        """The deployment's database; use it inside `run`."""
        return self.application.services.database

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's event loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def flush(self) -> None:
        """Write at once what the server collects in memory (last use, uses, refusals)."""
        self.run(self.application.services.activity.flush(everything=True))

    @contextmanager
    def without_batches(self) -> Iterator[None]:
        """Keep what the server collects in memory for the length of the block; a batch that is being written is waited for."""
        writing = self.application.services.activity._flushing

        async def release() -> None:
            writing.release()

        self.run(writing.acquire())
        try:
            yield
        finally:
            self.run(release())

    def client(self, **more: Any) -> httpx.Client:
        """Return another HTTP client, with its own cookies."""
        return client_of(self.url, **more)

    def failure(self) -> str:
        """Return what the server logged of its own failures; for reading when a test fails. Libraries of the tests log there as well."""
        lines = [line for line in self.log.getvalue().splitlines() if '"error"' in line]
        return "\n".join(line for line in lines if json.loads(line).get("event") != "request" and '"logger":' not in line)

    def clear_log(self) -> None:
        """Forget what it wrote."""
        self.log.seek(0)
        self.log.truncate()

    def start(self) -> None:
        """Serve; returns when the server answers."""
        self.take_over()
        self._thread.start()
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(httpx.TransportError):
                if self.http.get("/health/ready").status_code in (200, 503):
                    return
            threading.Event().wait(0.02)
        message = "the server did not start"
        raise RuntimeError(message)

    def close_global_spaces(self) -> None:
        """Let nobody else see what tests of another file have opened to all organizations."""

        async def work() -> None:
            async with self.database.transaction() as session:
                await session.execute(update(Space).where(Space.scope == SpaceScope.GLOBAL).values(scope=SpaceScope.PRIVATE))

        self.run(work())

    def take_over(self) -> None:
        """Have what a process has one of, the log and the key of the audit chain, until another server takes it or this one stops."""
        if self in _served:
            _served.remove(self)
        _served.append(self)
        logs.configure(self.settings, self.log)
        chain.use_key(self.services.secrets.derive("audit"))

    def stop(self) -> None:
        """Stop serving, as Ctrl-C does; the server that was served before it takes over again."""
        self.http.close()
        if self._granian is not None:
            self._loop.call_soon_threadsafe(self._granian.stop)
        self._thread.join(PATIENCE)
        if self in _served:
            _served.remove(self)
        if _served:
            _served[-1].take_over()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def main() -> None:
            self._granian = Granian(
                self.application,
                address=self.settings.host,
                port=self.settings.port,
                interface=Interfaces.ASGI,
                http=HTTPModes.http1,
                http1_settings=HTTP1,
                websockets=False,
                log_level=LogLevels.error,
            )
            await self._granian.serve()

        self._loop.run_until_complete(main())
        self._loop.close()


@contextmanager
def served(database_url: str, data_dir: Path, **overrides: Any) -> Iterator[Server]:
    """Serve a deployment for the length of the block. Limits are out of the way unless `overrides` set them."""
    chosen = {
        "rate_limit": 1_000_000,
        "bad_key_limit": 100_000,
        "token_limit": 1_000_000,
        "registration_limit": 100_000,
        "pending_limit": 1_000_000,
        "host": "127.0.0.1",
        "port": free_port(),
        "log_level": "info",
        **overrides,
    }
    server = Server(settings.load({}, data_dir=data_dir, database_url=database_url or None, **chosen))
    server.start()
    try:
        yield server
    finally:
        server.stop()
