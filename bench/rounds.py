"""How rows are measured: one after the other in rounds that alternate, so that a busy moment hits all alike; medians with the spread."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.load import LoadError, Round

Measure = Callable[[float], Round]
_WARM_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of what the rounds gave, with the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Sum up."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(slots=True)
class Results:
    """The rounds of each row that was measured, and why others were not."""

    rounds: dict[str, list[Round]]
    failed: dict[str, str]


def alternate(rows: Mapping[str, Measure], *, rounds: int, seconds: float, say: Callable[[str], None]) -> Results:
    """Measure each row once to warm it, then all in turn, `rounds` times. A row that fails is left out from then on."""
    results = Results({row: [] for row in rows}, {})
    for number in range(-1, rounds):
        say("warming" if number < 0 else f"round {number + 1} of {rounds}")
        for row, measure in rows.items():
            if row in results.failed:
                continue
            try:
                one = measure(min(seconds, _WARM_SECONDS) if number < 0 else seconds)
            except LoadError as error:
                results.failed[row] = str(error)
                continue
            if number >= 0:
                results.rounds[row].append(one)
    for row in results.failed:
        del results.rounds[row]
    return results


def rate(rounds: list[Round]) -> Spread:
    """Requests per second."""
    return Spread.of([one.per_second for one in rounds])


def processor(rounds: list[Round]) -> Spread:
    """Microseconds of the server's processor time for each request."""
    return Spread.of([one.processor for one in rounds])


def ratio_of_rates(rounds: list[Round], base: list[Round]) -> Spread:
    """How many requests a second come to one of the base, round by round."""
    return Spread.of([one.per_second / other.per_second for one, other in zip(rounds, base, strict=True)])


def ratio_of_processor(rounds: list[Round], base: list[Round]) -> Spread | None:
    """How many requests the processor time of one request of the base would be enough for, round by round; None for rounds too short."""
    if not all(one.processor and other.processor for one, other in zip(rounds, base, strict=True)):
        return None
    return Spread.of([other.processor / one.processor for one, other in zip(rounds, base, strict=True)])
