"""What an access token costs, against the open endpoint: seen before, and never seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import apps, load, process
from bench.keys import GUARDED, OPEN
from bench.load import Measured, Request
from bench.rounds import ROUNDS, SECONDS, WARM_SECONDS, alternate, line

SEEN_GOAL, NEW_GOAL = 0.80, 0.30
GRANTS = 1_000
_MOST_OF_OPEN = 0.7  # more never-seen tokens than this share of the open rate are not minted


class _New:
    """Tokens that nobody has seen: a file of them for each round, used up one after the other."""

    def __init__(self, data_dir: Path, app: apps.App, url: str, holders: int, per_second: float) -> None:
        seconds = [WARM_SECONDS, *[SECONDS] * ROUNDS]
        files = {data_dir / f"tokens-{holders}-{number}": int(each * per_second) for number, each in enumerate(seconds)}
        asyncio.run(apps.mint(data_dir, app, holders, files))
        self._left = list(files)
        self._url = url

    def measure(self, seconds: float) -> Measured:
        file = self._left.pop(0)
        result = load.measure(Request(self._url, tokens=str(file)), seconds)
        file.unlink()
        return result


def run(data_dir: Path) -> None:
    """Measure and print."""
    app = asyncio.run(apps.make(data_dir))
    one = data_dir / "token"
    asyncio.run(apps.mint(data_dir, app, 1, {one: 1}))
    with process.latchpin(data_dir) as url:
        at_all = Request(url + OPEN)
        most = load.measure(at_all, WARM_SECONDS).per_second * _MOST_OF_OPEN
        cases: dict[str, Callable[[float], Measured]] = {
            "open": partial(load.measure, at_all),
            "seen": partial(load.measure, Request(url + GUARDED, {"Authorization": f"Bearer {one.read_text().strip()}"})),
            "new": _New(data_dir, app, url + GUARDED, 1, most).measure,
            "many": _New(data_dir, app, url + GUARDED, GRANTS, most).measure,
        }
        results = alternate(cases)
    print("\nAccess tokens, RS256")
    print(line("trivial, open", results["open"]))
    print(line("trivial, a token seen before", results["seen"], results["open"], SEEN_GOAL))
    print(line("trivial, tokens never seen, of one grant", results["new"], results["open"], NEW_GOAL))
    print(line(f"trivial, tokens never seen, of {GRANTS:,} grants", results["many"], results["open"]))
