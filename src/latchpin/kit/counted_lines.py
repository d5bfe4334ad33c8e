"""Log lines for events that may happen thousands of times a minute: one line for each cause and minute, with a count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from latchpin.kit import clock

_SECONDS = 60.0


@dataclass(slots=True)
class _Line:
    logged_at: float
    count: int = 0


class CountedLines:
    """Writes these lines. `count` is how often the cause occurred since its last line; the causes are few and defined by our code."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def note(self, write: Callable[..., object], event: str, *, cause: str, detail: str) -> None:
        """Count a cause, and write a line by `write`, such as a logger's `warning`, if a minute has passed since its last one."""
        now = clock.monotonic()
        line = self._lines.setdefault(cause, _Line(now - _SECONDS))
        line.count += 1
        if now - line.logged_at >= _SECONDS:
            write(event, cause=cause, detail=detail, count=line.count)
            line.logged_at, line.count = now, 0
