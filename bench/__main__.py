"""`make bench`: what a key costs, and whether the number of keys matters. One server process, one run, ratios first.

Rounds of the compared addresses alternate, and the median round counts, so that a busy moment of the machine hits all alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import data, load
from bench.load import Measured

PORT = int(os.environ.get("BENCH_PORT", "8099"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))
KEYS = (1, 1_000, 1_000_000)
OPEN, GUARDED, AGENTS = "/bench/trivial", "/api/v1/bench/trivial", "/api/v1/agent/all"
GOAL = 0.80


@contextmanager
def served(data_dir: Path) -> Iterator[str]:
    """Serve the deployment with one process, as `latchpin serve` does, with the trivial routes added."""
    environ = {
        **os.environ,
        "LATCHPIN_DATA_DIR": str(data_dir),
        "LATCHPIN_DATABASE_URL": data.load(data_dir).database_url,
        "LATCHPIN_PORT": str(PORT),
        "LATCHPIN_RATE_LIMIT": "1000000",
        "LATCHPIN_RATE_LIMIT_WINDOW_SECONDS": "1",
        "BENCH_TARGET": "bench.served:create",
    }
    with (data_dir / "server.log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "bench.serve"], env=environ, stderr=log)
        try:
            url = f"http://127.0.0.1:{PORT}"
            _wait(url)
            yield url
        finally:
            server.terminate()
            server.wait(30)


def _wait(url: str) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{url}/health/ready", timeout=1).close()  # noqa: S310  our own server
            return
        time.sleep(0.1)
    message = "the server did not start"
    raise RuntimeError(message)


def _rounds(url: str, key: str) -> dict[str, Measured]:
    """Measure the three addresses in turn and return the median round of each."""
    header = {"Authorization": f"ApiKey {key}"}
    found: dict[str, list[Measured]] = {OPEN: [], GUARDED: [], AGENTS: []}
    for path in found:
        load.measure(url + path, {} if path == OPEN else header, 1)  # warm
    for _ in range(ROUNDS):
        for path, results in found.items():
            results.append(load.measure(url + path, {} if path == OPEN else header, SECONDS))
    return {path: _median(results) for path, results in found.items()}


def _median(results: list[Measured]) -> Measured:
    return Measured(
        statistics.median(each.per_second for each in results),
        statistics.median(each.p50 for each in results),
        statistics.median(each.p99 for each in results),
    )


def main() -> None:
    """Run everything and print it."""
    print(f"Load: {load.generator()}, {load.CONNECTIONS} connections, median of {ROUNDS} rounds of {SECONDS} s. One server process.")
    print("PostgreSQL" if os.environ.get("BENCH_DATABASE_URL") else "SQLite")
    guarded: dict[int, Measured] = {}
    with tempfile.TemporaryDirectory(prefix="latchpin-bench-") as place:
        data_dir = Path(place)
        key = asyncio.run(data.make(data_dir))
        for keys in KEYS:
            asyncio.run(data.fill(data_dir, keys))
            with served(data_dir) as url:
                found = _rounds(url, key)
            guarded[keys] = found[GUARDED]
            print(f"\n{keys:,} keys in the table")
            names = {OPEN: "trivial, open", GUARDED: "trivial, behind a key", AGENTS: f"agent/all, {data.AGENTS} agents"}
            for path, name in names.items():
                one = found[path]
                print(f"  {name:24} {one.per_second:9,.0f} /s   p50 {one.p50:7.2f} ms   p99 {one.p99:7.2f} ms")
            print(f"  ratio key / open         {found[GUARDED].per_second / found[OPEN].per_second:9.2f}      goal {GOAL:.2f}")
    growth = guarded[KEYS[-1]].per_second / guarded[KEYS[1]].per_second
    print(f"\nratio {KEYS[-1]:,} keys / {KEYS[1]:,} keys, behind a key: {growth:.2f} (1 is flat)")


if __name__ == "__main__":
    main()
