"""A bounded cache of what one process has looked up, and shared look-ups, so that concurrent callers cause only one.

`latchpin.verify` does not use it: that package is installed without the server, and so imports nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence, ValuesView
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from latchpin.kit import clock

CAPACITY = 10_000
Key = TypeVar("Key")
Value = TypeVar("Value")


Holds = Callable[[Sequence[int], int, int], bool]  # (slots, since, generation) -> whether none of the slots was invalidated after `since`


@dataclass(slots=True)
class Entry(Generic[Value]):
    """One value, the generation that it is valid under, since when on the monotonic clock, and the slots of the subjects it depends on."""

    value: Value
    generation: int
    since: float
    slots: Sequence[int]


class Cache(Generic[Key, Value]):
    """Holds at most `capacity` values, each for `seconds`; when it is full, the oldest one is removed.

    If a value depends on rights, read its generation before the look-up begins, and give the time of that as `since`. A value
    is valid under exactly that generation; with `holds` (storage/generation.py), also under a later one as long as nothing that it
    depends on was invalidated in between.
    """

    def __init__(self, seconds: float, capacity: int = CAPACITY, holds: Holds | None = None) -> None:
        self._seconds = seconds
        self._capacity = capacity
        self._holds = holds
        self._entries: dict[Key, Entry[Value]] = {}

    def get(self, key: Key, generation: int = 0) -> Value | None:
        """Return the value of a key if it is valid under this generation and not too old, else None."""
        entry = self._entries.get(key)
        if entry is None or clock.monotonic() - entry.since >= self._seconds:
            return None
        if entry.generation != generation:
            if self._holds is None or not self._holds(entry.slots, entry.generation, generation):
                return None
            entry.generation = max(entry.generation, generation)
        return entry.value

    def put(self, key: Key, value: Value, generation: int = 0, *, since: float | None = None, slots: Sequence[int] = ()) -> Value | None:
        """Store a value, by default as of now; returns the one that it replaces, however old.

        A value is not stored if a change of its subjects is under way or came after its generation; the old value is not valid then either.
        """
        if self._holds is not None and not self._holds(slots, generation, generation):
            earlier = self._entries.get(key)
            return None if earlier is None else earlier.value
        replaced = self._entries.pop(key, None)
        if len(self._entries) >= self._capacity:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = Entry(value, generation, clock.monotonic() if since is None else since, slots)
        return None if replaced is None else replaced.value

    def discard(self, key: Key) -> None:
        """Remove a value that is no longer valid."""
        self._entries.pop(key, None)

    def __len__(self) -> int:
        """The number of stored values, including those that are too old."""
        return len(self._entries)

    def __iter__(self) -> Iterator[Key]:
        """Iterate over the keys of the stored values, the oldest first."""
        return iter(self._entries)

    def entries(self) -> ValuesView[Entry[Value]]:
        """Return the stored entries."""
        return self._entries.values()


class SingleFlight(Generic[Key, Value]):
    """Runs work once for all callers that ask for it while it is under way; a caller that is cancelled does not stop it."""

    def __init__(self) -> None:
        self._running: dict[Key, asyncio.Task[Value]] = {}

    async def run(self, key: Key, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Return the result of `work`, or raise what it raises. All callers with the same key must give equivalent work."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(task)

    def _finish(self, key: Key, task: asyncio.Task[Value]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            task.exception()  # retrieved, in case that no caller waits any more
