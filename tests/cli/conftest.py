"""The real `latchpin` executable on a deployment of the test's own, with and without a server beside it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest
from click.testing import CliRunner

from latchpin.audit import chain
from latchpin.cli import main
from tests.support import databases
from tests.support.plain_http import PLAIN
from tests.support.ports import free_port
from tests.support.server import served

EMAIL = "ada@example.com"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON that it printed."""
        return json.loads(self.out)


SERVING = ("serve", "worker")


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Runs `latchpin` with nothing in the environment but this deployment's settings."""

    environ: dict[str, str]

    def __call__(self, *args: str, code: int | None = 0, text: str | None = None, **variables: str) -> Ran:
        """Run one command in this process; fails the test unless it ends with `code` (None: any)."""
        if args[0] in SERVING:
            return self.process(*args, code=code, text=text, **variables)
        key = chain._key[0]  # the command takes its own deployment's
        try:
            with mock.patch.dict(os.environ, self.environ | variables, clear=True):
                done = CliRunner().invoke(main, args, input=text, catch_exceptions=False)
        finally:
            chain.use_key(key)
        ran = Ran(done.exit_code, done.stdout, done.stderr)
        assert code is None or ran.code == code, ran
        return ran

    def process(self, *args: str, code: int | None = 0, text: str | None = None, **variables: str) -> Ran:
        """Run one command as its own process, for what only a process shows: pipes, encodings, the exit code that a shell sees."""
        done = subprocess.run(
            [sys.executable, "-m", "latchpin", *args],
            env=self.environ | variables,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in ran.err, ran.err
        assert code is None or ran.code == code, ran
        return ran

    def start(self, *args: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command and return at once."""
        return subprocess.Popen(
            [sys.executable, "-m", "latchpin", *args],
            env=self.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def data_dir(self) -> Path:
        """The deployment's data directory."""
        return Path(self.environ["LATCHPIN_DATA_DIR"])

    def init(self) -> Ran:
        """Make the first administrator, EMAIL."""
        return self("init", "--organization", "Acme", "--name", "Ada Byron", "--email", EMAIL, "--json")

    def key(self, *args: str) -> Any:
        """Make a key for EMAIL; returns what `key create --json` prints."""
        return self("key", "create", "--user", EMAIL, "--json", *args).document


def command_line(data_dir: Path, url: str = "") -> CommandLine:
    """Return the command line of a deployment."""
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environ |= {"LATCHPIN_DATA_DIR": str(data_dir)}
    return CommandLine(environ | ({"LATCHPIN_DATABASE_URL": url} if url else {}))


@pytest.fixture
def latchpin(kind: str, templates: databases.Templates, tmp_path: Path) -> Iterator[CommandLine]:
    """The command line of a migrated deployment, on each database."""
    with templates.fresh(kind, tmp_path / "data") as url:
        yield command_line(tmp_path / "data", url)


@pytest.fixture
def embedded(tmp_path: Path) -> CommandLine:
    """The command line of a deployment that does not exist yet, for what does not depend on the database."""
    return command_line(tmp_path / "data")


@pytest.fixture
def running() -> Iterator[Callable[..., httpx.Client]]:
    """Serve a deployment until the end of the test, and return a client: `running(latchpin)` in this process, which is soon there,
    `running(latchpin, workers=2)` by `latchpin serve`.
    """
    with ExitStack() as stack:

        def start(of: CommandLine, *, workers: int = 1) -> httpx.Client:
            if workers > 1:
                return stack.enter_context(_served(of, workers))
            return stack.enter_context(served(of.environ.get("LATCHPIN_DATABASE_URL", ""), of.data_dir)).http

        yield start


QUIET = {  # nobody reads its pipes, and nothing runs
    "LATCHPIN_LOG_LEVEL": "warning",
    "LATCHPIN_ACCESS_LOG": "off",
    "LATCHPIN_RATE_LIMIT": "100000",
    "LATCHPIN_WORKER": "off",
}


@contextlib.contextmanager
def _served(of: CommandLine, workers: int) -> Iterator[httpx.Client]:
    port = free_port()
    process = of.start("serve", "--port", str(port), "--workers", str(workers), **QUIET)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False, verify=PLAIN) as client:
            wait_for(lambda: client.get("/health/ready").status_code == 200)
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def wait_for(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something holds; a server that does not answer yet does not hold."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            if holds():
                return
        time.sleep(0.02)
    message = "it did not come to hold in time"
    raise AssertionError(message)


def header(key: str) -> dict[str, str]:
    """Return the header that carries a key."""
    return {"Authorization": f"ApiKey {key}"}
