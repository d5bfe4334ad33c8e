"""Load on one address from a process of its own (`python -m bench.load`), which reads the server's processor time as well.

It sends from 32 connections: first some requests that only warm, then for so many seconds those that count. Every answer to those has to
be 2xx, or the measurement stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Protocol, Self

import uvloop

from bench import changes, machine
from bench.http import Connection, Request, connect

CONNECTIONS = 32
WARM = 4 * CONNECTIONS
_NO_LIMIT = 1 << 60


class LoadError(Exception):
    """The load could not be put on, or an answer was refused; the text says which."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of one row gave. Latencies in milliseconds, processor time of the server in microseconds for each request."""

    per_second: float
    processor: float
    p50: float
    p99: float
    changes: int = 0
    tried: int = 0
    late: int = 0


class Generator:
    """The process that puts the load on, kept from one measurement to the next. It runs on one core, and ends with the block."""

    def __init__(self, core: int | None = None) -> None:
        self._core = core
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()
        self._process = None

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Do one measurement; raises LoadError."""
        if self._process is None:
            with machine.pinned(self._core):
                command = [sys.executable, "-m", "bench.load"]
                self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(job), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            code = self._process.wait()
            self.__exit__()
            message = f"the load ended with {code}"
            raise LoadError(message)
        output: dict[str, Any] = json.loads(answer)
        if "error" in output:
            raise LoadError(output["error"])
        return output


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is measured: its process, whose descendants count as well, and what puts the load on it."""

    pid: int
    generator: Generator

    def measure(self, job: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Put a load on for so long; raises LoadError."""
        return self.generator.run({**job, "seconds": seconds, "pid": self.pid})


@dataclass(slots=True)
class Steady:
    """The same request again and again, or with each line of the file `credentials` as its Authorization in turn.

    With `most` no credential is sent twice, and a round ends after so many. `position` goes on from one round to the next.
    """

    request: Request
    credentials: str | None = None
    most: int | None = None
    warm: int = WARM
    position: int = 0
    changes: changes.Plan | None = None

    def measure(self, seconds: float, server: Server) -> Round:
        """Send for so long; raises LoadError."""
        output = server.measure({"steady": asdict(self)}, seconds)
        self.position = output["position"]
        if self.changes is not None:
            self.changes.position += output["round"]["changes"]
        return Round(**output["round"])


@dataclass(slots=True)
class Chains:
    """Refreshes: each connection trades its family's token, then the token that it got, and so on.

    `families` holds the latest refresh token of each, before and after a measurement.
    """

    url: str
    form: Mapping[str, str]
    families: list[str] = field(default_factory=list)
    warm: int = CONNECTIONS

    def measure(self, seconds: float, server: Server) -> Round:
        """Refresh all families side by side for so long; raises LoadError."""
        output = server.measure({"chains": asdict(self)}, seconds)
        self.families = output["families"]
        return Round(**output["round"])


class _Source(Protocol):
    def take(self, index: int) -> bytes | None:
        """Return the next request of a connection, or None where there is none left."""

    def answered(self, index: int, body: bytes) -> None:
        """Take note of the answer to it."""

    def state(self) -> dict[str, Any]:
        """Return what the next round goes on from."""


class _Requests:
    def __init__(self, steady: Steady) -> None:
        self.position = steady.position
        self._once = steady.most is not None
        self._lines = Path(steady.credentials).read_bytes().split(b"\n")[:-1] if steady.credentials else None
        mark = "(credential)"
        self._start, _, self._end = steady.request.encode(Authorization=mark).partition(mark.encode())
        self._same = steady.request.encode()

    def take(self, _index: int) -> bytes | None:
        if self._lines is None:
            return self._same
        if self._once and self.position >= len(self._lines):
            return None
        line = self._lines[self.position % len(self._lines)]
        self.position += 1
        return self._start + line + self._end

    def answered(self, _index: int, _body: bytes) -> None:
        """Nothing is made of it."""

    def state(self) -> dict[str, Any]:
        return {"position": self.position}


class _Families:
    def __init__(self, chains: Chains) -> None:
        self._chains = chains

    def take(self, index: int) -> bytes:
        form = {**self._chains.form, "grant_type": "refresh_token", "refresh_token": self._chains.families[index]}
        return Request(self._chains.url, form=form).encode()

    def answered(self, index: int, body: bytes) -> None:
        self._chains.families[index] = json.loads(body)["refresh_token"]

    def state(self) -> dict[str, Any]:
        return {"families": self._chains.families}


async def _phase(connections: list[Connection], source: _Source, *, seconds: float, most: int) -> list[float]:
    """Send until the time is over, so many were sent, or the source has no more; returns how long each answer took."""
    latencies: list[float] = []
    sent, until = count(), time.perf_counter() + seconds
    await asyncio.gather(*(_loop(each, index, source, latencies, until, sent, most) for index, each in enumerate(connections)))
    return latencies


def _loop(
    connection: Connection, index: int, source: _Source, latencies: list[float], until: float, sent: count[int], most: int
) -> asyncio.Future[None]:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    began = 0.0

    def send() -> None:
        nonlocal began
        began = time.perf_counter()
        request = source.take(index) if began < until and next(sent) < most else None
        if request is None:
            done.set_result(None)
        else:
            connection.send(request)

    def answered(status: int, body: bytes) -> None:
        latencies.append(time.perf_counter() - began)
        if not 200 <= status < 300:
            done.set_exception(LoadError(f"refused under load: {status} {body[:150]!r}"))
            return
        source.answered(index, body)
        send()

    def lost() -> None:
        if not done.done():
            done.set_exception(LoadError("the server hung up under load"))

    connection.on_answer, connection.on_loss = answered, lost
    send()
    return done


async def _measure(job: dict[str, Any]) -> dict[str, Any]:
    source: _Source
    plan, others, most, seconds = None, [], _NO_LIMIT, job["seconds"]
    if given := job.get("steady"):
        plan = changes.Plan(**given.pop("changes")) if given["changes"] else None
        others = changes.read(plan) if plan else []
        steady = Steady(**{**given, "request": Request(**given["request"])})
        source, url, warm, most = _Requests(steady), steady.request.url, steady.warm, steady.most or most
    else:
        chains = Chains(**job["chains"])
        source, url, warm = _Families(chains), chains.url, chains.warm
    connections = [await connect(url) for _ in range(CONNECTIONS)]
    await _phase(connections, source, seconds=60, most=warm)
    making = asyncio.create_task(changes.make(plan, others, seconds)) if plan else None
    before, began = machine.processor_seconds(job["pid"]), time.perf_counter()
    latencies = await _phase(connections, source, seconds=seconds, most=most)
    took, processor = time.perf_counter() - began, machine.processor_seconds(job["pid"]) - before
    if not latencies:
        message = "there was nothing left to send"
        raise LoadError(message)
    done = await making if making else changes.Done()
    for each in connections:
        each.close()
    latencies.sort()
    p50, p99 = (latencies[len(latencies) * share // 100] * 1000 for share in (50, 99))
    result = Round(len(latencies) / took, processor * 1e6 / len(latencies), p50, p99, done.changes, done.tried, done.late)
    return {"round": asdict(result), **source.state()}


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    try:
        return uvloop.run(_measure(job))
    except (LoadError, changes.ChangeError, OSError) as error:
        return {"error": str(error) or type(error).__name__}


if __name__ == "__main__":
    for given_job in sys.stdin:
        print(json.dumps(_answer(json.loads(given_job))), flush=True)
