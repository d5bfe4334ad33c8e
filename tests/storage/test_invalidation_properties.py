"""No acceptance outlives an invalidation, in whatever order looking up, revoking and dying come, with keys that share their slots."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from latchpin.kit.cache import Cache
from latchpin.storage import shared_counter
from latchpin.storage.shared_counter import SharedCounter

_KEYS, _PROCESSES = range(6), range(2)
_STEPS = ("use", "use slowly while it is revoked", "revoke", "revoke while it is used", "die before the commit", "die after the commit")
_Step = tuple[str, int, int]


class _Process:
    """One process's memory of keys, as ApiKeyVerifier keeps it; `revoked` is the database."""

    def __init__(self, path: Path, revoked: set[int]) -> None:
        self.counter, self._revoked = SharedCounter(path), revoked
        self._known = Cache[int, int](300, holds=self.counter.holds)

    def begin(self, key: int) -> tuple[int, bool | None]:
        """Read the generation and then, where the key is not known, its row."""
        generation = self.counter.current_nowait()
        return generation, None if self._known.get(key, generation) is not None else key not in self._revoked

    def finish(self, key: int, generation: int, is_active: bool | None) -> bool:
        """Keep what was read; returns whether the key is accepted."""
        if is_active:
            self._known.put(key, key, generation, slots=(_slot(key),))
        return is_active is not False

    def use(self, key: int) -> bool:
        """Whether the key is accepted."""
        return self.finish(key, *self.begin(key))


def _slot(key: int) -> int:
    return 1 + key % 3


def _abandon(path: Path, key: int) -> None:
    """Mark as a writer does that is killed before it releases."""
    file = os.open(path, os.O_RDWR)
    shared_counter._mark(file, [_slot(key)])
    os.close(file)


def _run(step: _Step, processes: list[_Process], path: Path, revoked: set[int]) -> None:
    name, number, key = step
    process = processes[number]
    if name == "use slowly while it is revoked":
        begun = process.begin(key)
        with processes[1 - number].counter.change([_slot(key)]):
            revoked.add(key)
        process.finish(key, *begun)
    elif name.startswith("revoke"):
        with processes[1 - number].counter.change([_slot(key)]):
            if name == "revoke while it is used":
                process.use(key)
            revoked.add(key)
            if name == "revoke while it is used":
                process.use(key)
    elif name.startswith("die"):
        _abandon(path, key)
        begun = process.begin(key)
        if name == "die after the commit":
            revoked.add(key)
        process.finish(key, *begun)


@given(st.lists(st.tuples(st.sampled_from(_STEPS), st.sampled_from(_PROCESSES), st.sampled_from(_KEYS)), max_size=25))
def test_no_acceptance_outlives_an_invalidation(steps: list[_Step]) -> None:
    """After each step every process accepts exactly the keys that are not revoked."""
    with tempfile.TemporaryDirectory() as place:
        path, revoked = Path(place) / "generation", set[int]()
        processes = [_Process(path, revoked) for _ in _PROCESSES]
        for step in steps:
            _run(step, processes, path, revoked)
            for process in processes:
                assert {key for key in _KEYS if process.use(key)} == set(_KEYS) - revoked
        for process in processes:
            asyncio.run(process.counter.close())
