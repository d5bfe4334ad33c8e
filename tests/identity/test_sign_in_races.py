"""Signing in while somebody changes the account, and what becomes of the session that the browser had."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Invalid, Unauthenticated
from latchpin.identity import sessions, sign_in, sign_in_load, users
from latchpin.kit import clock as kit_clock
from latchpin.storage.models import User
from tests.support import changes
from tests.support.changes import open_sessions, row
from tests.support.changes import sign_in as open_session
from tests.support.door import Door, meet
from tests.support.people import PASSWORD, Organization
from tests.support.wire import audit

pytestmark = pytest.mark.both_databases("who comes first is decided by each database's locks")

Change = Callable[[AsyncSession, User, Door], Awaitable[None]]


@pytest.fixture
def door(organization: Organization, clock: kit_clock.Frozen) -> Iterator[Door]:
    """A user to sign in as, a clock that stands still, and no refusals counted before or after."""
    sign_in_load.audit_budget.reset()
    yield Door(organization)
    sign_in_load.audit_budget.reset()


async def _disabled(session: AsyncSession, user: User, door: Door) -> None:
    await users.disable(session, user, by=door.organization.admin.actor)


async def _reset(session: AsyncSession, user: User, door: Door) -> None:
    await changes.reset_password(session, user, by=door.organization.admin.actor)


@pytest.mark.parametrize("changed", [_disabled, _reset])
def test_a_sign_in_that_meets_a_change_of_the_account_opens_nothing(door: Door, changed: Change) -> None:
    """The password was right when it was hashed; what was committed before the judgement counts."""

    async def change(session: AsyncSession) -> None:
        await changed(session, await users.get(session, door.organization.id, door.person.id), door)

    outcome = meet(door.server, change, lambda: door.judge(door.tried(PASSWORD)))

    assert isinstance(outcome.refusal, Unauthenticated)
    assert open_sessions(door.organization, door.person) == 0


def test_a_password_given_again_while_it_is_reset_counts_for_nothing(door: Door) -> None:
    """The session is over, and is not told otherwise."""
    opened = open_session(door.organization, door.person)

    async def reset(session: AsyncSession) -> None:
        await _reset(session, await users.get(session, door.organization.id, door.person.id), door)

    async def find(session: AsyncSession) -> sessions.SignedInUser | None:
        return await sessions.find(session, opened.token, door.server.settings)

    signed_in = door.organization.write(find)
    assert signed_in is not None

    async def prove() -> sign_in.Outcome:
        async with door.server.database.transaction() as session:
            return await sign_in.reauthenticate(
                session, signed_in, door.tried(PASSWORD), door.server.services.secrets, by=door.person.actor
            )

    assert isinstance(meet(door.server, reset, prove).refusal, Unauthenticated)


def test_a_change_of_password_that_meets_a_reset_does_not_undo_it(door: Door) -> None:
    """Who knows only the old password cannot choose the next one."""

    async def reset(session: AsyncSession) -> None:
        await _reset(session, await users.get(session, door.organization.id, door.person.id), door)

    async def change() -> None:
        async with door.server.database.transaction() as session:
            user = await users.get(session, door.organization.id, door.person.id)
            await changes.set_password(session, user, current=PASSWORD, new="a wholly different sentence", by=door.person.actor)

    assert isinstance(meet(door.server, reset, change), Invalid)
    user = row(door.organization, door.person)
    assert user is not None
    assert user.must_change_password


def test_signing_in_again_ends_the_session_that_the_browser_had(door: Door) -> None:
    """Whoever's it was, with an event for its owner; a copy of the old cookie opens nothing."""
    other = door.organization.user("Other User")
    mine, theirs = open_session(door.organization, door.person), open_session(door.organization, other)

    for before in (mine, theirs):
        assert door.attempt(PASSWORD, previous=before.token).session is not None

    assert open_sessions(door.organization, door.person) == 2
    assert open_sessions(door.organization, other) == 0
    assert len(audit(door.organization, "session.ended", target_id=other.id)) == 1


def test_a_refused_sign_in_leaves_the_session_that_the_browser_had(door: Door) -> None:
    """A wrong password signs nobody out, and an invented cookie is no obstacle."""
    opened = open_session(door.organization, door.person)

    door.attempt("wrong", previous=opened.token)

    assert open_sessions(door.organization, door.person) == 1
    assert door.attempt(PASSWORD, previous="no such token").session is not None
