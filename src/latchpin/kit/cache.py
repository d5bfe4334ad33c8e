"""What one process has looked up, within bounds, and look-ups that are under way, so that those who come together cause one.

`latchpin.verify` does without: it installs without the server, and so imports nothing of it.
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


Holds = Callable[[Sequence[int], int, int], bool]  # of slots, whether none was invalidated after one generation as of another


@dataclass(slots=True)
class Entry(Generic[Value]):
    """One value, the generation that it is true under, since when on the monotonic clock, and the slots of what it depends on."""

    value: Value
    generation: int
    since: float
    slots: Sequence[int]


class Cache(Generic[Key, Value]):
    """At most `capacity` values, each for `seconds`; what was put in first makes room.

    Where a value depends on who may do what, its generation is read before the look-up begins and `since` is when it began: a value
    counts under that very generation; with `holds` (storage/generation.py), under a later one too as long as nothing that it depends on
    was invalidated in between.
    """

    def __init__(self, seconds: float, capacity: int = CAPACITY, holds: Holds | None = None) -> None:
        self._seconds = seconds
        self._capacity = capacity
        self._holds = holds
        self._entries: dict[Key, Entry[Value]] = {}

    def get(self, key: Key, generation: int = 0) -> Value | None:
        """Return what was put in, is true under this generation and not too old, or None."""
        entry = self._entries.get(key)
        if entry is None or clock.monotonic() - entry.since >= self._seconds:
            return None
        if entry.generation != generation:
            if self._holds is None or not self._holds(entry.slots, entry.generation, generation):
                return None
            entry.generation = max(entry.generation, generation)
        return entry.value

    def put(self, key: Key, value: Value, generation: int = 0, *, since: float | None = None, slots: Sequence[int] = ()) -> Value | None:
        """Remember a value, by default as of now; returns the one that it replaces, however old.

        What is just being changed, or was changed since its generation, is not kept; what it would have replaced does not count either.
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
        """Forget what is not so any more."""
        self._entries.pop(key, None)

    def __len__(self) -> int:
        """The number of values that are held, the too old ones among them."""
        return len(self._entries)

    def __iter__(self) -> Iterator[Key]:
        """Iterate over what the held values are known by, the oldest first."""
        return iter(self._entries)

    def entries(self) -> ValuesView[Entry[Value]]:
        """Return what is held."""
        return self._entries.values()


class SingleFlight(Generic[Key, Value]):
    """Work that is done once for all who ask for it while it is under way; one of them who goes away does not stop it."""

    def __init__(self) -> None:
        self._running: dict[Key, asyncio.Task[Value]] = {}

    async def run(self, key: Key, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Return what `work` comes to, or raise what it raises. Everybody who names a key has to mean the same by it."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(task)

    def _finish(self, key: Key, task: asyncio.Task[Value]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            task.exception()  # looked at, for the case that nobody waits any more
