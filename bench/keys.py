"""What a key costs, and whether the number of keys matters."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from bench import data, load, process
from bench.load import Measured, Request
from bench.rounds import alternate, line

KEYS = (1, 1_000, 1_000_000)
OPEN, GUARDED, AGENTS = "/bench/trivial", "/api/v1/bench/trivial", "/api/v1/agent/all"
GOAL = 0.80


def run(data_dir: Path, key: str) -> None:
    """Measure with more and more keys in the table, and print."""
    guarded: dict[int, Measured] = {}
    header = {"Authorization": f"ApiKey {key}"}
    for keys in KEYS:
        asyncio.run(data.fill(data_dir, keys))
        with process.latchpin(data_dir) as url:
            requests = {OPEN: Request(url + OPEN), GUARDED: Request(url + GUARDED, header), AGENTS: Request(url + AGENTS, header)}
            results = alternate({path: partial(load.measure, request) for path, request in requests.items()})
        guarded[keys] = results[GUARDED]
        print(f"\n{keys:,} keys in the table")
        print(line("trivial, open", results[OPEN]))
        print(line("trivial, behind a key", results[GUARDED], results[OPEN], GOAL))
        print(line(f"agent/all, {data.AGENTS} agents", results[AGENTS]))
    growth = guarded[KEYS[-1]].per_second / guarded[KEYS[1]].per_second
    print(f"\nratio {KEYS[-1]:,} keys / {KEYS[1]:,} keys, behind a key: {growth:.2f} (1 is flat)")
