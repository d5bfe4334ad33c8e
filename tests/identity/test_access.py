"""The access decision: scope of the Space by default access by role by group by organization, in one table."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Denied, Missing
from latchpin.identity import access, roles, spaces
from latchpin.identity.access import InsufficientScope
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group, Permission, Role
from latchpin.identity.scopes import SETS, Access, Scope
from latchpin.storage.models import Agent, Space
from latchpin.storage.models.space import SpaceScope
from tests.support.people import Organization, Person
from tests.support.server import Server

CASES = list(itertools.product(SpaceScope, (False, True), (None, *Role), Group, (True, False)))


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    """A deployment of the test's own: Spaces for every organization would be seen by other tests."""
    return serve()


def expected(scope: SpaceScope, *, default_access: bool, role: Role | None, group: Group, at_home: bool) -> Role | None:
    """Say in plain words what design and contract say; None for a Space that cannot be seen."""
    if not at_home:
        return Role.VIEWER if scope is SpaceScope.GLOBAL else None
    if group is Group.ADMINISTRATOR:
        return Role.EDITOR
    held_roles = [role] if role else []
    if default_access:
        held_roles.append(Role.OPERATOR)
    if scope is not SpaceScope.PRIVATE:
        held_roles.append(Role.VIEWER)
    return max(held_roles, default=None)


def principal(person: Person, kind: CredentialKind = CredentialKind.API_KEY, scopes: frozenset[Scope] = frozenset(Scope)) -> Principal:
    """Return a person with a credential of some kind."""
    return replace(person.principal, credential=Credential(kind, 1, "test"), scopes=scopes)


def _seen(organization: Organization, who: Principal, space_id: int) -> tuple[bool, bool, Role | None]:
    """Return whether Space and agent are visible, and the role."""

    async def work(session: AsyncSession) -> tuple[bool, bool, Role | None]:
        space = await session.scalar(select(Space.id).where(Space.id == space_id, access.visible_spaces(who)))
        agent = await session.scalar(select(Agent.id).where(Agent.space_id == space_id, access.visible_agents(who)))
        return space is not None, agent is not None, await access.role_in(session, who, space_id)

    return organization.write(work)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_every_combination_of_space_and_user_gives_exactly_the_right_role(organization: Organization, other: Organization) -> None:
    """96 combinations: what is seen in lists, of agents too, and what may be done agree with each other and with the rules."""
    wrong = []
    spaces = {
        (scope, default): organization.space(f"{scope.value} {default}", scope, default_access=default)
        for scope in SpaceScope
        for default in (False, True)
    }
    for space_id in spaces.values():
        organization.agent(space_id=space_id)
    people = {
        (role, group, at_home): (organization if at_home else other).user(f"P{number}", group)
        for number, (role, group, at_home) in enumerate(itertools.product((None, *Role), Group, (True, False)))
    }
    for (role, _group, at_home), person in people.items():
        if role and at_home:
            for space_id in spaces.values():
                organization.member(space_id, person, role)

    for scope, default, role, group, at_home in CASES:
        actual = _seen(organization, principal(people[role, group, at_home]), spaces[scope, default])
        right = expected(scope, default_access=default, role=role, group=group, at_home=at_home)
        if actual != (right is not None, right is not None, right):
            wrong.append((scope, default, role, group, at_home, actual, right))

    assert len(CASES) == 96
    assert wrong == []


def test_another_organizations_global_space_can_be_seen_and_not_changed(organization: Organization, other: Organization) -> None:
    """It belongs to its own administrators."""
    space_id = organization.space("Everybody", SpaceScope.GLOBAL)

    async def look(session: AsyncSession) -> str:
        return (await spaces.get(session, other.admin.principal, space_id)).name

    async def take(session: AsyncSession) -> None:
        await spaces.owned(session, other.id, space_id)

    assert other.write(look) == "Everybody"
    with pytest.raises(Missing):
        other.write(take)
    with pytest.raises(Missing):
        other.member(space_id, other.user(), Role.EDITOR)


def test_a_role_needs_itself_or_a_lower_one(organization: Organization) -> None:
    """A viewer may not operate, an editor may do all."""
    space = organization.space()
    for held, needed in itertools.product(Role, Role):
        person = organization.user(f"Holder{held}{needed}")
        organization.member(space, person, held)

        async def work(session: AsyncSession, person: Person = person, needed: Role = needed) -> None:
            await access.require_role(session, principal(person), space, needed)

        if held >= needed:
            organization.write(work)
        else:
            with pytest.raises(Denied, match=f"the role {needed.word} in the Space; yours is {held.word}"):
                organization.write(work)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_the_personal_space_is_its_owners_alone(organization: Organization) -> None:
    """Not even an administrator sees another user's personal agents."""
    person, colleague = organization.user(), organization.user("Colleague User")
    agent = organization.agent(owner=person)

    async def seen(session: AsyncSession) -> list[bool]:
        return [
            await session.scalar(select(Agent.id).where(Agent.id == agent, access.visible_agents(principal(who)))) is not None
            for who in (person, colleague, organization.admin)
        ]

    assert organization.write(seen) == [True, False, False]


def test_a_space_that_is_not_there_has_no_role(organization: Organization) -> None:
    """For anybody."""

    async def work(session: AsyncSession) -> Role | None:
        return await access.role_in(session, principal(organization.admin), 2**31 - 1)

    assert organization.write(work) is None


# ---- what is decided without the thing ----


PERSON = Person(1, "ada@example.com", "Ada Admin", 1, Group.ADMINISTRATOR)
USER = replace(PERSON, group=Group.USER)
DECLARED = [value for value in vars(roles).values() if isinstance(value, Permission)]


@pytest.mark.parametrize("kind", CredentialKind)
@pytest.mark.parametrize("permission", DECLARED, ids=lambda permission: permission.name)
def test_a_permission_is_for_the_kinds_of_credential_it_names(permission: Permission, kind: CredentialKind) -> None:
    """And for no other."""
    who = principal(PERSON, kind)

    if kind in permission.kinds:
        access.allow(who, permission)
    else:
        with pytest.raises(Denied):
            access.allow(who, permission)


def test_administration_is_closed_to_an_administrators_key_with_every_scope() -> None:
    """A permission that names no kinds is for browser sessions only, so a new one is safe by default."""
    with pytest.raises(Denied) as caught:
        access.allow(principal(PERSON), roles.ADMINISTER)

    assert caught.value.code == "credential_not_allowed"
    assert frozenset({CredentialKind.SESSION}) == Permission("anything.new").kinds


def test_administration_is_closed_to_an_ordinary_users_session() -> None:
    """By group."""
    with pytest.raises(Denied, match="Only administrators"):
        access.allow(principal(USER, CredentialKind.SESSION), roles.ADMINISTER)


@pytest.mark.parametrize("named", Access)
@pytest.mark.parametrize("permission", [each for each in DECLARED if each.scope], ids=lambda permission: permission.name)
def test_a_key_opens_what_its_scopes_say(permission: Permission, named: Access) -> None:
    """And names the scope that is needed where it does not."""
    who = principal(USER, scopes=SETS[named])

    if permission.scope in SETS[named]:
        access.allow(who, permission)
    else:
        with pytest.raises(InsufficientScope) as caught:
            access.allow(who, permission)
        assert (caught.value.code, caught.value.needed) == ("insufficient_scope", permission.scope)
