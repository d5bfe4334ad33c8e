"""A child that has loaded and waits, so that the next run begins at once."""

from __future__ import annotations

import asyncio
import contextlib

from latchpin.worker.child_process import ChildProcess


class SpareChild:
    """Keeps one waiting child. `take` returns it, or starts one if there is none; each one that is taken is replaced."""

    def __init__(self) -> None:
        self._coming: asyncio.Task[ChildProcess] | None = None

    def prepare(self) -> None:
        """Begin to start a child, if none waits or is being started."""
        if self._coming is None:
            self._coming = asyncio.create_task(_loaded())

    async def take(self) -> ChildProcess:
        """Return a child that has loaded and does nothing yet; raises ChildFailed if none can be started."""
        self.prepare()
        coming, self._coming = self._coming, None
        assert coming is not None  # noqa: S101  prepared above
        with contextlib.suppress(ChildFailed):  # a lasting cause makes the next start fail too
            child = await coming
            if child.is_alive:
                return child
            await child.ended()  # it died while it waited
        return await _loaded()

    async def close(self) -> None:
        """End the waiting child."""
        coming, self._coming = self._coming, None
        if coming is not None:
            with contextlib.suppress(ChildFailed):
                child = await coming
                child.kill()
                await child.ended()


class ChildFailed(Exception):
    """No child process could be started on this machine; the text says why, as a sentence."""


async def _loaded() -> ChildProcess:
    try:
        child = await ChildProcess.spawn()
    except OSError as error:
        raise ChildFailed(f"No process could be started ({error.strerror}).") from error
    if not await child.ready():
        child.kill()
        code = await child.ended()
        raise ChildFailed(f"The run's process ended with code {code} before it was ready.")
    return child
