"""Strict revocation: `latchpin serve --workers 4` under load from four processes, and no late acceptance at all.

A request counts as late when it began after the change that takes its right away had been answered, and was accepted all the same.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor
from latchpin.identity import api_keys, organizations, policy, spaces, users
from latchpin.identity.roles import Group, Role
from latchpin.kit import clock
from latchpin.settings import Settings
from latchpin.storage import Database, secrets
from latchpin.storage.secrets import Secrets
from tests.support.databases import Templates
from tests.support.load import Plan, Progress, Report, loads
from tests.support.processes import Serving, serving

REVOCATIONS = 1000
ROUNDS = 12
_GROUPS = (Group.USER, Group.USER, Group.ADMINISTRATOR, Group.USER)  # of the users who are disabled, removed, demoted, lose their key
AT_ONCE = 4
PROCESSES = 4
BY = Actor("test")
Change = Callable[[int], Awaitable[float]]
pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Issued:
    """A key with its id and its user's."""

    id: int
    user_id: int
    secret: str


class Office:
    """A second way to the deployment's database, in the test's own process, as the command line has."""

    def __init__(self, chosen: Settings, kept: Secrets) -> None:
        self.settings, self.secrets = chosen, kept
        self.database = Database(chosen)
        self.organization_id = 0

    async def begin(self) -> None:
        """Make the organization with an administrator who stays."""
        async with self.database.transaction() as session:
            made = await organizations.create(session, "Acme", by=BY)
            self.organization_id = made.id
        await self.user(Group.ADMINISTRATOR)

    async def user(self, group: Group = Group.USER) -> int:
        """Make a user and return the id."""
        async with self.database.transaction() as session:
            number = await users.count(session)
            new = users.NewUser(full_name=f"User {number}", email=f"user.{number}@example.com", group=group)
            return (await users.create(session, self.organization_id, new, by=BY)).user.id

    async def keys(self, user_id: int, count: int) -> list[Issued]:
        """Issue keys."""
        async with self.database.transaction() as session:
            user = await users.get(session, self.organization_id, user_id)
            rules = await policy.get(session, self.organization_id, self.settings)
            made = [
                await api_keys.create(session, user, api_keys.NewKey(), policy=rules, secrets=self.secrets, by=BY) for _ in range(count)
            ]
            return [Issued(issued.key.id, user_id, issued.secret) for issued in made]

    async def change(self, work: Callable[[AsyncSession], Awaitable[object]]) -> float:
        """Run `work(session)` in one transaction; return when it was answered."""
        async with self.database.transaction() as session:
            await work(session)
        return time.monotonic()

    async def revoke(self, issued: Issued) -> float:
        """Revoke a key as the command line does; return when it was answered."""

        async def work(session: AsyncSession) -> None:
            await api_keys.revoke(session, await api_keys.get(session, self.organization_id, issued.id), by=BY)

        return await self.change(work)

    async def space(self) -> int:
        """Make a private Space and return its id."""
        async with self.database.transaction() as session:
            return (await spaces.create(session, self.organization_id, spaces.Entry(name="Retail"), by=BY)).id

    async def member(self, space_id: int, issued: Issued, role: Role | None) -> float:
        """Give the key's user a role in the Space, or take it away; return when it was answered."""

        async def work(session: AsyncSession) -> None:
            space = await spaces.owned(session, self.organization_id, space_id)
            user = await users.get(session, self.organization_id, issued.user_id)
            if user.user_group == Group.USER:  # an administrator sees the Space without being a member
                await spaces.set_member(session, space, user, role, by=BY)

        return await self.change(work)

    async def disable(self, issued: Issued) -> float:
        """Disable the key's user."""

        async def work(session: AsyncSession) -> None:
            await users.disable(session, await users.get(session, self.organization_id, issued.user_id), by=BY)

        return await self.change(work)

    async def demote(self, issued: Issued) -> float:
        """Make the key's administrator an ordinary user."""

        async def work(session: AsyncSession) -> None:
            user = await users.get(session, self.organization_id, issued.user_id)
            await users.change(session, user, group=Group.USER, by=BY)

        return await self.change(work)

    async def delete(self, issued: Issued) -> float:
        """Delete the key's entry."""

        async def work(session: AsyncSession) -> None:
            await api_keys.delete(session, await api_keys.get(session, self.organization_id, issued.id), by=BY)

        return await self.change(work)

    async def expire(self, issued: Issued) -> float:
        """Move the key's expiry to a moment from now; return that moment, once it is over, on the monotonic clock."""
        async with self.database.transaction() as session:
            rules = await policy.get(session, self.organization_id, self.settings)
            key = await api_keys.get(session, self.organization_id, issued.id)
            expires = clock.now() + timedelta(milliseconds=200)
            await api_keys.change_expiry(session, key, expires, policy=rules, by=BY)
        answered = time.monotonic()
        over = answered + (expires - clock.now()).total_seconds()
        await clock.wait_until(expires.timestamp() + 0.05)
        return max(answered, over)


@asynccontextmanager
async def office(served: Serving) -> AsyncIterator[Office]:
    """Open the served deployment's database a second time, with a fresh organization."""
    opened = Office(served.settings, secrets.load(served.settings.secrets_file))
    try:
        await opened.begin()
        yield opened
    finally:
        await opened.database.close()


@dataclass(slots=True)
class Result:
    """What a run under load came to."""

    reports: list[Report]
    answered: dict[int, float]
    seconds: float

    @property
    def late(self) -> int:
        """Requests that began after the answer and were accepted."""
        return sum(
            began > self.answered[int(index)] for report in self.reports for index, times in report.accepted.items() for began in times
        )

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
        for key in issued[-plan.behind :]:
            assert served.status(path, key.secret) in (401, 404)
    return Result(reports, answered, seconds)


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
        for process in running.workers():
            os.setpriority(os.PRIO_PROCESS, process, 5)  # so that on a small machine the thousand revocations get their turn
        yield running


async def test_no_request_that_begins_after_a_revocation_was_answered_is_accepted(
    served: Serving, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A thousand keys are revoked from another process while four processes hammer four server processes."""
    async with office(served) as own:
        issued = [key for _ in range(REVOCATIONS // 200) for key in await own.keys(await own.user(), 200)]

        result = await under_load(served, "/api/v1/agent/all", issued, lambda index: own.revoke(issued[index]), tmp_path)

    tell(capsys, f"revocation, {kind}", result)
    assert result.late == 0
    assert set(result.statuses()) == {"200", "401"}
    assert result.servers() == 4
    assert len(result.used) > REVOCATIONS * 0.9


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

        def narrow(turn: int) -> Awaitable[float]:
            return (own.disable, remove, own.demote, own.delete)[turn % len(_GROUPS)](issued[turn])

        result = await under_load(served, f"/api/v1/spaces/{space_id}", issued, narrow, tmp_path)

    tell(capsys, f"other narrowing changes, {kind}", result)
    assert result.late == 0
    assert set(result.statuses()) == {"200", "401", "404"}
    assert len(result.used) > len(issued) * 0.9


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
