"""Looking up host names that strangers choose, in threads of their own (security.md 74).

The system's resolver cannot be interrupted: a name whose servers do not respond blocks its thread for half a minute, however soon the
caller gives up. The event loop's own threads are few, and the database needs them to reconnect by its host name.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence

from latchpin.errors import Throttled

MOST = 8


class NameLookup:
    """Looks names up for one process, `most` at the same time. A slot is free again only when its thread has returned."""

    def __init__(self, most: int = MOST) -> None:
        self._slots = threading.BoundedSemaphore(most)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host; raises OSError or UnicodeError if it has none, and Throttled at once if no slot is free."""
        if not self._slots.acquire(blocking=False):
            raise Throttled("too many names are looked up at this moment, and some of them do not answer; wait", retry_after=5)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Sequence[str]] = loop.create_future()
        # A daemon: a lookup that hangs keeps no process from ending, as the threads of an executor do.
        thread = threading.Thread(target=self._run, args=(loop, future, host, port), name="name-lookup", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads
            self._slots.release()
            raise Throttled("no name can be looked up at this moment; wait", retry_after=5) from None
        return await future

    def _run(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Sequence[str]], host: str, port: int) -> None:
        addresses: Sequence[str] = ()
        failed: Exception | None = None
        try:
            addresses = [str(address[4][0]) for address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except Exception as error:  # noqa: BLE001  it is whoever asked who is told
            failed = error
        finally:
            self._slots.release()
        with contextlib.suppress(RuntimeError):  # the loop may have ended meanwhile
            loop.call_soon_threadsafe(_resolve, future, addresses, failed)


def _resolve(future: asyncio.Future[Sequence[str]], addresses: Sequence[str], failed: Exception | None) -> None:
    if future.done():
        return  # the caller has given up
    if failed is None:
        future.set_result(addresses)
    else:
        future.set_exception(failed)
