"""`make bench`: what credentials cost, and what issuing tokens yields next to the peers. One server process each, one run, ratios first.

BENCH_PARTS chooses among keys, bearer and tokens (all by default); see bench/README.md.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from bench import bearer, data, keys, load, tokens
from bench.rounds import ROUNDS, SECONDS

PARTS = os.environ.get("BENCH_PARTS", "keys,bearer,tokens").split(",")
_QUIET = 0.5


def main() -> None:
    """Run everything and print it."""
    print(f"Load: {load.generator()}, {load.CONNECTIONS} connections, median of {ROUNDS} rounds of {SECONDS} s. One server process.")
    busy = os.getloadavg()[0]
    if busy > _QUIET:
        print(f"The machine is busy already (load {busy:.1f}): take these figures for a check that it works, not for a measurement.")
    print("PostgreSQL" if os.environ.get("BENCH_DATABASE_URL") else "SQLite")
    with tempfile.TemporaryDirectory(prefix="latchpin-bench-") as place:
        data_dir = Path(place)
        key = asyncio.run(data.make(data_dir))
        if "keys" in PARTS:
            keys.run(data_dir, key)
        if "bearer" in PARTS:
            bearer.run(data_dir)
        if "tokens" in PARTS:
            tokens.run(data_dir)


if __name__ == "__main__":
    main()
