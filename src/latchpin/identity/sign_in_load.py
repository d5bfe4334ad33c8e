"""Limits for a flood of sign-ins in this process: how many are in progress at once, and how many audit rows they may write.

Both are kept in memory, since they bound this process's threads, connections and writes; the limits on guessing are in the database.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from latchpin.audit import Origin
from latchpin.errors import Throttled
from latchpin.kit import clock

MOST_AT_ONCE = 4
ROWS_A_MINUTE, ROWS_AN_HOUR = 120, 2000
MOST_SHED_KINDS = 500
_running: Counter[bytes] = Counter()


@dataclass(frozen=True, slots=True)
class TargetUser:
    """The user whose e-mail address an attempt has."""

    id: int
    email: str
    organization_id: int


@contextmanager
def reserve_slot(limiter_key: bytes, target: TargetUser | None, origin: Origin) -> Iterator[None]:
    """Hold one of the few slots of a client subnet; raises Throttled where all are taken.

    An attempt without a slot costs no hashing, no waiting connection and no transaction: an attempt with a slot records it.
    """
    if _running[limiter_key] >= MOST_AT_ONCE:
        shed_attempts.add(limiter_key, target, origin)
        raise Throttled("Too many tries at the same moment. Try again in a few seconds.", retry_after=2)
    _running[limiter_key] += 1
    try:
        yield
    finally:
        _running[limiter_key] -= 1
        if not _running[limiter_key]:
            del _running[limiter_key]


class AuditBudget:
    """How many refusals have an audit row of their own in this minute and hour, and how many have none yet."""

    def __init__(self) -> None:
        self._minute_started = self._hour_started = -math.inf
        self._written = self._written_in_hour = self._unwritten = 0

    def allow(self, count: int = 1) -> bool:
        """Whether one more refusal, or `count` of a kind together, gets its own row; otherwise they count for the next total."""
        at = clock.monotonic()
        if at - self._minute_started >= 60:  # noqa: PLR2004  a minute
            self._minute_started, self._written = at, 0
        if at - self._hour_started >= 3600:  # noqa: PLR2004  an hour
            self._hour_started, self._written_in_hour = at, 0
        if self._written >= ROWS_A_MINUTE or self._written_in_hour >= ROWS_AN_HOUR:
            self.leave_out(count)
            return False
        self._written += 1
        self._written_in_hour += 1
        return True

    def leave_out(self, count: int) -> None:
        """Count refusals without their own row for the next total."""
        self._unwritten += count

    @property
    def unwritten(self) -> int:
        """How many refusals have no row yet."""
        return self._unwritten

    def take_unwritten(self) -> int:
        """Return how many refusals have no row, for the caller to write as one total, and reset that number."""
        unwritten, self._unwritten = self._unwritten, 0
        return unwritten

    def reset(self) -> None:
        """Start a new minute and hour with all counts at zero."""
        self._minute_started = self._hour_started = -math.inf
        self._written = self._written_in_hour = self._unwritten = 0


@dataclass(slots=True)
class ShedAttempts:
    """Attempts that got no slot: the user, where the first came from, and how many."""

    target: TargetUser | None
    origin: Origin
    count: int = 0


class ShedLog:
    """Attempts without a slot that are not recorded yet, by client subnet or browser and by user; too many kinds are only counted."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, dict[TargetUser | None, ShedAttempts]] = {}
        self._kinds = 0

    def add(self, limiter_key: bytes, target: TargetUser | None, origin: Origin) -> None:
        """Count one attempt."""
        attempts = self._waiting.get(limiter_key, {}).get(target)
        if attempts is None:
            if self._kinds >= MOST_SHED_KINDS:
                audit_budget.leave_out(1)
                return
            self._kinds += 1
            attempts = self._waiting.setdefault(limiter_key, {})[target] = ShedAttempts(target, origin)
        attempts.count += 1

    def take(self, limiter_key: bytes | None = None) -> list[ShedAttempts]:
        """Return and remove those of one client subnet or known browser, or all: the caller records them."""
        taken = [self._waiting.pop(each, {}) for each in ([limiter_key] if limiter_key is not None else list(self._waiting))]
        all_attempts = [attempts for each in taken for attempts in each.values()]
        self._kinds -= len(all_attempts)
        return all_attempts

    def __len__(self) -> int:
        """The number of client subnets and browsers with such attempts."""
        return len(self._waiting)


audit_budget = AuditBudget()
shed_attempts = ShedLog()
