"""Strict revocation: `latchpin serve --workers 4` under load from four processes, and no late acceptance at all.

A request counts as late when it began after the change that takes its right away had been answered, and was accepted all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from pathlib import Path

import pytest

from latchpin.identity.roles import Group, Role
from tests.support.databases import Templates
from tests.support.office import Issued, office, revoke_over_http
from tests.support.processes import Serving, serving
from tests.support.under_load import tell, under_load

REVOCATIONS = 1000
ROUNDS = 12
_GROUPS = (Group.USER, Group.USER, Group.ADMINISTRATOR, Group.USER)  # of the users who are disabled, removed, demoted, lose their key
pytestmark = [pytest.mark.slow, pytest.mark.both_databases("the generation is a shared file on SQLite and a column on PostgreSQL")]


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
        keys = [key for _ in range(REVOCATIONS // 200) for key in await own.keys(await own.user(), 200)]

        async with await own.pages() as pages:

            def revoke(index: int) -> Awaitable[float]:
                return own.revoke(keys[index]) if index % 2 else revoke_over_http(pages, keys[index])

            result = await under_load(served, "/api/v1/agent/all", keys, revoke, tmp_path)

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
        keys = [(await own.keys(await own.user(_GROUPS[turn % len(_GROUPS)]), 1))[0] for turn in range(len(_GROUPS) * ROUNDS)]
        for key in keys:
            await own.member(space_id, key, Role.VIEWER)

        def remove(key: Issued) -> Awaitable[float]:
            return own.member(space_id, key, None)

        async def narrow(turn: int) -> float:
            assert await asyncio.to_thread(served.status, f"/api/v1/spaces/{space_id}", keys[turn].secret) == 200
            return await (own.disable, remove, own.demote, own.delete)[turn % len(_GROUPS)](keys[turn])

        result = await under_load(served, f"/api/v1/spaces/{space_id}", keys, narrow, tmp_path)

    tell(capsys, f"other narrowing changes, {kind}", result)
    assert result.late == 0
    assert set(result.statuses()) == {"200", "401", "404"}


async def test_a_sooner_expiry_holds_in_every_process(
    served: Serving, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An expiry moved to the next moment is kept by processes that remember the later one."""
    async with office(served) as own:
        keys = await own.keys(await own.user(), ROUNDS)

        result = await under_load(served, "/api/v1/agent/all", keys, lambda index: own.expire(keys[index]), tmp_path)

    tell(capsys, f"sooner expiry, {kind}", result)
    assert result.late == 0
    assert set(result.statuses()) == {"200", "401"}
