"""Limits the bytes of request bodies that are in memory at once: for one client subnet, and for all clients.

A body is kept until its request is answered, and an unfinished one may take BODY_SECONDS to arrive. So the total of many connections
is limited here; the size of one body is limited where it is read. Each process counts for itself.
"""

from __future__ import annotations

from latchpin.errors import Overloaded, Throttled
from latchpin.kit import client_subnet
from latchpin.kit.counted_lines import CountedLines
from latchpin.kit.logger import Logger

BODIES_PER_SUBNET, BODIES_IN_ALL = 8, 64  # counted in bodies of the largest size that the deployment accepts
_WAIT_SECONDS = 5
_log = Logger(__name__)


class BodyBudget:
    """Counts for one process. `largest` is the size in bytes of the largest body that the deployment accepts."""

    def __init__(self, largest: int) -> None:
        self._most_of_subnet, self._most = BODIES_PER_SUBNET * largest, BODIES_IN_ALL * largest
        self._of_subnet: dict[str, int] = {}
        self._total = 0
        self._lines = CountedLines()

    def __len__(self) -> int:
        """The bytes that are held, of all clients."""
        return self._total

    @property
    def subnets(self) -> int:
        """How many subnets hold bytes."""
        return len(self._of_subnet)

    def take(self, address: str | None, size: int) -> None:
        """Hold `size` more bytes for a client; where these are too many, holds none of them and raises Throttled or Overloaded.

        The bytes have already arrived, so each connection can exceed the limit by one message of the server, about 64 KB.
        """
        subnet = client_subnet.of(address)
        of_subnet = self._of_subnet.get(subnet, 0) + size
        if of_subnet > self._most_of_subnet:
            detail = "Too many large requests from this network are under way. Send them one after the other."
            raise Throttled(detail, retry_after=_WAIT_SECONDS)
        if self._total + size > self._most:
            self._lines.note(
                _log.warning, "requests.overloaded", cause="bodies", detail=f"request bodies take more than {self._most} bytes"
            )
            raise Overloaded("Too many large requests are under way. Nothing was changed; try again in a moment.")
        self._of_subnet[subnet] = of_subnet
        self._total += size

    def give_back(self, address: str | None, size: int) -> None:
        """Release bytes that were held."""
        if not size:
            return
        subnet = client_subnet.of(address)
        self._total -= size
        left = self._of_subnet[subnet] - size
        if left:
            self._of_subnet[subnet] = left
        else:
            del self._of_subnet[subnet]
