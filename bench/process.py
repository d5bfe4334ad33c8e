"""Server processes: started, waited for, and ended with what measures them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import data


class NotStarted(Exception):
    """A server ended, or never answered; the text is the end of its log."""


@contextmanager
def running(
    command: Sequence[str], url: str, log: Path, *, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[None]:
    """Run a server until the block ends, which begins when `url` is answered; raises NotStarted where it never is."""
    with log.open("w") as file:
        server = subprocess.Popen(command, env={**os.environ, **(environ or {})}, cwd=cwd, stdout=file, stderr=file)
        try:
            _wait(url, server, log)
            yield
        finally:
            server.terminate()
            server.wait(30)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        with contextlib.suppress(urllib.error.HTTPError, OSError):
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310  our own server
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    message = f"the server did not start: {log.read_text()[-500:]}"
    raise NotStarted(message)


@contextmanager
def latchpin(data_dir: Path, **more: str) -> Iterator[str]:
    """Serve a deployment with one process, as `latchpin serve` does, with the trivial routes added; `more` are settings."""
    environ = {**data.environ(data_dir, **more), "BENCH_TARGET": "bench.served:create"}
    url = f"http://127.0.0.1:{data.PORT}"
    with running([sys.executable, "-m", "bench.serve"], f"{url}/health/ready", data_dir / "server.log", environ=environ):
        yield url
