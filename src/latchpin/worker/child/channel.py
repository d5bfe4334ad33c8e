"""The pipe to the worker: events out, a few words in.

Events are collected for a moment and written together; only whole lines are written. A thread listens to the worker, since
the crawl may keep the event loop busy, and ends the process if the worker is gone or has been silent for too long: a run whose worker
has lost it must not go on.
"""

from __future__ import annotations

import asyncio
import os
import select
import threading
from collections.abc import Callable

from latchpin.worker import messages
from latchpin.worker.messages import Message

_SOON = 0.05  # seconds
_ENOUGH = 64 * 1024  # bytes that are written at once


class Channel:
    """The pipe of one child. Create it before the event loop runs; call `attach` in the loop."""

    def __init__(self, source: int, target: int) -> None:
        self._source, self._target = source, target
        self._pending = bytearray()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._unread = b""

    def read_line(self) -> bytes:
        """Wait for one line from the worker; ends the process if the pipe is closed."""
        while b"\n" not in self._unread:
            part = os.read(self._source, 65536)
            if not part:
                os._exit(messages.EXIT_ABANDONED)
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def attach(self, loop: asyncio.AbstractEventLoop, on_stop: Callable[[], None], *, silence_seconds: float) -> None:
        """Listen to the worker from now on; `on_stop` is called in the loop when the worker asks the crawl to stop."""
        self._loop = loop
        threading.Thread(target=self._listen, args=(on_stop, silence_seconds), daemon=True).start()

    def send(self, message: Message) -> None:
        """Send the worker a message, after a short delay and in order."""
        self._pending += messages.encode(message)
        self._pending += b"\n"
        if len(self._pending) >= _ENOUGH or self._loop is None:
            self.flush()
        elif self._writing is None:
            self._writing = self._loop.call_later(_SOON, self.flush)

    def flush(self) -> None:
        """Write pending messages; waits for a worker that reads slowly, and ends the process if the worker is gone."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        view = memoryview(bytes(self._pending))
        self._pending.clear()
        try:
            while view:
                view = view[os.write(self._target, view) :]
        except OSError:
            os._exit(messages.EXIT_ABANDONED)

    def _listen(self, on_stop: Callable[[], None], silence_seconds: float) -> None:
        unread = self._unread
        while True:
            ready, _, _ = select.select([self._source], [], [], silence_seconds)
            part = os.read(self._source, 4096) if ready else b""
            if not part:
                os._exit(messages.EXIT_ABANDONED)
            *lines, unread = (unread + part).split(b"\n")
            if messages.STOP.strip() in lines and self._loop is not None:
                self._loop.call_soon_threadsafe(on_stop)
