"""Strict revocation: `latchpin serve --workers 4` under load from four processes, and no late acceptance at all.

A request counts as late when it began after the change that takes its right away had been answered, and was accepted all the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from latchpin.identity.roles import Group, Role
from tests.support.databases import Templates
from tests.support.load import Plan, Progress, Report, loads
from tests.support.office import Issued, office, revoke_over_http
from tests.support.processes import Serving, serving

REVOCATIONS = 1000
ROUNDS = 12
_GROUPS = (Group.USER, Group.USER, Group.ADMINISTRATOR, Group.USER)  # of the users who are disabled, removed, demoted, lose their key
AT_ONCE = 2
PROCESSES = 4
Change = Callable[[int], Awaitable[float]]
pytestmark = pytest.mark.slow


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
        """Keys that were accepted at least once, so that there was something to take away."""
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


async def under_load(served: Serving, path: str, issued: Sequence[Issued], change: Change, place: Path) -> Result:
    """Make the change to one key after the other while four processes send requests with the keys around it."""
    progress = Progress(place / "progress")
    plan = Plan(served.settings.port, path, [key.secret for key in issued], str(place / "progress"))
    answered: dict[int, float] = {}
    with loads([plan] * PROCESSES) as reports:
        while served.process.poll() is None and not await _warm(served, issued[: plan.ahead]):
            pass
        began = time.monotonic()
        for first in range(0, len(issued), AT_ONCE):
            progress.position = first
            batch = range(first, min(first + AT_ONCE, len(issued)))
            answered.update(zip(batch, await asyncio.gather(*map(change, batch)), strict=True))
        seconds = time.monotonic() - began
        afterwards = [served.status(path, key.secret) for key in issued[-plan.behind :]]
    return Result(reports, answered, seconds, afterwards)


async def _warm(served: Serving, first: Sequence[Issued]) -> bool:
    return all([await asyncio.to_thread(served.status, "/api/v1/spaces", key.secret) == 200 for key in first])


def tell(capsys: pytest.CaptureFixture[str], name: str, result: Result) -> None:
    """Print the figures, whatever pytest captures."""
    with capsys.disabled():
        print(  # noqa: T201  the figures are what the test is for
            f"\n{name}: {result.requests} requests {result.statuses()} in {result.seconds:.1f} s by {result.servers()} server processes, "
            f"{len(result.answered)} changes, {result.seconds / len(result.answered) * 1000:.1f} ms each, "
            f"{len(result.used)} keys accepted before, {result.late} late acceptances"
        )


@pytest.fixture
def served(kind: str, templates: Templates, tmp_path: Path) -> Iterator[Serving]:
    """`latchpin serve --workers 4` on a fresh database."""
    with templates.fresh(kind, tmp_path) as url, serving(tmp_path, url, workers=4) as running:
        yield running


async def test_no_request_that_begins_after_a_revocation_was_answered_is_accepted(
    served: Serving, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A thousand keys are revoked, by another process and over HTTP in turn, while four processes hammer four server processes."""
    async with office(served) as own:
        issued = [key for _ in range(REVOCATIONS // 200) for key in await own.keys(await own.user(), 200)]

        async with await own.pages() as pages:

            def revoke(index: int) -> Awaitable[float]:
                return own.revoke(issued[index]) if index % 2 else revoke_over_http(pages, issued[index])

            result = await under_load(served, "/api/v1/agent/all", issued, revoke, tmp_path)

    tell(capsys, f"revocation, {kind}", result)
    assert result.late == 0
    assert set(result.statuses()) == {"200", "401"}
    assert result.servers() == 4
    assert len(result.used) > REVOCATIONS * 0.8


async def test_every_other_narrowing_change_holds_at_once(
    served: Serving, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user disabled, a Space member removed, an administrator demoted, a key deleted: no later request sees the Space any more."""
    async with office(served) as own:
        space_id = await own.space()
        issued = [(await own.keys(await own.user(_GROUPS[turn % len(_GROUPS)]), 1))[0] for turn in range(len(_GROUPS) * ROUNDS)]
        for key in issued:
            await own.member(space_id, key, Role.VIEWER)

        def remove(key: Issued) -> Awaitable[float]:
            return own.member(space_id, key, None)

        async def narrow(turn: int) -> float:
            assert await asyncio.to_thread(served.status, f"/api/v1/spaces/{space_id}", issued[turn].secret) == 200
            return await (own.disable, remove, own.demote, own.delete)[turn % len(_GROUPS)](issued[turn])

        result = await under_load(served, f"/api/v1/spaces/{space_id}", issued, narrow, tmp_path)

    tell(capsys, f"other narrowing changes, {kind}", result)
    assert result.late == 0
    assert set(result.statuses()) == {"200", "401", "404"}


async def test_a_sooner_expiry_holds_in_every_process(
    served: Serving, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An expiry moved to the next moment is kept by processes that remember the later one."""
    async with office(served) as own:
        issued = await own.keys(await own.user(), ROUNDS)

        result = await under_load(served, "/api/v1/agent/all", issued, lambda index: own.expire(issued[index]), tmp_path)

    tell(capsys, f"sooner expiry, {kind}", result)
    assert result.late == 0
    assert set(result.statuses()) == {"200", "401"}
