"""Strict revocation of access tokens: they are signed for a quarter of an hour, and refused with the next request all the same.

A request counts as late when it began after the change that takes its right away had been answered, and was accepted all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from httpx import AsyncClient

from latchpin.identity.roles import Group, Role
from tests.support.apps import OFFLINE
from tests.support.databases import Templates
from tests.support.office import Granted, Issued, Office, office, withdraw_over_http
from tests.support.processes import Serving, serving
from tests.support.under_load import tell, under_load

REVOCATIONS = 200
ROUNDS = 5
pytestmark = [pytest.mark.slow, pytest.mark.both_databases("the generation is a shared file on SQLite and a column on PostgreSQL")]


@pytest.fixture
def served(kind: str, templates: Templates, tmp_path: Path) -> Iterator[Serving]:
    """`latchpin serve --workers 4` on a fresh database."""
    with templates.fresh(kind, tmp_path) as url, serving(tmp_path, url, workers=4) as running:
        yield running


@pytest.fixture
async def http(served: Serving) -> AsyncIterator[AsyncClient]:
    """An app's own HTTP client."""
    async with AsyncClient(base_url=served.url, timeout=30, trust_env=False) as client:
        yield client


async def test_no_request_that_begins_after_a_grant_ended_is_accepted(
    served: Serving, http: AsyncClient, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hundreds of grants end, by another process and over HTTP in turn, while four processes hammer four (security.md 49, 65)."""
    async with office(served) as own:
        app, person = await own.app(), await own.user()
        granted = [await own.granted(http, app, person) for _ in range(REVOCATIONS)]

        def end(index: int) -> Awaitable[float]:
            return own.end(granted[index]) if index % 2 else withdraw_over_http(http, granted[index])

        result = await under_load(served, "/api/v1/agent/all", granted, end, tmp_path, scheme="Bearer")

    tell(capsys, f"grant revocation, {kind}", result, "tokens")
    assert result.late == 0
    assert set(result.statuses()) == {"200", "401"}
    assert result.servers() == 4
    assert len(result.used) > REVOCATIONS * 0.8


async def test_every_other_end_of_a_token_holds_at_once(
    served: Serving, http: AsyncClient, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Users disabled, demoted, removed from a Space, sessions, apps and single tokens ended: 401 each (security.md 39, 49, 65)."""
    async with office(served) as own:
        space_id = await own.space()
        ends = _ends(own, http, space_id)
        granted = [await _granted(own, http, space_id, turn % len(ends)) for turn in range(len(ends) * ROUNDS)]

        async def end(turn: int) -> float:
            path = f"/api/v1/spaces/{space_id}"
            assert await asyncio.to_thread(served.status, path, granted[turn].secret, "Bearer") == 200
            return await ends[turn % len(ends)](granted[turn])

        result = await under_load(served, f"/api/v1/spaces/{space_id}", granted, end, tmp_path, scheme="Bearer")

    tell(capsys, f"other ends of tokens, {kind}", result, "tokens")
    assert result.late == 0
    assert set(result.statuses()) <= {"200", "401", "404"}  # 404 where the Space was taken away while the request was on its way
    assert set(result.afterwards) == {401}
    assert result.servers() == 4


def _ends(own: Office, http: AsyncClient, space_id: int) -> list[Callable[[Granted], Awaitable[float]]]:
    """Return what each kind of end does; the first is for an administrator, the second for what was granted for one sitting."""
    return [
        own.demote,
        own.sign_out,
        own.disable,
        own.change_password,
        own.revoke_client,
        lambda granted: own.member(space_id, granted, None),
        lambda granted: own.member(space_id, granted, Role.VIEWER),
        lambda granted: withdraw_over_http(http, granted, token=granted.secret),
    ]


async def _granted(own: Office, http: AsyncClient, space_id: int, turn: int) -> Granted:
    person = await own.user(Group.USER if turn else Group.ADMINISTRATOR)
    await own.member(space_id, Issued(0, person, own.organization_id, ""), Role.EDITOR)
    return await own.granted(http, await own.app(), person, "agents:read spaces:read" if turn == 1 else OFFLINE)
