"""A TCP proxy in front of PostgreSQL that can stop forwarding, as a network that was cut or a database that hangs does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

from tests.support.ports import free_port


class TcpProxy:
    """Forwards connections to `port` of this machine to a target. It listens from `start` on."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.port = free_port()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def start(self) -> None:
        """Listen."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(20)

    def hang(self) -> None:
        """Take connections and bytes, and forward nothing."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def resume(self) -> None:
        """Forward again, also what came meanwhile."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def cut(self) -> None:
        """Cut all connections and listen no more, until `start`."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(20)

    def close(self) -> None:
        """Cut all connections and end."""
        self.cut()
        self.resume()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._flowing.wait()
            theirs, ours = await asyncio.open_connection(*self._target)
            self._writers.add(ours)
            await asyncio.gather(self._forward(reader, ours), self._forward(theirs, writer))
        except OSError:
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
            self._writers.discard(writer)


@contextmanager
def through_proxy(url: str) -> Iterator[tuple[str, TcpProxy]]:
    """Yield the address of a PostgreSQL database by way of a proxy, and the proxy, which does not listen yet."""
    parts = urlsplit(url)
    proxy = TcpProxy((parts.hostname or "127.0.0.1", parts.port or 5432))
    user, _, _ = parts.netloc.rpartition("@")
    try:
        yield urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{proxy.port}")), proxy
    finally:
        proxy.close()
