"""What a narrowed principal cannot see, it cannot make or change: every write of the API, with tokens let in somewhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity.roles import Role
from latchpin.storage.models import Agent, AgentVersion
from latchpin.storage.models.oauth_grant import Reach
from tests.contracts import routes
from tests.contracts.routes import Route
from tests.support.apps import Apps, Tokens
from tests.support.people import Organization, Person
from tests.support.server import Server
from tests.support.signed_in import problem

WRITES = [route for route in routes.scoped() if route.method != "GET"]
RUNS = frozenset({"startAgent", "stopRun", "killRun", "restartRun", "deleteRun"})  # which an operator may do
IN, OUT, PERSONAL = "in", "out", "personal"


@dataclass(frozen=True, slots=True)
class Caller:
    """A token, and the places it was let into; the role there."""

    tokens: Tokens
    places: frozenset[str]
    role: Role = Role.EDITOR


class Scene:
    """A user who may write everywhere, an agent in each place, and tokens that were let into some of the places."""

    def __init__(self, server: Server) -> None:
        self.home = Organization(server)
        self.apps = Apps(self.home)
        self.user = self.home.user()
        self.spaces: dict[str, int | None] = {IN: self.home.space("Retail"), OUT: self.home.space("Travel"), PERSONAL: None}
        for space_id in filter(None, self.spaces.values()):
            self.home.member(space_id, self.user, Role.EDITOR)
        self.agents = {place: self.home.agent(f"Agent {place}", space_id, self.user) for place, space_id in self.spaces.items()}
        app = self.apps.register()
        inside = self._inside
        self.callers = {
            "token for one Space": Caller(self._token(app, reach=Reach.SPACE, space_id=inside), frozenset({IN})),
            "administrator's token for one Space": Caller(
                self._token(app, self.home.admin, reach=Reach.SPACE, space_id=inside), frozenset({IN})
            ),
            "token for the personal Space": Caller(self._token(app, reach=Reach.PERSONAL), frozenset({PERSONAL})),
            "service, editor": Caller(self._service(Role.EDITOR), frozenset({IN})),
            "service, operator": Caller(self._service(Role.OPERATOR), frozenset({IN}), Role.OPERATOR),
            "service, viewer": Caller(self._service(Role.VIEWER), frozenset({IN}), Role.VIEWER),
            "service without a Space": Caller(self._service(None), frozenset()),
        }

    @property
    def _inside(self) -> int:
        space_id = self.spaces[IN]
        assert space_id is not None
        return space_id

    def _token(self, app: Any, person: Person | None = None, **where: Any) -> Tokens:
        return self.apps.tokens(app, person or self.user, **where)

    def _service(self, role: Role | None) -> Tokens:
        app = self.apps.service("agents:read agents:write spaces:read spaces:write", {self._inside: role} if role else {})
        return Tokens(self.apps.own(app).json())

    def state(self) -> Any:
        """Every agent of the organization with its versions."""

        async def work(session: AsyncSession) -> Any:
            agents = select(Agent.id, Agent.space_id, Agent.user_id, Agent.version, Agent.archived_at).where(
                Agent.organization_id == self.home.id
            )
            versions = select(AgentVersion.id).join(Agent, Agent.id == AgentVersion.agent_id).where(Agent.organization_id == self.home.id)
            return (await session.execute(agents.order_by(Agent.id))).all(), sorted((await session.scalars(versions)).all())

        return self.home.write(work)

    def send(self, route: Route, caller: Caller, place: str) -> Any:
        """Write in a place: to the agent there where the route names one, else by naming the Space in the body."""
        body = route.body
        if "agentId" in route.parameters:
            body = {"spaceId": self.spaces[place]} if route.name == "moveAgent" else body  # to where it is
        else:
            assert "spaceId" in body, f"{route.name} writes somewhere; teach this test where"
            body = {name: value for name, value in body.items() if name != "spaceId"}
            body |= {"spaceId": self.spaces[place]} if self.spaces[place] is not None else {}
        ids = {"agentId": self.agents[place], "versionNumber": 1}
        if "runId" in route.parameters:
            ids |= self.home.ended_run(self.agents[place])
        if route.name == "startAgent":
            body = {"isExclusive": False, "inputParameters": {"account_password": "x"}}
        path = route.filled(ids)
        return self.home.server.http.request(route.method, path, headers=caller.tokens.header, json=body)


@pytest.fixture(scope="module")
def scene(server: Server) -> Scene:
    """One scene for all tests: what is refused changes nothing in it."""
    return Scene(server)


def needed_role(route: Route) -> Role:
    """The role that a write asks for where it is done."""
    return Role.OPERATOR if route.name in RUNS else Role.EDITOR


def test_there_are_writes_to_try() -> None:
    """The document tells them; none is missed by its name."""
    assert {"createAgent", "saveDefinition", "restoreVersion", "archiveAgent", "unarchiveAgent", "moveAgent"} <= {
        route.name for route in WRITES
    }


@pytest.mark.parametrize("route", WRITES, ids=lambda route: route.name)
@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_no_write_reaches_a_place_that_the_credential_was_not_let_into(scene: Scene, subtests: pytest.Subtests, route: Route) -> None:
    """Refused like a thing that is not there, or with 403 for the personal Space, which everybody knows to be there; nothing changes."""
    before = scene.state()

    for name, caller in scene.callers.items():
        for place in scene.spaces.keys() - caller.places:
            with subtests.test(caller=name, place=place):
                response = scene.send(route, caller, place)

                expected = 403 if place == PERSONAL and "agentId" not in route.parameters else 404
                assert response.status_code == expected, response.text
                problem(response, expected)
    assert scene.state() == before


@pytest.mark.parametrize("route", WRITES, ids=lambda route: route.name)
def test_no_write_gets_by_without_the_role(scene: Scene, subtests: pytest.Subtests, route: Route) -> None:
    """A service that is less than an editor where it was let in, or an operator for runs, gets 403, which names the role it needs."""
    before, needed = scene.state(), needed_role(route)

    for name, caller in scene.callers.items():
        if caller.role < needed:
            with subtests.test(caller=name):
                assert needed.word in problem(scene.send(route, caller, IN), 403, "denied")["detail"]
    assert scene.state() == before


@pytest.mark.parametrize("route", WRITES, ids=lambda route: route.name)
@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_every_write_is_done_where_the_credential_was_let_in(scene: Scene, subtests: pytest.Subtests, route: Route) -> None:
    """What a narrowed credential makes, it sees afterwards; a service that is an editor writes as a user does."""
    for name, caller in scene.callers.items():
        if caller.role < needed_role(route):
            continue
        for place in caller.places:
            with subtests.test(caller=name, place=place):
                response = scene.send(route, caller, place)

                assert response.status_code in (200, 201, 202, 204), response.text
                agent_id = response.json()["id"] if "agentId" not in route.parameters else scene.agents[place]
                agent_response = scene.apps.get(f"/agent/{agent_id}", caller.tokens)
                assert (agent_response.status_code, agent_response.json()["spaceId"]) == (200, scene.spaces[place])


def test_an_agent_of_an_app_has_no_owner(scene: Scene) -> None:
    """Its `userId` is 0, which no user has, and its versions are by the app's name, not by its client_id."""
    create = next(route for route in WRITES if route.name == "createAgent")
    service = scene.callers["service, editor"]

    agent = scene.send(create, service, IN).json()

    assert agent["userId"] == 0
    (version,) = scene.apps.get(f"/agent/{agent['id']}/versions", service.tokens).json()
    assert version["userName"] == "Nightly export"


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_no_agent_is_moved_out_of_sight(scene: Scene, subtests: pytest.Subtests) -> None:
    """What a narrowed credential cannot see it cannot move an agent to, and not from; nothing changes."""
    before, server = scene.state(), scene.home.server

    for name, caller in scene.callers.items():
        for source, place in ((IN, OUT), (IN, PERSONAL), (OUT, IN), (PERSONAL, IN), (PERSONAL, OUT)):
            with subtests.test(caller=name, source=source, place=place):
                path = f"/api/v1/admin/agents/{scene.agents[source]}/space"
                response = server.http.put(path, headers=caller.tokens.header, json={"spaceId": scene.spaces[place]})
                problem(response, response.status_code)
                assert response.status_code in (403, 404)
    assert scene.state() == before
