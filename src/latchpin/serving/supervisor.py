"""Keeps the processes of `latchpin serve` running: started again when they end, replaced one by one on SIGHUP, stopped together.

A process that ends is started again after a pause that doubles up to ten seconds, without limit: what it lacks, such as
its database, may come back, and the others serve meanwhile. A process that has run for a minute is started again at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from latchpin.kit.logger import Logger

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # seconds between an end and the next start
_LIVED_WELL = 60.0  # seconds; an end after so long starts no longer pause
_log = Logger(__name__)


@dataclass(frozen=True, slots=True)
class Program:
    """What a process runs. The id of its parent is appended to the command, and its standard input leads to the supervisor.

    `stop_seconds` is how long it may go on after SIGTERM. One with `is_replaceable` reports when it is ready (`parent_process.tell_ready`).
    """

    name: str
    command: Sequence[str]
    stop_seconds: float
    inherited: Sequence[int] = ()  # file descriptors
    is_replaceable: bool = False


class Child:
    """A running process."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process, channel: socket.socket) -> None:
        self.pid = process.pid
        self._program = program
        self._process = process
        self._channel = channel

    @classmethod
    async def start(cls, program: Program) -> Self:
        """Start the process, in this thread (see `parent_process.end_with_parent`) and out of reach of the terminal's Ctrl-C."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003  the standard library's
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *program.command, str(os.getpid()), stdin=theirs.fileno(), pass_fds=program.inherited, start_new_session=True
            )
        return cls(program, process, ours)

    async def wait(self) -> int:
        """Wait for its end; returns the exit code, or minus the signal's number."""
        code = await self._process.wait()
        self._channel.close()
        return code

    async def is_ready(self) -> bool:
        """Wait until it is ready; False if it ended before."""
        return bool(await asyncio.get_running_loop().sock_recv(self._channel, 1))

    async def stop(self) -> None:
        """Send SIGTERM, and kill it if it has not ended after `stop_seconds`."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(self._program.stop_seconds):
                await self.wait()
        except TimeoutError:
            _log.warning("process.killed", process=self._program.name, pid=self.pid, after_seconds=self._program.stop_seconds)
            self._process.kill()
            await self.wait()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None


class ProcessMonitor:
    """Keeps one process of a program running until `stopping` is set."""

    def __init__(self, program: Program, stopping: asyncio.Event) -> None:
        self.program = program
        self._stopping = stopping
        self._current: Child | None = None  # None between an end and the next start
        self._children: set[Child] = set()

    async def run(self) -> None:
        """Run the program, again whenever it ends; returns when everything stops."""
        pause = 0.0
        while not self._stopping.is_set():
            started_at = time.monotonic()
            cause = await self._run_once()
            if self._stopping.is_set():
                return
            lived_well = time.monotonic() - started_at > _LIVED_WELL
            pause = 0.0 if lived_well else min(max(_FIRST_PAUSE, pause * 2), _LONGEST_PAUSE)
            _log.warning("process.ended", process=self.program.name, cause=cause, again_in_seconds=pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()

    async def replace(self) -> bool:
        """Start another process, and stop the present one once that is ready; False if the new one ended, and the present one goes on."""
        try:
            successor = await self._start()
        except OSError:
            return False
        if not await successor.is_ready():
            await successor.wait()
            return False
        predecessor, self._current = self._current, successor
        if predecessor is None:  # it has ended meanwhile, and is being started again
            predecessor, self._current = successor, None
        await predecessor.stop()
        return True

    async def stop(self) -> None:
        """Stop the running process, and one that is to replace it."""
        await asyncio.gather(*(child.stop() for child in self._children if child.is_running))

    async def _run_once(self) -> str:
        """Run the program once, with its replacements; returns why the last process ended."""
        try:
            child = self._current = await self._start()
        except OSError as error:
            return str(error.strerror)
        while True:
            code = await child.wait()
            if self._current is child:
                self._current = None
                return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
            child = self._current

    async def _start(self) -> Child:
        child = await Child.start(self.program)
        self._children = {each for each in self._children if each.is_running} | {child}
        if self._stopping.is_set():
            await child.stop()
        return child


class Supervisor:
    """Runs programs side by side until SIGTERM or SIGINT; SIGHUP replaces the replaceable ones one after the other.

    `when_stopping` is called as soon as everything is to stop.
    """

    def __init__(self, programs: Sequence[Program], when_stopping: Callable[[], None]) -> None:
        self._when_stopping = when_stopping
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Event()
        self._monitors = [ProcessMonitor(program, self._stopping) for program in programs]

    async def run(self) -> None:
        """Return when everything has stopped."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reloading.set)
        keeping = [asyncio.create_task(keeper.run()) for keeper in self._monitors]
        reloading = asyncio.create_task(self._reload())
        await self._stopping.wait()
        self._when_stopping()
        await asyncio.gather(*(keeper.stop() for keeper in self._monitors))
        await asyncio.gather(*keeping)
        reloading.cancel()

    async def _reload(self) -> None:
        while True:
            await self._reloading.wait()
            self._reloading.clear()
            _log.info("reload.started")
            if all([await keeper.replace() for keeper in self._monitors if keeper.program.is_replaceable]):
                _log.info("reload.finished")
            elif not self._stopping.is_set():
                _log.error("reload.failed", detail="A new process could not start; the one that it was to replace goes on.")
