"""The replaceable clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

from latchpin.kit import clock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_frozen_clock_moves_only_by_hand() -> None:
    """Tests move time instead of waiting for it."""
    with clock.Frozen(NOON) as frozen:
        assert clock.now() == NOON
        frozen.advance(timedelta(hours=1))
        assert clock.timestamp() == NOON.timestamp() + 3600

    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_monotonic_clock_takes_no_part_in_corrections_of_the_wall_clock() -> None:
    """Durations are measured on a clock that grows as time passes, and never goes back."""
    with clock.Frozen(NOON) as frozen:
        begin = clock.monotonic()
        frozen.set_wall(timedelta(hours=-3))
        assert clock.now() == NOON - timedelta(hours=3)
        assert clock.monotonic() == begin
        frozen.advance(timedelta(hours=1))
        assert clock.monotonic() == begin + 3600

    assert clock.monotonic() >= begin + 3600


def test_a_time_is_written_in_utc_with_z() -> None:
    """The wire shows UTC and `Z`, whatever zone a time came in, and fractions only where there are any."""
    assert clock.iso(datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))) == "2026-03-01T12:00:00Z"
    assert clock.iso(NOON + timedelta(milliseconds=5)) == "2026-03-01T12:00:00.005000Z"


async def test_waiting_follows_a_clock_that_is_moved() -> None:
    """Whoever waits for a moment goes on when the clock has been moved there."""
    with clock.Frozen(NOON) as frozen:
        waiting = asyncio.create_task(clock.wait_until(clock.monotonic() + 60))
        await asyncio.sleep(0)
        assert not waiting.done()
        frozen.advance(timedelta(minutes=1))
        await asyncio.wait_for(waiting, 5)
