"""A wake-up signal between processes of one host: the waiting process looks for work at once. A lost signal delays work but loses none."""

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
        """Wake the waiting process, if there is one."""
        with contextlib.suppress(OSError):  # no process waits, or it was woken already and has not read the pipe yet
            descriptor = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(descriptor, b"!")
            finally:
                os.close(descriptor)

    def listen(self) -> None:
        """Start to receive signals, in the running event loop."""
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._path, 0o600)
        self._reading = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)  # for both: no end of file when the last sender closes
        asyncio.get_running_loop().add_reader(self._reading, self._heard)

    async def wait(self, seconds: float) -> None:
        """Return at a signal, or after so many seconds; returns at once if one came since the last call."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)
        self._event.clear()

    def nudge(self) -> None:
        """Wake the waiting task of this process."""
        self._event.set()

    def close(self) -> None:
        """Stop receiving signals."""
        if self._reading is not None:
            asyncio.get_running_loop().remove_reader(self._reading)
            os.close(self._reading)
            self._reading = None

    def _heard(self) -> None:
        if self._reading is not None:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reading, 65536)
            self._event.set()
