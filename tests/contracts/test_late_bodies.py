"""What a browser session may do is decided again once the body of its request has come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor
from latchpin.identity import sessions, users
from latchpin.identity.roles import Group
from latchpin.storage.models import User
from tests.support import slow_body
from tests.support.people import Organization, Person
from tests.support.signed_in import SignedIn

FORM = b"full_name=Eve&email=eve.{number}%40example.com&group=Administrator&password=a-password-of-hers"
JSON = b'{"fullName": "Eve", "email": "eve.{number}@example.com", "group": "Administrator"}'
ENDPOINTS = {
    "page": ("/organization/users/new", "application/x-www-form-urlencoded", FORM),
    "api": ("/api/v1/admin/users", "application/json", JSON),
}
Act = Callable[[AsyncSession, User], Awaitable[object]]


async def _disable(session: AsyncSession, user: User) -> None:
    await users.disable(session, user, by=_nobody(user))


async def _demote(session: AsyncSession, user: User) -> None:
    await users.change(session, user, group=Group.USER, by=_nobody(user))


async def _sign_out(session: AsyncSession, user: User) -> None:
    await sessions.end_all(session, user.id)


def _nobody(user: User) -> Actor:
    return Person(user.id, user.email, user.full_name, user.organization_id, Group.ADMINISTRATOR).actor


def _late(organization: Organization, endpoint: str, act: Act) -> tuple[int, int]:
    """Send a form for a new administrator, while `act` befalls the sender; returns the status and how many were made."""
    path, kind, text = ENDPOINTS[endpoint]
    body = text.replace(b"{number}", b"%d" % organization.number)
    server = organization.server
    sender = organization.user("Mallory Admin", Group.ADMINISTRATOR)
    headers = {**SignedIn(server, sender).headers, "content-type": kind, "content-length": str(len(body)), "host": "127.0.0.1"}

    async def meanwhile() -> None:
        async with server.database.transaction() as session:
            await act(session, await users.get(session, organization.id, sender.id))

    async def made(session: AsyncSession) -> int:
        return await session.scalar(select(func.count()).where(User.organization_id == organization.id, User.full_name == "Eve")) or 0

    return slow_body.send(server, path, headers, body, meanwhile), organization.write(made)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("act", [_disable, _demote, _sign_out], ids=["disabled", "demoted", "signed-out"])
def test_who_loses_the_right_while_the_body_is_under_way_changes_nothing(organization: Organization, endpoint: str, act: Act) -> None:
    """An administrator who is disabled, demoted or signed out meanwhile makes no administrator any more."""
    status, count = _late(organization, endpoint, act)

    assert count == 0
    assert status in (303, 401, 403)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_late_body_of_a_sound_session_is_taken(organization: Organization, endpoint: str) -> None:
    """Taking long is no mistake."""

    async def nothing(_session: AsyncSession, _user: User) -> None:
        return

    status, count = _late(organization, endpoint, nothing)

    assert (status, count) in ((303, 1), (201, 1))
