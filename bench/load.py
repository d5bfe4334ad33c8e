"""Load on one address: by wrk where it is installed, else by a small client of our own in a process of its own."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Measured:
    """Answers per second, and the 50th and 99th percentile of the latency in milliseconds."""

    per_second: float
    p50: float
    p99: float


def generator() -> str:
    """Return the name of the load generator that is used."""
    return "wrk" if shutil.which("wrk") else "the benchmark's own client (install wrk for a faster one)"


def measure(url: str, headers: Mapping[str, str], seconds: float) -> Measured:
    """Load `url` from another process; raises RuntimeError where an answer was not 2xx."""
    if shutil.which("wrk"):
        return _wrk(url, headers, seconds)
    command = [sys.executable, "-m", "bench.load", url, json.dumps(dict(headers)), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Measured(**json.loads(done.stdout))


def _wrk(url: str, headers: Mapping[str, str], seconds: float) -> Measured:
    options = [text for name, value in headers.items() for text in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "--latency", *options, url]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        message = f"refused answers under load at {urlsplit(url).path}"
        raise RuntimeError(message)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    assert rate is not None
    return Measured(float(rate[1]), _milliseconds(out, "50%"), _milliseconds(out, "99%"))


def _milliseconds(out: str, percentile: str) -> float:
    found = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)\b", out)
    assert found is not None
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


async def _connection(host: str, port: int, request: bytes, until: float, latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        if not head.startswith(b"HTTP/1.1 2"):
            message = "a refused answer under load"
            raise RuntimeError(message)
        latencies.append(time.perf_counter() - began)
    writer.close()


async def _own(url: str, headers: Mapping[str, str], seconds: float) -> Measured:
    parts = urlsplit(url)
    lines = [f"GET {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}", *(f"{k}: {v}" for k, v in headers.items())]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    latencies: list[float] = []
    began = time.perf_counter()
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    await asyncio.gather(*(_connection(host, port, request, began + seconds, latencies) for _ in range(CONNECTIONS)))
    took = time.perf_counter() - began
    latencies.sort()
    return Measured(len(latencies) / took, latencies[len(latencies) // 2] * 1000, latencies[len(latencies) * 99 // 100] * 1000)


if __name__ == "__main__":
    result = asyncio.run(_own(sys.argv[1], json.loads(sys.argv[2]), float(sys.argv[3])))
    print(json.dumps({"per_second": result.per_second, "p50": result.p50, "p99": result.p99}))
