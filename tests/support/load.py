"""Load from processes of their own: a small HTTP/1.1 client over sockets that notes when each accepted request began.

`python -m tests.support.load` reads a `Plan` as JSON from standard input, prints `ready`, sends requests until the progress file says
stop, and prints a `Report` as JSON. Times are CLOCK_MONOTONIC, which all processes of one machine share.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mmap
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
_STOP = 2**63
_RECONNECT = 10  # requests after which a connection is made anew, so that the load spreads over the server's processes


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send: GET `path` with keys around the position in the `progress` file, `behind` to `ahead` of it."""

    port: int
    path: str
    keys: Sequence[str]
    progress: str
    connections: int = 1
    behind: int = 6
    ahead: int = 14
    scheme: str = "ApiKey"


@dataclass(slots=True)
class Report:
    """What came of it. `accepted` holds per key (by position) when its accepted requests began; `servers` counts answers per process."""

    requests: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    accepted: dict[str, list[float]] = field(default_factory=dict)
    servers: dict[str, int] = field(default_factory=dict)
    broken: int = 0


class Progress:
    """A position shared by processes through a file of eight bytes."""

    def __init__(self, path: Path) -> None:
        path.touch()
        if path.stat().st_size < 8:
            path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._cell = memoryview(mmap.mmap(file.fileno(), 8)).cast("Q")

    @property
    def position(self) -> int:
        """The position."""
        return self._cell[0]

    @position.setter
    def position(self, value: int) -> None:
        self._cell[0] = value

    def stop(self) -> None:
        """Tell everybody who reads it to end."""
        self._cell[0] = _STOP

    @property
    def stopped(self) -> bool:
        """Whether everybody was told to end."""
        return self._cell[0] == _STOP


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """Send one request on an open connection; return status, headers (lower case) and body."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
    return int(first.split(b" ", 2)[1]), headers, body


def get(path: str, key: str, scheme: str = "ApiKey") -> bytes:
    """Return the bytes of a GET with a key, or a token."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {scheme} {key}\r\n\r\n".encode()


@contextmanager
def loads(plans: Sequence[Plan]) -> Iterator[list[Report]]:
    """Run one load process per plan for the length of the block; the yielded list holds their reports after it."""
    reports: list[Report] = []
    running = [_start(plan) for plan in plans]
    try:
        for process in running:
            assert _out(process).readline().strip() == "ready"
        yield reports
    finally:
        Progress(Path(plans[0].progress)).stop()
        texts = [_ended(process) for process in running]
    reports.extend(Report(**json.loads(text)) for text in texts)


def _start(plan: Plan) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.load"], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(asdict(plan)) + "\n")
    process.stdin.flush()
    return process


def _ended(process: subprocess.Popen[str]) -> str:
    with process:
        try:
            return process.communicate(timeout=30)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return ""


def _out(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


async def _connection(plan: Plan, requests: Sequence[bytes], progress: Progress, report: Report, statuses: Counter[str]) -> None:
    """Send one request after the other; a broken connection is made anew, as clients do."""
    while not progress.stopped:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", plan.port)
        except OSError:
            report.broken += 1
            await asyncio.sleep(0.01)
            continue
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            for _ in range(_RECONNECT):
                at = progress.position
                if at == _STOP:
                    break
                index = random.randint(max(0, at - plan.behind), min(len(requests) - 1, at + plan.ahead))
                began = time.monotonic()
                try:
                    status, headers, _body = await ask(reader, writer, requests[index])
                except (OSError, asyncio.IncompleteReadError):
                    report.broken += 1
                    raise
                report.requests += 1
                statuses[str(status)] += 1
                server = headers.get(b"x-request-id", b"")[:10].decode()  # each server process begins its ids in its own way
                report.servers[server] = report.servers.get(server, 0) + 1
                if status == 200:
                    report.accepted.setdefault(str(index), []).append(began)
        writer.close()


async def _run(plan: Plan) -> Report:
    report, statuses = Report(), Counter[str]()
    progress = Progress(Path(plan.progress))
    requests = [get(plan.path, key, plan.scheme) for key in plan.keys]
    await asyncio.gather(*(_connection(plan, requests, progress, report, statuses) for _ in range(plan.connections)))
    report.statuses = dict(statuses)
    return report


def main() -> None:
    """Run the plan on standard input."""
    plan = Plan(**json.loads(sys.stdin.readline()))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    json.dump(asdict(asyncio.run(_run(plan))), sys.stdout)


if __name__ == "__main__":
    os.nice(5)  # the server and the revoking process come first
    main()
