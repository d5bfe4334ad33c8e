"""Spaces: names, members and their roles, and who finds what."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Conflict, Invalid, Missing
from latchpin.identity import spaces, users
from latchpin.identity.roles import Group, Role
from latchpin.identity.spaces import SpaceFields
from latchpin.storage.models import Space
from latchpin.storage.models.space import SpaceScope
from tests.support.people import Organization, Person
from tests.support.wire import audit


def change(organization: Organization, space_id: int, **fields: Any) -> Space:
    """Save a Space's form."""

    async def work(session: AsyncSession) -> Space:
        space = await spaces.owned(session, organization.id, space_id)
        return await spaces.change(session, space, SpaceFields(**{"name": "Retail", **fields}), by=organization.admin.actor)

    return organization.write(work)


def read(organization: Organization, work: Callable[[AsyncSession], Any]) -> Any:
    """Run `work(session)` in one transaction."""

    async def inside(session: AsyncSession) -> Any:
        return await work(session)

    return organization.write(inside)


def find(organization: Organization, name: str, person: Person | None = None) -> str:
    """Find a Space by name, as the API does."""
    space: Space = read(organization, lambda session: spaces.find(session, (person or organization.admin).principal, name))
    return space.name


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "Sound", "description": "x" * 2001}, "description"),
        ({"name": "Sound", "run_retention_hours": 0}, "run_retention_hours"),
        ({"name": "Sound", "run_retention_hours": 2**40}, "run_retention_hours"),
    ],
)
def test_unsound_entries_are_refused_by_field(organization: Organization, entry: dict[str, Any], field: str) -> None:
    """And no Space is made."""

    async def work(session: AsyncSession) -> Space:
        return await spaces.create(session, organization.id, SpaceFields(**entry), by=organization.admin.actor)

    with pytest.raises(Invalid) as caught:
        organization.write(work)

    assert [problem.field for problem in caught.value.problems] == [field]
    assert read(organization, lambda session: spaces.list_all(session, organization.admin.principal)) == []


def test_a_name_is_used_once_in_an_organization(organization: Organization, other: Organization) -> None:
    """Another organization may have a Space of the same name."""
    organization.space("Retail")
    other.space("Retail")

    with pytest.raises(Invalid) as caught:
        organization.space("Retail")

    assert [problem.field for problem in caught.value.problems] == ["name"]


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_renaming_to_a_used_name_is_refused(organization: Organization) -> None:
    """With the field named, and the old name kept."""
    organization.space("Retail")
    second = organization.space("Travel")

    with pytest.raises(Invalid):
        change(organization, second, name="Retail")

    assert find(organization, "travel") == "Travel"


def test_two_who_make_the_same_space_at_once_make_one(organization: Organization) -> None:
    """No server error for the other."""

    async def make() -> Space:
        async with organization.server.database.transaction() as session:
            return await spaces.create(session, organization.id, SpaceFields(name="Retail"), by=organization.admin.actor)

    async def both() -> Any:
        return await asyncio.gather(make(), make(), return_exceptions=True)

    assert sorted(type(result).__name__ for result in organization.server.run(both())) == ["Invalid", "Space"]


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_change_records_old_and_new_and_an_unchanged_form_nothing(organization: Organization) -> None:
    """One event per change."""
    space = organization.space("Retail")
    change(organization, space, name="Retail")
    change(organization, space, name="Retail", scope=SpaceScope.PUBLIC)

    [event] = audit(organization, "space.changed", target_id=space)
    assert event.changes == '{"scope": ["Private", "Public"]}'


def test_a_user_of_another_organization_cannot_be_a_member(organization: Organization, other: Organization) -> None:
    """The user does not exist here."""
    space_id, stranger = organization.space(), other.user()

    async def work(session: AsyncSession) -> None:
        space = await spaces.owned(session, organization.id, space_id)
        user = await users.get(session, other.id, stranger.id)
        await spaces.set_member(session, space, user, Role.EDITOR, by=organization.admin.actor)

    with pytest.raises(Missing):
        organization.write(work)


def test_members_are_listed_with_their_roles_and_each_change_is_recorded(organization: Organization) -> None:
    """Given, changed, taken away: three events; twice the same is one."""
    space, person = organization.space(), organization.user()
    for role in (Role.VIEWER, Role.VIEWER, Role.EDITOR):
        organization.member(space, person, role)
    members = read(organization, lambda session: spaces.members(session, space))
    assert [(member.user.id, member.role) for member in members] == [(person.id, Role.EDITOR)]

    organization.member(space, person, None)
    organization.member(space, person, None)

    assert read(organization, lambda session: spaces.members(session, space)) == []
    assert len(audit(organization, "space.member_changed", target_id=space)) == 3


def test_a_member_who_is_removed_loses_the_space_with_the_next_request(organization: Organization) -> None:
    """With a key that was just accepted (security.md 98)."""
    space, person = organization.space(), organization.user()
    organization.member(space, person, Role.VIEWER)
    agent, key = organization.agent(space_id=space), organization.key(person)
    assert organization.get(f"/agent/{agent}", key).status_code == 200

    organization.member(space, person, None)

    assert organization.get(f"/agent/{agent}", key).status_code == 404
    assert organization.get("/agent/all", key).json() == []


def test_a_space_with_agents_is_not_deleted_and_an_empty_one_is(organization: Organization) -> None:
    """Archived agents count; memberships go along."""
    full, empty = organization.space("Full"), organization.space("Empty")
    organization.agent(space_id=full)
    organization.member(empty, organization.user(), Role.VIEWER)

    def delete(space_id: int) -> None:
        async def work(session: AsyncSession) -> None:
            await spaces.delete(session, await spaces.owned(session, organization.id, space_id), by=organization.admin.actor)

        organization.write(work)

    with pytest.raises(Conflict, match="one agent"):
        delete(full)
    delete(empty)

    left = read(organization, lambda session: spaces.list_all(session, organization.admin.principal))
    assert [space.name for space in left] == ["Full"]


def test_a_search_prefers_the_exact_name_and_takes_signs_as_they_are(organization: Organization) -> None:
    """Any case; a part will do; a percent sign is no wildcard."""
    for name in ("Retail Europe", "Retail", "100% organic"):
        organization.space(name)

    assert find(organization, "retail") == "Retail"
    assert find(organization, "EUROPE") == "Retail Europe"
    assert find(organization, "%") == "100% organic"
    with pytest.raises(Missing):
        find(organization, "_etail")
    with pytest.raises(Invalid):
        find(organization, "  ")


def test_a_search_finds_only_what_may_be_seen(organization: Organization, other: Organization) -> None:
    """A private Space answers like one that does not exist."""
    organization.space("Secret plans")
    person = organization.user()

    for asking, who in ((organization, person), (other, other.admin)):
        with pytest.raises(Missing):
            find(asking, "secret plans", who)


def test_the_groups_that_can_enter_are_told_for_each_space(organization: Organization) -> None:
    """Administrators always; users where the Space is open to them or one of them is a member."""
    closed, shared = organization.space("Closed"), organization.space("Shared")
    opened = organization.space("Open", default_access=True)
    organization.member(shared, organization.user(), Role.VIEWER)

    async def work(session: AsyncSession) -> dict[int, list[str]]:
        return await spaces.group_access(session, await spaces.list_all(session, organization.admin.principal))

    both = [Group.ADMINISTRATOR.value, Group.USER.value]
    assert organization.write(work) == {closed: both[:1], shared: both, opened: both}


def test_a_users_spaces_are_listed_with_the_roles(organization: Organization) -> None:
    """For the user's own page."""
    person = organization.user()
    organization.member(organization.space("B"), person, Role.OPERATOR)
    organization.member(organization.space("a"), person, Role.VIEWER)

    memberships = read(organization, lambda session: spaces.roles_of(session, person.id))

    assert [(space.name, role) for space, role in memberships] == [("a", Role.VIEWER), ("B", Role.OPERATOR)]


async def _waits_for_a_lock(session: AsyncSession) -> bool:
    return bool(
        await session.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"))
    )


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_two_who_name_one_member_at_a_moment_come_one_after_the_other(organization: Organization, kind: str) -> None:
    """The second finds the first one's role and changes it; neither fails, and the trail tells both."""
    server, person, space_id = organization.server, organization.user(), organization.space()

    async def give(role: Role, session: AsyncSession) -> None:
        space, user = await spaces.owned(session, organization.id, space_id), await users.get(session, organization.id, person.id)
        await spaces.set_member(session, space, user, role, by=organization.admin.actor)
        await session.flush()

    async def second() -> None:
        async with server.database.transaction() as session:
            await give(Role.EDITOR, session)

    async def race() -> None:
        async with server.database.transaction() as session:
            await give(Role.VIEWER, session)
            other = asyncio.create_task(second())
            while kind == "postgresql" and not other.done():
                async with server.database.read() as looking:
                    if await _waits_for_a_lock(looking):
                        break
        await other

    server.run(race())

    changes = [json.loads(each.changes or "") for each in audit(organization, "space.member_changed", target_id=space_id)]
    assert changes == [{person.email: [None, "viewer"]}, {person.email: ["viewer", "editor"]}]
