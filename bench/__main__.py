"""`make bench`: what credentials cost, and what issuing tokens yields, next to the peers. docs/howto/benchmark.md tells how to read it."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench import load, machine, measures, rounds, rows, table
from bench.measures import Sizes

_QUICK = Sizes(rounds=3, seconds=1.0, many=20_000, unseen=1_000)


def main(arguments: Sequence[str], sizes: Sizes | None = None) -> int:
    """Run it and print the table; returns 1 where a right was late to end or an answer was refused, else 0."""
    options = _options(arguments)
    if options.list:
        for row in rows.ALL:
            print(f"{row.id:40} {row.title.format(sizes=Sizes())}")
        return 0
    try:
        chosen = rows.choose([each for text in options.rows for each in text.split(",") if each])
    except rows.UnknownRow as error:
        print(f"No row is called {error}; --list names them.", file=sys.stderr)
        return 2
    sizes = sizes or (_QUICK if options.quick else Sizes())
    sizes = replace(sizes, rounds=options.rounds or sizes.rounds, seconds=options.seconds or sizes.seconds)
    cores = machine.cores()
    head = [
        f"Command: {shlex.join(['python', '-m', 'bench', *arguments])}",
        *machine.facts(cores),
        f"Load: {load.CONNECTIONS} connections, median (least-most) of {sizes.rounds} alternating rounds of {sizes.seconds:g} s.",
    ]
    print("\n".join(head), flush=True)
    with tempfile.TemporaryDirectory(prefix="latchpin-bench-") as place, ExitStack() as stack:
        left_out = {row.id: "left out by --no-peers" for row in chosen if options.no_peers and row.place in rows.PEERS}
        found, missing = measures.start([row for row in chosen if row.id not in left_out], sizes, cores, stack, Path(place))
        results = rounds.alternate(found, rounds=sizes.rounds, seconds=sizes.seconds, say=_say)
    print("\n" + "\n".join([*head, "", *table.lines(chosen, results, missing | left_out, sizes)]))
    return 1 if results.failed or table.late(results) else 0


def _say(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Latchpin next to its peers.")
    parser.add_argument("--rows", action="append", default=[], help="rows by id or pattern, separated by commas: sqlite:key*,refresh")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out, so that nothing is installed")
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument("--quick", action="store_true", help="3 rounds of a second, and fewer credentials: seconds a row")
    parser.add_argument("--rounds", type=int, help="rounds (5)")
    parser.add_argument("--seconds", type=float, help="length of a round (5)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers and databases are cleared away then as well
    sys.exit(main(sys.argv[1:]))
