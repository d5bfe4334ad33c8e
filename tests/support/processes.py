"""A deployment served by `latchpin serve` in processes of its own, as an operator runs it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from latchpin import settings
from latchpin.settings import Settings
from tests.support.load import ROOT
from tests.support.plain_http import PLAIN
from tests.support.ports import free_port


def environment(data_dir: Path, database_url: str = "", **values: Any) -> dict[str, str]:
    """Return an environment that names a deployment; `values` are further settings."""
    overrides = {"data_dir": data_dir, "database_url": database_url, **values}
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("LATCHPIN_")}
    return inherited | {settings.variable(name): str(value) for name, value in overrides.items() if value != ""}


@dataclass(slots=True)
class Serving:
    """A running `latchpin serve`; `output` is the file of what it printed and logged."""

    process: subprocess.Popen[bytes]
    settings: Settings
    output: Path
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = self.settings.public_url

    def status(self, path: str, key: str | None = None, scheme: str = "ApiKey") -> int:
        """Return the status of one GET on a connection of its own, 0 where there was no answer."""
        try:
            headers = {"Authorization": f"{scheme} {key}"} if key else {}
            return httpx.get(self.url + path, headers=headers, timeout=20, trust_env=False, verify=PLAIN).status_code
        except httpx.TransportError:
            return 0

    def workers(self) -> list[int]:
        """Return the process ids of the server's processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii").split()
        return [int(child) for child in children if "server_process" in _command(int(child))]

    def log(self) -> str:
        """What it printed and logged so far."""
        return self.output.read_text(encoding="utf-8")

    def wait_for(self, path: str, status: int, *, seconds: float = 20) -> None:
        """Return once a GET is answered with this status."""
        last_status = 0
        for _ in range(int(seconds / 0.05)):
            if self.process.poll() is not None:
                break
            if (last_status := self.status(path)) == status:
                return
            threading.Event().wait(0.05)
        message = f"{path} answered {last_status}, not {status}:\n{self.log()[-3000:]}"
        raise AssertionError(message)

    def stop(self) -> int:
        """Ask it to stop, as a supervisor does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


@contextmanager
def serving(data_dir: Path, database_url: str = "", *, ready: bool = True, **values: Any) -> Iterator[Serving]:
    """Run `latchpin serve` for the length of the block; with `ready` the block begins when it can serve.

    Without a worker, unless `worker="on"`: it would load what executes runs, which cost most tests as much as what they are about.
    """
    chosen = {
        "worker": "off",
        "rate_limit": 1_000_000,
        "bad_key_limit": 100_000,
        "token_limit": 1_000_000,
        "pending_limit": 1_000_000,
        "log_level": "warning",
        "access_log": "off",
        "port": free_port(),
        **values,
    }
    env = environment(data_dir, database_url, **chosen)
    data_dir.mkdir(parents=True, exist_ok=True)
    output = data_dir / f"serve-{chosen['port']}.log"
    with output.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "latchpin", "serve"], env=env, cwd=ROOT, stdout=file, stderr=file)
    server = Serving(process, settings.load({name: text for name, text in env.items() if name.startswith("LATCHPIN_")}), output)
    try:
        if ready:
            server.wait_for("/health/ready", 200)
        yield server
    finally:
        try:
            server.stop()
        except subprocess.TimeoutExpired:
            process.kill()
            raise
