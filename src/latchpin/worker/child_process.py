"""A child process from its worker's side: start it, send its specification, read its messages, stop it, kill it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

from latchpin.kit.logger import Logger
from latchpin.worker import messages, specification
from latchpin.worker.messages import Message
from latchpin.worker.specification import Specification

_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
_MOST_ERRORS = 20_000  # bytes of the child's standard error that are kept
_log = Logger(__name__)


class BrokenPipe(Exception):
    """The child sent an invalid or too long message."""


class ChildProcess:
    """One child, in a process group and a temporary directory of its own. It dies with this process (limits.bind_to_parent)."""

    def __init__(self, process: asyncio.subprocess.Process, directory: str) -> None:
        self._process = process
        self._directory = directory
        self._errors = bytearray()
        self._listening = asyncio.create_task(self._keep_errors())

    @classmethod
    async def spawn(cls) -> Self:
        """Start a child that loads and then waits. Its environment holds no setting and no secret."""
        directory = tempfile.mkdtemp(prefix="latchpin-run-")
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            "latchpin.worker.child",
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment | {"HOME": directory, "TMPDIR": directory},
            cwd=directory,
            start_new_session=True,
            limit=messages.MOST_LINE,
        )
        return cls(process, directory)

    @property
    def pid(self) -> int:
        """The process id, which is the process group's as well."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.returncode is None

    async def ready(self) -> bool:
        """Wait until the child has loaded; returns whether it has."""
        assert self._process.stdout is not None  # noqa: S101  a pipe was asked for
        return await self._process.stdout.readline() == messages.READY

    async def start(self, spec: Specification) -> None:
        """Send the specification."""
        await self._send(specification.encode(spec) + b"\n")

    async def messages(self) -> AsyncIterator[Message]:
        """Yield the child's messages until its pipe ends; raises BrokenPipe for an invalid one."""
        source = self._process.stdout
        assert source is not None  # noqa: S101  a pipe was asked for
        while True:
            try:
                line = await source.readline()
            except ValueError:
                raise BrokenPipe(f"a message of more than {messages.MOST_LINE // 1024 // 1024} MiB") from None
            if not line.endswith(b"\n"):
                return
            try:
                yield messages.decode(line)
            except ValueError:
                raise BrokenPipe("a message that cannot be read") from None

    async def keep_alive(self) -> None:
        """Tell the child that its run is still this worker's."""
        await self._send(messages.ALIVE)

    async def ask_to_stop(self) -> None:
        """Ask the child to finish the current page and end."""
        await self._send(messages.STOP)

    def kill(self) -> None:
        """End the child and all that it has started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def ended(self) -> int:
        """Wait for the end, and remove the temporary directory; returns the exit code, negative for a signal."""
        code = await self._process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # processes that it may have started and left behind
        await self._listening
        await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)
        if self._errors:
            _log.warning("child.stderr", pid=self.pid, code=code, text=self._errors.decode(errors="replace")[-2000:])
        return code

    def memory(self) -> int:
        """Return the bytes of memory that the child has in use; 0 if it has ended."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    async def _send(self, line: bytes) -> None:
        target = self._process.stdin
        assert target is not None  # noqa: S101  a pipe was asked for
        with contextlib.suppress(ConnectionError):  # it has ended, which the reader of its messages notices
            target.write(line)
            await target.drain()

    async def _keep_errors(self) -> None:
        assert self._process.stderr is not None  # noqa: S101  a pipe was asked for
        while part := await self._process.stderr.read(4096):
            self._errors += part
            del self._errors[:-_MOST_ERRORS]
