"""Changes that take rights away, made while four processes send requests with the credentials around the one that is being changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.load import Plan, Progress, Report, loads
from tests.support.office import Issued
from tests.support.processes import Serving

AT_ONCE = 2
PROCESSES = 4
Change = Callable[[int], Awaitable[float]]


@dataclass(slots=True)
class Result:
    """What a run under load came to."""

    reports: list[Report]
    answered: dict[int, float]
    seconds: float
    afterwards: list[int]

    @property
    def late(self) -> int:
        """Requests that began after the answer and were accepted."""
        under = [(int(index), began) for report in self.reports for index, times in report.accepted.items() for began in times]
        return sum(began > self.answered[index] for index, began in under) + self.afterwards.count(200)

    @property
    def requests(self) -> int:
        """All requests that were answered."""
        return sum(report.requests for report in self.reports)

    @property
    def used(self) -> set[int]:
        """Credentials that were accepted at least once, so that there was something to take away."""
        return {int(index) for report in self.reports for index in report.accepted}

    def statuses(self) -> dict[str, int]:
        """Answers by status."""
        return {
            status: sum(report.statuses.get(status, 0) for report in self.reports)
            for status in sorted({status for report in self.reports for status in report.statuses})
        }

    def servers(self) -> int:
        """Server processes that took part."""
        return len({name for report in self.reports for name in report.servers})


async def under_load(
    server: Serving, path: str, credentials: Sequence[Issued], change: Change, place: Path, *, scheme: str = "ApiKey"
) -> Result:
    """Make the change to one credential after the other while four processes send requests with those around it."""
    progress = Progress(place / "progress")
    plan = Plan(server.settings.port, path, [each.secret for each in credentials], str(place / "progress"), scheme=scheme)
    answered: dict[int, float] = {}
    with loads([plan] * PROCESSES) as reports:
        while server.process.poll() is None and not await _warm(server, credentials[: plan.ahead], scheme):
            pass
        began = time.monotonic()
        for first in range(0, len(credentials), AT_ONCE):
            progress.position = first
            batch = range(first, min(first + AT_ONCE, len(credentials)))
            answered.update(zip(batch, await asyncio.gather(*map(change, batch)), strict=True))
        seconds = time.monotonic() - began
        afterwards = [server.status(path, each.secret, scheme) for each in credentials[-plan.behind :]]
    return Result(reports, answered, seconds, afterwards)


async def _warm(server: Serving, first: Sequence[Issued], scheme: str) -> bool:
    return all([await asyncio.to_thread(server.status, "/api/v1/spaces", each.secret, scheme) == 200 for each in first])


def tell(capsys: pytest.CaptureFixture[str], name: str, result: Result, what: str = "keys") -> None:
    """Print the figures, whatever pytest captures."""
    with capsys.disabled():
        print(  # noqa: T201  the figures are what the test is for
            f"\n{name}: {result.requests} requests {result.statuses()} in {result.seconds:.1f} s by {result.servers()} server processes, "
            f"{len(result.answered)} changes, {result.seconds / len(result.answered) * 1000:.1f} ms each, "
            f"{len(result.used)} {what} accepted before, {result.late} late acceptances"
        )
