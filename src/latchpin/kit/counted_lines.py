"""Log lines for what may happen thousands of times a minute: once for each cause and minute, with how often it happened."""

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
    """Writes them. `count` is how often the cause was met since its line before; the causes are few and our own."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def note(self, write: Callable[..., object], event: str, *, cause: str, detail: str) -> None:
        """Count a cause, and write a line by `write`, such as a logger's `warning`, where a minute has passed since the last one."""
        now = clock.monotonic()
        line = self._lines.setdefault(cause, _Line(now - _SECONDS))
        line.count += 1
        if now - line.logged_at >= _SECONDS:
            write(event, cause=cause, detail=detail, count=line.count)
            line.logged_at, line.count = now, 0
