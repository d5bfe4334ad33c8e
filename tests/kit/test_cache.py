"""One bounded cache, and one piece of work for all who ask for it at the same time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import timedelta

import pytest

from latchpin.kit import clock as kit_clock
from latchpin.kit.cache import Cache, SingleFlight


def test_a_value_counts_under_its_generation() -> None:
    """Neither an earlier nor a later one."""
    cache = Cache[str, str](5)
    cache.put("app", "found", 7)

    assert [cache.get("app", generation) for generation in (6, 7, 8)] == [None, "found", None]


def test_a_value_counts_until_what_it_depends_on_is_invalidated() -> None:
    """Under any generation, however many others were invalidated in between."""
    invalidated: dict[int, int] = {}

    def holds(slots: Sequence[int], since: int, _generation: int) -> bool:
        return all(invalidated.get(slot, 0) <= since for slot in slots)

    cache = Cache[str, str](5, holds=holds)
    cache.put("app", "found", 7, slots=(1, 2))

    invalidated[3] = 8
    assert cache.get("app", 9) == "found"
    invalidated[2] = 10
    assert cache.get("app", 10) is None
    assert cache.put("app", "found too late", 9, slots=(1, 2)) == "found"
    assert cache.get("app", 10) is None
    cache.put("app", "found again", 10, slots=(1, 2))
    assert cache.get("app", 11) == "found again"


def test_a_value_counts_for_its_seconds_since_the_look_up_began(clock: kit_clock.Frozen) -> None:
    """A look-up that took long is not young when it ends."""
    cache = Cache[str, str](5)
    begun_at = kit_clock.monotonic()
    clock.advance(timedelta(seconds=4))
    cache.put("slow", "found", since=begun_at)
    cache.put("fast", "found")

    clock.advance(timedelta(seconds=1))

    assert (cache.get("slow"), cache.get("fast")) == (None, "found")


def test_the_oldest_makes_room_and_a_replacement_takes_none() -> None:
    """A full cache that is told something new of what it holds forgets nothing else."""
    cache = Cache[int, str](math.inf, capacity=3)
    for key in range(3):
        assert cache.put(key, "first") is None

    assert cache.put(2, "second") == "first"
    assert list(cache) == [0, 1, 2]

    cache.put(3, "first")
    assert list(cache) == [1, 2, 3]


def test_what_is_discarded_is_gone() -> None:
    """And what was never there may be discarded as well."""
    cache = Cache[str, str](5)
    cache.put("app", "found")

    cache.discard("app")
    cache.discard("app")

    assert cache.get("app") is None


async def test_those_who_come_together_cause_one_look_up() -> None:
    """They get one and the same answer; whoever comes after it is done causes another."""
    flight, begun = SingleFlight[str, object](), 0

    async def work() -> object:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0)
        return object()

    together = await asyncio.gather(*(flight.run("key", work) for _ in range(20)))
    assert (len(set(together)), begun) == (1, 1)

    await flight.run("key", work)
    assert begun == 2


async def test_whoever_goes_away_does_not_stop_the_others() -> None:
    """The one who caused the look-up hangs up; another one gets its answer."""
    flight, may_end = SingleFlight[str, str](), asyncio.Event()

    async def work() -> str:
        await may_end.wait()
        return "found"

    first, second = (asyncio.create_task(flight.run("key", work)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    may_end.set()

    assert await second == "found"


async def test_a_failure_reaches_all_and_is_not_kept() -> None:
    """The next one tries again."""
    flight = SingleFlight[str, str]()

    async def fail() -> str:
        raise OSError("away")

    async def succeed() -> str:
        return "found"

    failed = await asyncio.gather(*(flight.run("key", fail) for _ in range(2)), return_exceptions=True)
    assert [type(each) for each in failed] == [OSError, OSError]

    with pytest.raises(OSError, match=r"^away$"):
        await flight.run("key", fail)
    assert await flight.run("key", succeed) == "found"
