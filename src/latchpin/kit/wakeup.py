"""A nudge between processes of one host: whoever waits looks again at once. A lost nudge costs a moment, never work."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path


class Wakeup:
    """A named pipe. `send` costs a few microseconds and never waits; one process waits at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._event = asyncio.Event()
        self._reading: int | None = None

    def send(self) -> None:
        """Wake whoever waits, if anybody does."""
        with contextlib.suppress(OSError):  # nobody waits, or was woken already and has not looked yet
            descriptor = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(descriptor, b"!")
            finally:
                os.close(descriptor)

    def listen(self) -> None:
        """Begin to hear nudges, in the running event loop."""
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._path, 0o600)
        self._reading = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)  # opened for both, it has no end when the last sender closes
        asyncio.get_running_loop().add_reader(self._reading, self._heard)

    async def wait(self, seconds: float) -> None:
        """Return at a nudge, or after so many seconds; nudges since the last call count."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)
        self._event.clear()

    def nudge(self) -> None:
        """Wake who waits in this process."""
        self._event.set()

    def close(self) -> None:
        """Stop hearing nudges."""
        if self._reading is not None:
            asyncio.get_running_loop().remove_reader(self._reading)
            os.close(self._reading)
            self._reading = None

    def _heard(self) -> None:
        if self._reading is not None:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reading, 65536)
            self._event.set()
