"""What one process has looked up, for as long as the generation stands under which it did.

The caller reads the generation first and looks up after; what is remembered counts under that very generation, and for a few seconds at
most, so that even a process killed between a commit and the raising of the shared counter leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from latchpin.kit import clock

SECONDS = 5.0
MOST = 10_000
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """Bounded: the oldest makes room."""

    def __init__(self) -> None:
        self._held: dict[Key, tuple[int, float, Value]] = {}

    def get(self, key: Key, generation: int) -> Value | None:
        """Return what was looked up under this very generation, or None."""
        found = self._held.get(key)
        if found is None or found[0] != generation or clock.monotonic() - found[1] > SECONDS:
            return None
        return found[2]

    def keep(self, key: Key, generation: int, value: Value, *, since: float) -> None:
        """Remember; `since` is when the look-up began, on the monotonic clock."""
        if len(self._held) >= MOST:
            self._held.pop(next(iter(self._held)))
        self._held[key] = (generation, since, value)

    def forget(self, key: Key) -> None:
        """Forget what is not so any more."""
        self._held.pop(key, None)
