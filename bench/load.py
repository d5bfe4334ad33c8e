"""Load on one address: by wrk where it is installed, else by a small client of our own in a process of its own."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import repeat
from pathlib import Path
from urllib.parse import urlencode, urlsplit

CONNECTIONS = 32
_SCRIPT = Path(__file__).with_name("requests.lua")


@dataclass(frozen=True, slots=True)
class Measured:
    """Answers per second, and the 50th and 99th percentile of the latency in milliseconds."""

    per_second: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent again and again: a GET, or a POST of `form`. Of the access tokens in the file `tokens` each is sent once."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    tokens: str | None = None


def generator() -> str:
    """Return the name of the load generator that is used."""
    return "wrk" if shutil.which("wrk") else "the benchmark's own client (install wrk for a faster one)"


def measure(request: Request, seconds: float) -> Measured:
    """Send a request for so long from another process; raises RuntimeError where an answer was not 2xx, or the tokens ran out."""
    if shutil.which("wrk"):
        return _wrk(request, seconds)
    command = [sys.executable, "-m", "bench.load", json.dumps(asdict(request)), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Measured(**json.loads(done.stdout))


def _headers(request: Request) -> dict[str, str]:
    form = {} if request.form is None else {"Content-Type": "application/x-www-form-urlencoded"}
    return {**form, **request.headers}


def _wrk(request: Request, seconds: float) -> Measured:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "--latency", "-s", str(_SCRIPT), request.url, "--"]
    with tempfile.TemporaryDirectory() as place:
        headers, body = Path(place) / "headers", Path(place) / "body"
        headers.write_text("".join(f"{name}: {value}\n" for name, value in _headers(request).items()))
        body.write_text(urlencode(request.form or {}))
        files = [str(headers), "-" if request.form is None else str(body), request.tokens or "-"]
        out = subprocess.run([*command, *files], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        message = f"refused answers under load at {urlsplit(request.url).path}"
        raise RuntimeError(message)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    assert rate is not None
    return Measured(float(rate[1]), _milliseconds(out, "50%"), _milliseconds(out, "99%"))


def _milliseconds(out: str, percentile: str) -> float:
    match = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)\b", out)
    assert match is not None
    return float(match[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[match[2]]


def encode(url: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> bytes:
    """Write an HTTP/1.1 request down."""
    parts = urlsplit(url)
    body = urlencode(form or {})
    length = {} if form is None else {"Content-Length": str(len(body))}
    lines = [f"{name}: {value}" for name, value in {"Host": parts.netloc, **headers, **length}.items()]
    return "\r\n".join([f"{'GET' if form is None else 'POST'} {parts.path} HTTP/1.1", *lines, "", body]).encode()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    """Send a request and return the body of its answer; raises RuntimeError where it is not 2xx."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if length := re.search(rb"content-length: (\d+)", head, re.IGNORECASE):
        body = await reader.readexactly(int(length[1]))
    else:  # one chunk, and the end of all
        body = (await reader.readuntil(b"\r\n0\r\n\r\n")).partition(b"\r\n")[2].removesuffix(b"\r\n0\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 2"):
        message = f"a refused answer under load: {head[:30]!r} {body[:200]!r}"
        raise RuntimeError(message)
    return body


def measured(latencies: list[float], took: float) -> Measured:
    """Sum up the seconds that each answer needed, in a run that took so many."""
    latencies.sort()
    return Measured(len(latencies) / took, latencies[len(latencies) // 2] * 1000, latencies[len(latencies) * 99 // 100] * 1000)


async def _connection(url: str, requests: Iterator[bytes], until: float, latencies: list[float]) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    while (began := time.perf_counter()) < until:
        await ask(reader, writer, next(requests))
        latencies.append(time.perf_counter() - began)
    writer.close()


async def _own(request: Request, tokens: list[str], seconds: float) -> Measured:
    def with_token(token: str) -> bytes:
        return encode(request.url, {"Authorization": f"Bearer {token}"}, None)

    requests = map(with_token, tokens) if tokens else repeat(encode(request.url, _headers(request), request.form))
    latencies: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(_connection(request.url, requests, began + seconds, latencies) for _ in range(CONNECTIONS)))
    return measured(latencies, time.perf_counter() - began)


if __name__ == "__main__":
    load_request = Request(**json.loads(sys.argv[1]))
    given = Path(load_request.tokens).read_text().split() if load_request.tokens else []
    print(json.dumps(asdict(asyncio.run(_own(load_request, given, float(sys.argv[2]))))))
