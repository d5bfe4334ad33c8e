"""Users who go: the last administrator stays, keys die, agents are handed on, history is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Conflict
from latchpin.identity import api_keys, users
from latchpin.identity.roles import Group, Role
from latchpin.storage.models import Agent, ApiKey, AuditEvent, User
from latchpin.storage.models.user import UserStatus
from tests.support.changes import delete, demote, disable, row
from tests.support.people import Organization, Person
from tests.support.wire import audit

# ---- the last administrator ----


@pytest.mark.parametrize("last", ["disable", "demote", "delete"])
def test_the_last_active_administrator_stays(organization: Organization, last: str) -> None:
    """A disabled administrator does not count as another one."""
    second = organization.user("Second Admin", Group.ADMINISTRATOR)
    disable(organization, second)
    acts: dict[str, Callable[[], object]] = {
        "disable": lambda: disable(organization, organization.admin),
        "demote": lambda: demote(organization, organization.admin),
        "delete": lambda: delete(organization, organization.admin, second),
    }

    with pytest.raises(Conflict, match="last active administrator"):
        acts[last]()

    kept = row(organization, organization.admin)
    assert kept is not None
    assert (kept.status, kept.user_group) == (UserStatus.ACTIVE, "Administrator")


@pytest.mark.parametrize("act", ["disable", "demote"])
def test_two_administrators_cannot_remove_each_other_at_the_same_moment(organization: Organization, act: str) -> None:
    """Ten rounds in parallel; one of both always stays."""
    for _ in range(10):
        second = organization.user("Second Admin", Group.ADMINISTRATOR)

        async def remove(person: Person) -> None:
            async with organization.server.database.transaction() as session:
                user = await users.get(session, organization.id, person.id)
                if act == "disable":
                    await users.disable(session, user, by=organization.admin.actor)
                else:
                    await users.change(session, user, group=Group.USER, by=organization.admin.actor)

        async def both(second: Person = second) -> Any:
            return await asyncio.gather(remove(organization.admin), remove(second), return_exceptions=True)

        results = organization.server.run(both())

        assert sorted(type(result).__name__ for result in results) == ["Conflict", "NoneType"]
        _restore(organization)


def _restore(organization: Organization) -> None:
    """Leave the first administrator as the only one."""

    async def work(session: AsyncSession) -> None:
        for user in (await session.scalars(select(User).where(User.organization_id == organization.id))).all():
            first = user.id == organization.admin.id
            user.status = UserStatus.ACTIVE if first else UserStatus.DISABLED
            user.user_group = "Administrator" if first else "User"

    organization.write(work)


# ---- deleting ----


def test_deleting_a_user_kills_the_keys_and_hands_the_agents_on(organization: Organization) -> None:
    """Personal agents go to the heir's personal Space."""
    person = organization.user()
    organization.member(space := organization.space(), person, Role.EDITOR)
    shared, personal = organization.agent("Shared", space, person), organization.agent("Personal", None, person)
    key = organization.key(person)
    assert organization.get("/agent/all", key).status_code == 200

    assert delete(organization, person, organization.admin) == 1

    assert organization.get("/agent/all", key).status_code == 401
    assert row(organization, person) is None

    async def owners(session: AsyncSession) -> set[int]:
        return set((await session.scalars(select(Agent.user_id).where(Agent.id.in_((shared, personal))))).all())

    assert organization.write(owners) == {organization.admin.id}


def test_what_a_deleted_user_did_stays_in_the_audit_trail(organization: Organization) -> None:
    """By name and by id, with every key that ever was."""
    person = organization.user()
    key = organization.key(person)
    delete(organization, person, organization.admin)

    async def left(session: AsyncSession) -> tuple[int, list[str]]:
        keys = len((await session.scalars(select(ApiKey).where(ApiKey.user_id == person.id))).all())
        query = select(AuditEvent.action).where(AuditEvent.organization_id == organization.id).order_by(AuditEvent.id)
        return keys, list((await session.scalars(query)).all())

    keys, actions = organization.write(left)
    assert keys == 0
    assert {"user.created", "api_key.created", "user.deleted"} <= set(actions)
    assert len(audit(organization, "api_key.created", target_id=key.id)) == 1


def test_nobody_deletes_themselves(organization: Organization) -> None:
    """Another administrator does it."""
    organization.user("Second Admin", Group.ADMINISTRATOR)

    with pytest.raises(Conflict, match="yourself"):
        delete(organization, organization.admin, organization.admin)


def test_keys_that_a_deleted_administrator_made_for_others_live_on(organization: Organization) -> None:
    """A key acts for the user it was issued to, not for who made it."""
    second = organization.user("Second Admin", Group.ADMINISTRATOR)
    key = organization.key(organization.admin)

    async def by_second(session: AsyncSession) -> None:
        (await api_keys.get(session, organization.id, key.id)).created_by_id = second.id

    organization.write(by_second)
    delete(organization, second, organization.admin)

    assert organization.get("/agent/all", key).status_code == 200
