"""What a flood of sign-ins may cost this process: how many are worked on at once, and how many rows of the audit trail it may fill.

Both are kept in memory, since they bound this process's threads, connections and writes; the limits on guessing are in the database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from latchpin.errors import Throttled
from latchpin.kit import clock

MOST_AT_ONCE = 4
ROWS_A_MINUTE = 120
_under_way: Counter[bytes] = Counter()


@contextmanager
def place(whose: bytes) -> Iterator[None]:
    """Hold one of the few places that tries of one household have; raises Throttled where all are taken.

    A try without a place costs no hashing, no waiting connection, and no row.
    """
    if _under_way[whose] >= MOST_AT_ONCE:
        raise Throttled("Too many tries at the same moment. Try again in a few seconds.", retry_after=2)
    _under_way[whose] += 1
    try:
        yield
    finally:
        _under_way[whose] -= 1
        if not _under_way[whose]:
            del _under_way[whose]


class Rows:
    """How many refusals have got an audit row of their own in this minute, and how many since then have none yet."""

    def __init__(self) -> None:
        self._begun = 0.0
        self._written = 0
        self._unwritten = 0

    def allow(self) -> bool:
        """Whether one more refusal gets a row of its own; where not, it is counted for the next total."""
        at = clock.timestamp()
        if not 0 <= at - self._begun < 60:  # noqa: PLR2004  a minute
            self._begun, self._written = at, 0
        if self._written >= ROWS_A_MINUTE:
            self._unwritten += 1
            return False
        self._written += 1
        return True

    def take_unwritten(self) -> int:
        """Return how many refusals have no row, for the caller to write as one total, and begin to count anew."""
        unwritten, self._unwritten = self._unwritten, 0
        return unwritten

    def reset(self) -> None:
        """Begin a new minute with nothing counted."""
        self._begun, self._written, self._unwritten = 0.0, 0, 0


rows = Rows()
