"""Counts of what credentials did, for the audit log: the first use of each kind is written at once, later ones as totals.

The number of separate kinds is limited, per credential and in all. The excess goes to a total of its credential, and beyond
those to one of its organization, so that nothing is dropped without a count and one credential hides no other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from latchpin.audit import Actor, Origin, events
from latchpin.kit import client_subnet

subnet = lru_cache(10_000)(client_subnet.of)


@dataclass(slots=True)
class UseCounter:
    """How often one kind of event happened since it was last written; `written_at` is on the monotonic clock.

    `actor` has the origin of the first time since then; where others came from another address of its subnet, the address is the subnet,
    and where they came from other subnets, it is None. A tally of many credentials is `nameless`: it has no origin.
    """

    event: events.Event
    actor: Actor
    nameless: bool = False
    owner: Hashable = None
    count: int = 0
    written_at: float = -math.inf

    def begin(self, origin: Origin) -> None:
        """Record the origin of the first one since the last writing."""
        if not self.nameless:
            self.actor = replace(self.actor, origin=origin)

    def widen(self, address: str | None) -> None:
        """Record the origin of another one."""
        recorded_address = self.actor.origin.address
        if recorded_address in (None, address):
            return
        wider = subnet(address)
        origin = replace(self.actor.origin, address=wider if wider in (recorded_address, subnet(recorded_address)) else None)
        self.actor = replace(self.actor, origin=origin)

    def total(self, count: int) -> events.Event:
        """Return the event for `count` of them."""
        return replace(self.event, count=count)


class Counters:
    """Tallies by kind. `most` is the limit of separate kinds, and of totals of credentials beside them."""

    def __init__(self, *, seconds: float, most: int) -> None:
        self.seconds = seconds
        self._most = most
        self._exact: dict[Hashable, UseCounter] = {}
        self._totals: dict[Hashable, UseCounter] = {}
        self._rest: dict[Hashable, UseCounter] = {}
        self._owned: Counter[Hashable] = Counter()

    def get(self, kind: Hashable) -> UseCounter | None:
        """Return the tally of a kind that has one already."""
        return self._exact.get(kind)

    def open(self, kind: Hashable, owner: Hashable, most_of_owner: int, make: Callable[[], UseCounter]) -> UseCounter | None:
        """Create a tally for another kind; None where the owner, or all together, have reached the limit."""
        if self._owned[owner] >= most_of_owner or len(self._exact) >= self._most:
            return None
        self._owned[owner] += 1
        tally = self._exact[kind] = make()
        tally.owner = owner
        return tally

    def total(self, kind: Hashable, make: Callable[[], UseCounter]) -> UseCounter | None:
        """Return the total of a credential; None where the limit of totals is reached."""
        tally = self._totals.get(kind)
        if tally is None and len(self._totals) < self._most:
            tally = self._totals[kind] = make()
        return tally

    def rest(self, kind: Hashable, make: Callable[[], UseCounter]) -> UseCounter:
        """Return the total of what has no other tally; there must be few values of `kind`."""
        tally = self._rest.get(kind)
        if tally is None:
            tally = self._rest[kind] = make()
        return tally

    def __iter__(self) -> Iterator[UseCounter]:
        for tallies in (self._exact, self._totals, self._rest):
            yield from tallies.values()

    def __len__(self) -> int:
        """The number of tallies in memory."""
        return len(self._exact) + len(self._totals) + len(self._rest)

    def due(self, now: float, *, everything: bool) -> list[UseCounter]:
        """Return the tallies that are due to be written."""
        return [tally for tally in self if tally.count and (everything or now - tally.written_at >= self.seconds)]

    def discard(self, now: float) -> None:
        """Drop tallies that counted nothing for a whole period."""

        def left(tallies: dict[Hashable, UseCounter]) -> dict[Hashable, UseCounter]:
            return {kind: tally for kind, tally in tallies.items() if tally.count or now - tally.written_at < self.seconds}

        self._exact, self._totals, self._rest = left(self._exact), left(self._totals), left(self._rest)
        self._owned = Counter(tally.owner for tally in self._exact.values())
