"""How all parts measure: rounds of the compared addresses alternate, and the median round counts, so that a busy moment hits all alike."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping

from bench.load import Measured

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))
WARM_SECONDS = 1


def alternate(cases: Mapping[str, Callable[[float], Measured]]) -> dict[str, Measured]:
    """Measure each case once to warm it, then all in turn; returns the median round of each. A case is called with the seconds."""
    for measure in cases.values():
        measure(WARM_SECONDS)
    measurements: dict[str, list[Measured]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, measure in cases.items():
            measurements[name].append(measure(SECONDS))
    return {name: _median(results) for name, results in measurements.items()}


def _median(results: list[Measured]) -> Measured:
    return Measured(
        statistics.median(each.per_second for each in results),
        statistics.median(each.p50 for each in results),
        statistics.median(each.p99 for each in results),
    )


def line(name: str, one: Measured, against: Measured | None = None, goal: float | None = None) -> str:
    """Write one line of the result, with the ratio to what it is compared with."""
    text = f"  {name:44} {one.per_second:9,.0f} /s   p50 {one.p50:7.2f} ms   p99 {one.p99:7.2f} ms"
    if against is not None:
        text += f"   ratio {one.per_second / against.per_second:5.2f}"
    return text if goal is None else f"{text}   goal {goal:.2f}"
