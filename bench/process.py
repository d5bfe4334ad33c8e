"""Server processes: started, waited for, and ended with what measures them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bench import machine

_START_SECONDS = 60


class NotStarted(Exception):
    """A server ended, or never answered; the text is the end of its log."""


@contextmanager
def running(
    command: Sequence[str],
    url: str,
    log: Path,
    *,
    core: int | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[int]:
    """Run a server on one core until the block ends, which begins when `url` is answered; yields its process id.

    Raises NotStarted where it is never answered.
    """
    with log.open("w") as file:
        with machine.pinned(core):
            server = subprocess.Popen(command, env={**os.environ, **(environ or {})}, cwd=cwd, stdout=file, stderr=file)
        try:
            _wait(url, server, log)
            yield server.pid
        finally:
            server.terminate()
            server.wait(30)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(urllib.error.HTTPError, OSError):
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310  our own server
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    message = f"the server did not start: {log.read_text()[-500:]}"
    raise NotStarted(message)


def latchpin(environ: Mapping[str, str], log: Path, *, core: int | None) -> AbstractContextManager[int]:
    """Serve a deployment with one server process, as `latchpin serve` does, with the trivial routes added; yields its process id."""
    url = f"http://127.0.0.1:{environ['LATCHPIN_PORT']}/health/ready"
    command = [sys.executable, "-m", "bench.serve"]
    return running(command, url, log, core=core, environ={**environ, "BENCH_TARGET": "bench.served:create"})


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
