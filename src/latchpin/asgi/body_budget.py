"""How many bytes of request bodies are in memory at once: of one client subnet, and of all.

A body is kept until its request is answered, and an unfinished one may take BODY_SECONDS to arrive. So what many connections may hold
together is bounded here; what one body may hold is bounded where it is read. Each process counts for itself.
"""

from __future__ import annotations

from latchpin.errors import Overloaded, Throttled
from latchpin.kit import client_subnet
from latchpin.kit.counted_lines import CountedLines
from latchpin.kit.logger import Logger

BODIES_PER_SUBNET, BODIES_IN_ALL = 8, 64  # of the largest size that the deployment takes
_WAIT_SECONDS = 5
_log = Logger(__name__)


class BodyBudget:
    """Counts for one process. `largest` is the largest body in bytes that the deployment takes."""

    def __init__(self, largest: int) -> None:
        self._most_of_subnet, self._most = BODIES_PER_SUBNET * largest, BODIES_IN_ALL * largest
        self._of_subnet: dict[str, int] = {}
        self._total = 0
        self._lines = CountedLines()

    def __len__(self) -> int:
        """The bytes that are held."""
        return self._total

    @property
    def subnets(self) -> int:
        """How many subnets hold something."""
        return len(self._of_subnet)

    def take(self, address: str | None, size: int) -> None:
        """Hold some bytes more for a client; raises Throttled or Overloaded, and holds nothing then, where they are too many.

        They have arrived by then, so the bound is passed by one message of the server, some 64 KB, for each connection.
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
        """Let go of bytes that were held."""
        if not size:
            return
        subnet = client_subnet.of(address)
        self._total -= size
        left = self._of_subnet[subnet] - size
        if left:
            self._of_subnet[subnet] = left
        else:
            del self._of_subnet[subnet]
