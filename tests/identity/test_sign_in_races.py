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
from tests.support.people import PASSWORD, Organization
from tests.support.sign_in_attempts import SignInAttempts, meet
from tests.support.wire import audit

pytestmark = pytest.mark.both_databases("who comes first is decided by each database's locks")

Change = Callable[[AsyncSession, User, SignInAttempts], Awaitable[None]]


@pytest.fixture
def attempts(organization: Organization, clock: kit_clock.Frozen) -> Iterator[SignInAttempts]:
    """A user to sign in as, a clock that stands still, and no refusals counted before or after."""
    sign_in_load.audit_budget.reset()
    yield SignInAttempts(organization)
    sign_in_load.audit_budget.reset()


async def _disabled(session: AsyncSession, user: User, attempts: SignInAttempts) -> None:
    await users.disable(session, user, by=attempts.organization.admin.actor)


async def _reset(session: AsyncSession, user: User, attempts: SignInAttempts) -> None:
    await changes.reset_password(session, user, by=attempts.organization.admin.actor)


@pytest.mark.parametrize("changed", [_disabled, _reset])
def test_a_sign_in_that_meets_a_change_of_the_account_opens_nothing(attempts: SignInAttempts, changed: Change) -> None:
    """The password was right when it was hashed; what was committed before the judgement counts."""

    async def change(session: AsyncSession) -> None:
        await changed(session, await users.get(session, attempts.organization.id, attempts.person.id), attempts)

    outcome = meet(attempts.server, change, lambda: attempts.judge(attempts.tried(PASSWORD)))

    assert isinstance(outcome.refusal, Unauthenticated)
    assert open_sessions(attempts.organization, attempts.person) == 0


def test_a_password_given_again_while_it_is_reset_counts_for_nothing(attempts: SignInAttempts) -> None:
    """The session is over, and is not told otherwise."""
    opened = open_session(attempts.organization, attempts.person)

    async def reset(session: AsyncSession) -> None:
        await _reset(session, await users.get(session, attempts.organization.id, attempts.person.id), attempts)

    async def find(session: AsyncSession) -> sessions.SignedInUser | None:
        return await sessions.find(session, opened.token, attempts.server.settings)

    signed_in = attempts.organization.write(find)
    assert signed_in is not None

    async def prove() -> sign_in.Outcome:
        async with attempts.server.database.transaction() as session:
            return await sign_in.reauthenticate(
                session, signed_in, attempts.tried(PASSWORD), attempts.server.services.secrets, by=attempts.person.actor
            )

    assert isinstance(meet(attempts.server, reset, prove).refusal, Unauthenticated)


def test_a_change_of_password_that_meets_a_reset_does_not_undo_it(attempts: SignInAttempts) -> None:
    """Who knows only the old password cannot choose the next one."""

    async def reset(session: AsyncSession) -> None:
        await _reset(session, await users.get(session, attempts.organization.id, attempts.person.id), attempts)

    async def change() -> None:
        async with attempts.server.database.transaction() as session:
            user = await users.get(session, attempts.organization.id, attempts.person.id)
            await changes.set_password(session, user, current=PASSWORD, new="a wholly different sentence", by=attempts.person.actor)

    assert isinstance(meet(attempts.server, reset, change), Invalid)
    user = row(attempts.organization, attempts.person)
    assert user is not None
    assert user.must_change_password


def test_signing_in_again_ends_the_session_that_the_browser_had(attempts: SignInAttempts) -> None:
    """Whoever's it was, with an event for its owner; a copy of the old cookie opens nothing."""
    other = attempts.organization.user("Other User")
    mine, theirs = open_session(attempts.organization, attempts.person), open_session(attempts.organization, other)

    for before in (mine, theirs):
        assert attempts.attempt(PASSWORD, previous=before.token).session is not None

    assert open_sessions(attempts.organization, attempts.person) == 2
    assert open_sessions(attempts.organization, other) == 0
    assert len(audit(attempts.organization, "session.ended", target_id=other.id)) == 1


def test_a_refused_sign_in_leaves_the_session_that_the_browser_had(attempts: SignInAttempts) -> None:
    """A wrong password signs nobody out, and an invented cookie is no obstacle."""
    opened = open_session(attempts.organization, attempts.person)

    attempts.attempt("wrong", previous=opened.token)

    assert open_sessions(attempts.organization, attempts.person) == 1
    assert attempts.attempt(PASSWORD, previous="no such token").session is not None
