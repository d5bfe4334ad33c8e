"""The table that `make bench` ends with: each figure with what it is compared with, and its goal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench import rounds
from bench.load import Round
from bench.measures import Sizes
from bench.rounds import Results, Spread
from bench.rows import PROCESSOR, Row

_HEAD = ("place", "what", "requests/s", "µs of processor", "p50 / p99 ms", "compared with", "by rate", "by processor time", "goal", "")
_NONE = "-"


def lines(rows: Sequence[Row], results: Results, missing: dict[str, str], sizes: Sizes) -> Iterator[str]:
    """Yield the table as Markdown, and below it what was not run, and why."""
    cells = [_HEAD, *(_cells(row, results, sizes) for row in rows if row.id in results.rounds), *_late(rows, results)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    for number, line in enumerate(cells):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        if number == 0:
            yield "| " + " | ".join("-" * width for width in widths) + " |"
    reasons = missing | results.failed
    for row in rows:
        if row.id in reasons:
            yield f"not run: {row.id}: {reasons[row.id]}"


def late(results: Results) -> int:
    """Count the late acceptances of all rows."""
    return sum(one.late for each in results.rounds.values() for one in each)


def _cells(row: Row, results: Results, sizes: Sizes) -> tuple[str, ...]:
    own = results.rounds[row.id]
    base = results.rounds.get(row.base or "")
    by_rate = rounds.ratio_of_rates(own, base) if base else None
    by_processor = rounds.ratio_of_processor(own, base) if base else None
    goal, met = _NONE, ""
    if row.goal is not None:
        decides = by_processor if row.goal.by == PROCESSOR else by_rate
        goal = f"{row.goal.least:.2f} by {row.goal.by}"
        met = "not known" if decides is None else "met" if decides.median >= row.goal.least else "missed"
    return (
        row.place,
        row.title.format(sizes=sizes),
        _spread(rounds.rate(own), ",.0f"),
        _spread(rounds.processor(own), ",.0f"),
        _latency(own),
        (row.base or _NONE).removeprefix(f"{row.place}:"),
        _spread(by_rate, ".2f"),
        _spread(by_processor, ".2f"),
        goal,
        met,
    )


def _late(rows: Sequence[Row], results: Results) -> Iterator[tuple[str, ...]]:
    for row in rows:
        own = results.rounds.get(row.id, [])
        if tried := sum(one.tried for one in own):
            found, made = sum(one.late for one in own), sum(one.changes for one in own)
            text = f"late acceptances: {found} of {tried} tries after {made:,} changes"
            yield (row.place, text, *[_NONE] * 6, "0", "met" if found == 0 else "missed")


def _latency(own: list[Round]) -> str:
    p50, p99 = (Spread.of([getattr(one, name) for one in own]).median for name in ("p50", "p99"))
    return f"{p50:.1f} / {p99:.1f}"


def _spread(spread: Spread | None, form: str) -> str:
    return _NONE if spread is None else f"{spread.median:{form}} ({spread.least:{form}}-{spread.most:{form}})"
