"""Users who go: the last administrator stays, keys die, agents are handed on, history is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Conflict, Missing
from latchpin.identity import api_keys, policy, users
from latchpin.identity.roles import Group, Role
from latchpin.storage.models import Agent, ApiKey, AuditEvent, User
from latchpin.storage.models.user import UserStatus
from tests.support.changes import delete, demote, disable, row
from tests.support.people import Organization, Person
from tests.support.sign_in_attempts import meet
from tests.support.wire import audit

pytestmark = pytest.mark.both_databases("cascades and the lock on the last administrator are each database's own")

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

    user = row(organization, organization.admin)
    assert user is not None
    assert (user.status, user.user_group) == (UserStatus.ACTIVE, "Administrator")


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


@pytest.mark.parametrize("last", ["disable", "demote", "delete"])
def test_who_became_the_last_administrator_a_moment_ago_stays(organization: Organization, last: str) -> None:
    """What was read before the lock, an ordinary user, is not believed."""
    person = organization.user()

    async def work(session: AsyncSession) -> None:
        user = await users.get(session, organization.id, person.id)
        new_owner = await users.get(session, organization.id, organization.admin.id)
        for who, group in ((person, Group.ADMINISTRATOR), (organization.admin, Group.USER)):  # behind the back of what was read
            change = update(User).where(User.id == who.id).values(user_group=group.value)
            await session.execute(change.execution_options(synchronize_session=False))
        assert user.user_group == Group.USER
        acts: dict[str, Callable[[], Awaitable[object]]] = {
            "disable": lambda: users.disable(session, user, by=organization.admin.actor),
            "demote": lambda: users.change(session, user, group=Group.USER, by=organization.admin.actor),
            "delete": lambda: users.delete(session, user, new_owner=new_owner, by=organization.admin.actor),
        }
        await acts[last]()

    with pytest.raises(Conflict, match="last active administrator"):
        organization.write(work)


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

    async def owners(session: AsyncSession) -> set[int | None]:
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


def test_deleting_a_user_for_whom_a_key_is_being_made_deletes_the_key_too(organization: Organization) -> None:
    """The deletion waits for the key, and then sees it."""
    person = organization.user()

    async def make(session: AsyncSession) -> None:
        user = await users.get(session, organization.id, person.id)
        rules = await policy.get(session, organization.id, organization.server.settings)
        secrets = organization.server.services.secrets
        await api_keys.create(session, user, api_keys.KeyParameters(), policy=rules, secrets=secrets, by=organization.admin.actor)

    async def remove() -> int:
        async with organization.server.database.transaction() as session:
            user = await users.get(session, organization.id, person.id)
            new_owner = await users.get(session, organization.id, organization.admin.id)
            return await users.delete(session, user, new_owner=new_owner, by=organization.admin.actor)

    assert meet(organization.server, make, remove) == 1
    assert row(organization, person) is None


def test_an_heir_who_is_deleted_at_the_same_moment_is_missing(organization: Organization) -> None:
    """There is no server error, and the agents stay with their owner."""
    person, new_owner = organization.user(), organization.user()

    async def remove_heir(session: AsyncSession) -> None:
        admin = await users.get(session, organization.id, organization.admin.id)
        await users.delete(session, await users.get(session, organization.id, new_owner.id), new_owner=admin, by=organization.admin.actor)

    async def remove() -> int:
        async with organization.server.database.transaction() as session:
            user = await users.get(session, organization.id, person.id)
            second = await users.get(session, organization.id, new_owner.id)
            return await users.delete(session, user, new_owner=second, by=organization.admin.actor)

    assert isinstance(meet(organization.server, remove_heir, remove), Missing)
    assert row(organization, person) is not None


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
