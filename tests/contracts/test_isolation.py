"""What is not the caller's does not exist for the caller, on every route that names a thing (security.md 24)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity.roles import Role
from latchpin.storage.models import AuditEvent
from tests.contracts import routes
from tests.contracts.routes import Route
from tests.support import user_access
from tests.support.people import Key, Organization, Person
from tests.support.server import Server
from tests.support.signed_in import SignedIn, problem

pytestmark = pytest.mark.both_databases("every route that names a thing asks each database once")

MARK = "Zanzibar"


class Target:
    """An organization with one of everything, each thing with MARK in its name, and people who must see nothing of it."""

    def __init__(self, server: Server) -> None:
        self.home = Organization(server)
        self.user = self.home.user(f"{MARK} Owner")
        space = self.home.space(f"{MARK} Space")
        self.home.member(space, self.user, Role.EDITOR)
        agent = self.home.agent(f"{MARK} agent", space)
        key = self.home.key(self.user, description=f"{MARK} key")
        self.ids = {"spaceId": space, "agentId": agent, "versionNumber": 1, "userId": self.user.id, "keyId": key.id, "eventId": 0}
        self.ids["eventId"] = self.home.write(self._event)
        self.ids |= self.home.ended_run(agent)
        self.ids |= user_access.opened(self.home, self.user, MARK)
        self.own_key = key
        elsewhere = Organization(server)
        self.strangers: dict[str, Key] = {"another organization": elsewhere.key(), "outside the Space": self.home.key(self.home.user())}
        self.stranger = SignedIn(server, elsewhere.admin)

    async def _event(self, session: AsyncSession) -> int:
        query = select(AuditEvent.id).where(AuditEvent.organization_id == self.home.id).order_by(AuditEvent.id.desc()).limit(1)
        event_id = await session.scalar(query)
        assert event_id is not None
        return event_id

    def state(self) -> Any:
        """What the owner sees of it."""
        agent = self.home.get(f"/agent/{self.ids['agentId']}", self.own_key)
        spaces = self.home.get("/spaces", self.own_key)
        return agent.json(), spaces.json()


@pytest.fixture(scope="module")
def objects() -> list[Route]:
    """Every route that names a thing."""
    return [route for route in routes.every() if route.parameters]


@pytest.fixture(scope="module")
def target(server: Server) -> Target:
    """One target for all tests: nothing here may change it."""
    return Target(server)


def test_the_owner_can_reach_it_all(server: Server, target: Target, objects: list[Route]) -> None:
    """The ids used below are right: whoever may see the things sees them."""
    admin = SignedIn(server, target.home.admin)

    for route in objects:
        if route.method == "GET":
            response = admin.request("GET", route.filled(target.ids))
            assert response.status_code == (302 if route.name == "downloadRunFile" else 200), (route.name, response.text)


def test_another_organizations_administrator_finds_nothing(target: Target, objects: list[Route], subtests: pytest.Subtests) -> None:
    """Every route that names a thing answers 404 to an administrator of another organization, and changes nothing."""
    before = target.state()
    for route in objects:
        with subtests.test(route=route.name):
            response = target.stranger.request(route.method, route.filled(target.ids), json=route.body)

            problem(response, 404)
            assert MARK not in response.text
            assert target.state() == before


@pytest.mark.parametrize("who", ["another organization", "outside the Space"])
def test_a_stranger_with_a_full_key_finds_nothing(server: Server, target: Target, who: str, subtests: pytest.Subtests) -> None:
    """Full access does not help: 404 as for a thing that was never there (security.md 24)."""
    header = target.strangers[who].header
    nothing = {**target.ids, "agentId": 2**30, "spaceId": 2**30}
    for route in routes.scoped():
        if not route.parameters:
            continue
        with subtests.test(route=route.name):
            response = server.http.request(route.method, route.filled(target.ids), headers=header, json=route.body)
            never = server.http.request(route.method, route.filled(nothing), headers=header, json=route.body)

            refusal, other = problem(response, 404), problem(never, 404)
            assert refusal["errorCode"] == other["errorCode"]
            assert MARK not in response.text


@pytest.mark.parametrize("who", ["another organization", "outside the Space"])
def test_a_strangers_lists_leave_it_out(server: Server, target: Target, who: str, subtests: pytest.Subtests) -> None:
    """Lists, searches and counts know nothing of it."""
    for route in routes.scoped():
        if route.parameters or route.method != "GET":
            continue
        with subtests.test(route=route.name):
            response = server.http.get(route.path, headers=target.strangers[who].header, params=route.query(query=MARK, name=MARK))

            if route.name == "findSpace":
                problem(response, 404, "space-not-found")
            else:
                assert response.status_code == 200
                assert MARK not in response.text
                assert response.json() == {"totalCount": 0} or isinstance(response.json(), list)


def test_administrative_lists_stay_in_the_organization(target: Target) -> None:
    """Users, audit records, apps and API resources of another organization are not listed, nor found by searching."""
    people = target.stranger.get("/users", search=MARK).json()
    events = target.stranger.get("/audit", search=MARK).json()

    apps = target.stranger.get("/apps", search=MARK).json()

    assert people == {"users": [], "totalRecordCount": 0}
    assert apps == {"apps": [], "totalRecordCount": 0}
    assert target.stranger.get("/resources").json() == []
    assert events == {"events": [], "next": None}


def test_a_new_agent_cannot_be_put_into_a_space_that_is_not_seen(server: Server, target: Target) -> None:
    """A Space's id in a body counts no more than one in the address."""
    route = next(route for route in routes.scoped() if route.name == "createAgent")
    body = {**route.body, "spaceId": target.ids["spaceId"]}

    for key in target.strangers.values():
        problem(server.http.post(route.path, headers=key.header, json=body), 404, "space-not-found")


def test_a_stranger_cannot_become_a_member(target: Target, server: Server) -> None:
    """An administrator cannot take a user of another organization into a Space."""
    elsewhere = Organization(server)
    space = elsewhere.space()
    guest: Person = target.user

    response = SignedIn(server, elsewhere.admin).put(f"/spaces/{space}/members/{guest.id}", {"role": "viewer"})

    problem(response, 404, "user-not-found")
