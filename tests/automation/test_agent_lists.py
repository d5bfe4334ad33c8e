"""A statement that is kept serves everybody who asks alike, and shows each what each may see at that moment."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.automation import agent_lists
from latchpin.automation.agent_lists import Filters
from latchpin.errors import Missing
from latchpin.identity import access, spaces
from latchpin.identity.principal import Principal
from latchpin.identity.queries import space_lists
from latchpin.identity.roles import Role
from latchpin.storage.models import Agent
from latchpin.storage.models.space import SpaceScope
from tests.support.people import Organization

pytestmark = pytest.mark.both_databases("cached statements and their order are each driver's own")

TURNS = 2  # the second turn finds all statements kept


@pytest.fixture
def everybody(organization: Organization, other: Organization) -> list[Principal]:
    """People of two organizations and apps, by every rule of seeing, two of a kind where there can be; with agents in all places."""
    own, theirs = organization.space("Own"), other.space("Theirs")
    public = organization.space("Public", SpaceScope.PUBLIC)
    member, colleague, stranger = organization.user("Member"), organization.user("Colleague"), other.user("Stranger")
    organization.member(own, member, Role.VIEWER)
    for home, space_id in ((organization, own), (organization, public), (other, theirs)):
        home.agent(f"in {space_id}", space_id)
    for home, person in ((organization, member), (organization, colleague), (other, stranger), (organization, organization.admin)):
        home.agent(f"of {person.id}", owner=person)
    people = [each.principal for each in (organization.admin, other.admin, member, colleague, stranger)]
    narrowed = [
        replace(person, only=frozenset(only))
        for person in people
        for only in ({own}, {theirs}, {public, None}, {None}, set())  # of another organization's Space, too
    ]
    apps = [replace(people[3], user_id=0, only=frozenset(each), roles=each) for each in ({own: Role.VIEWER}, {theirs: Role.EDITOR}, {})]
    return [*people, *narrowed, *apps]


def test_everybody_in_turn_sees_what_the_access_decision_says(organization: Organization, everybody: list[Principal]) -> None:
    """Lists, pages and counts agree with it, whoever asked before."""

    async def work(session: AsyncSession) -> list[tuple[list[int], list[int]]]:
        results = []
        for _turn, who in itertools.product(range(TURNS), everybody):
            visible = list(await session.scalars(select(Agent.id).where(access.visible_agents(who)).order_by(Agent.id)))
            ids = sorted(each.id for each in await agent_lists.list_all(session, who, Filters()))
            page = await agent_lists.page(session, who, Filters(), number=1, size=1000)
            assert (sorted(each.id for each in page.items), page.total) == (ids, await agent_lists.count(session, who, Filters()))
            results.append((ids, visible))
        return results

    results = organization.write(work)

    assert [ids for ids, _ in results] == [visible for _, visible in results]
    assert len({tuple(ids) for ids, _ in results}) > 5  # not all alike


def test_everybody_in_turn_sees_their_spaces_and_what_is_in_them(organization: Organization, everybody: list[Principal]) -> None:
    """The list has the Spaces that can be got one by one, and each of the others is missing."""

    async def work(session: AsyncSession) -> None:
        ids = {each.id for who in everybody for each in await spaces.list_all(session, who)}
        for _turn, who in itertools.product(range(TURNS), everybody):
            visible = [each.id for each in await spaces.list_all(session, who)]
            assert [each.id for each in await space_lists.list_all(session, who)] == visible
            for space_id in visible:
                inside = await agent_lists.in_space(session, who, space_id)
                assert inside == await agent_lists.list_all(session, who, Filters(space_id=space_id, archived=None))
            for space_id in ids.difference(visible):
                with pytest.raises(Missing):
                    await agent_lists.in_space(session, who, space_id)

    organization.write(work)


def test_a_filter_finds_its_own_value_and_not_that_of_the_question_before(organization: Organization) -> None:
    """Signs of a pattern stand for themselves, the sign that says so as well."""
    space = organization.space()
    for name in ("50% off", "50 off", "a_b", "a/b", "a//b", "ab"):
        organization.agent(name, space)

    async def work(session: AsyncSession) -> list[list[str]]:
        questions = ("50", "50%", "_", "/", "//", "A_B")
        me = organization.admin.principal
        return [sorted(each.name for each in await agent_lists.list_all(session, me, Filters(name=question))) for question in questions]

    results = organization.write(work)

    assert results == [["50 off", "50% off"], ["50% off"], ["a_b"], ["a//b", "a/b"], ["a//b"], ["a_b"]]
    assert organization.write(work) == results
