"""Agents from definitions, under /api/v1/admin/: an addition of Latchpin's own, open to API keys with `agents:write`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, get, post, put
from litestar.params import QueryParameter

from latchpin.api import bodies
from latchpin.api.bodies import PROSE, Body, Document, json_body
from latchpin.api.example_times import CREATED_AT
from latchpin.api.routing import INT32, CamelStruct, actor, database, principal, problems, requires
from latchpin.api.v1.agent_wire import AGENT_EXAMPLE, DEFINITION_EXAMPLE, AgentId, AgentOut, to_schema
from latchpin.automation import agents
from latchpin.identity import roles

TAG = "Agent definitions"
_Comment = Annotated[str, msgspec.Meta(max_length=200, pattern=PROSE)]


class NewAgent(Body, frozen=True):
    """An agent to create. `definition` is the YAML text; without `spaceId` it goes to the caller's personal Space.

    An app limited to one Space, and a service, have no personal Space: they have to name a Space where they may write.
    """

    definition: Document
    space_id: Annotated[int, msgspec.Meta(ge=1, le=INT32)] | None = None
    comment: _Comment | None = None


class NewVersion(Body, frozen=True):
    """A definition to save as the newest version."""

    definition: Document
    comment: _Comment | None = None


class NewPlace(Body, frozen=True):
    """Where to move an agent: the id of a Space, or null for its owner's personal Space."""

    space_id: Annotated[int, msgspec.Meta(ge=1, le=INT32)] | None


class DefinitionOut(CamelStruct, frozen=True):
    """The YAML text of one version of an agent."""

    agent_id: int
    version: int
    definition: str
    comments: str | None


@post(
    "/admin/agents",
    operation_id="createAgent",
    summary="Create an agent",
    tags=[TAG],
    opt=requires(roles.AGENTS_CHANGE) | json_body(NewAgent),
    responses=problems(404, 422),
)
async def create_agent(request: Request[Any, Any, Any]) -> AgentOut:
    """Create an agent from a definition. Problems in the definition are reported with line and column."""
    body = await bodies.read(request, NewAgent)
    parsed = await agents.parse(body.definition)
    async with database(request).transaction() as session:
        agent = await agents.create(
            session,
            principal(request),
            body.definition,
            space_id=body.space_id,
            parsed=parsed,
            comment=body.comment,
            by=actor(request),
        )
    return to_schema(agent)


@put(
    "/admin/agents/{agent_id:int}/definition",
    operation_id="saveDefinition",
    summary="Save a new version",
    tags=[TAG],
    opt=requires(roles.AGENTS_CHANGE) | json_body(NewVersion),
    responses=problems(404, 409, 422),
)
async def save_definition(request: Request[Any, Any, Any], agent_id: AgentId) -> AgentOut:
    """Save a definition as the newest version. The text of the newest version again adds none."""
    body = await bodies.read(request, NewVersion)
    parsed = await agents.parse(body.definition)
    async with database(request).transaction() as session:
        agent = await agents.get_for_change(session, principal(request), agent_id)
        await agents.change(session, agent, body.definition, parsed=parsed, comment=body.comment, by=actor(request))
    return to_schema(agent)


@put(
    "/admin/agents/{agent_id:int}/space",
    operation_id="moveAgent",
    summary="Move an agent",
    tags=[TAG],
    opt=requires(roles.AGENTS_CHANGE) | json_body(NewPlace),
    responses=problems(404, 422),
)
async def move_agent(request: Request[Any, Any, Any], agent_id: AgentId) -> AgentOut:
    """Move an agent to another Space where the caller is an editor too; only its owner can move it into their personal Space."""
    body = await bodies.read(request, NewPlace)
    async with database(request).transaction() as session:
        agent = await agents.get_for_change(session, principal(request), agent_id)
        await agents.move(session, principal(request), agent, body.space_id, by=actor(request))
    return to_schema(agent)


@get(
    "/admin/agents/{agent_id:int}/definition",
    operation_id="getDefinition",
    summary="Read a definition",
    tags=[TAG],
    opt=requires(roles.AGENTS_READ),
    responses=problems(404),
)
async def get_definition(
    request: Request[Any, Any, Any],
    agent_id: AgentId,
    number: Annotated[int | None, QueryParameter(name="version", ge=1, le=INT32, description="By default the newest.")] = None,
) -> DefinitionOut:
    """Return the YAML text of the newest version or of an older one."""
    async with database(request).read() as session:
        agent = await agents.get(session, principal(request), agent_id)
        version = await agents.version(session, agent.id, number or agent.version)
    return DefinitionOut(agent_id=agent.id, version=version.version, definition=version.definition, comments=version.comments)


# What the OpenAPI document shows of these routes, made from the very structs, so that it misses no field.
RESPONSE_EXAMPLES: dict[str, Any] = {
    "createAgent": msgspec.structs.replace(AGENT_EXAMPLE, version=1, updated=CREATED_AT),
    "saveDefinition": AGENT_EXAMPLE,
    "moveAgent": AGENT_EXAMPLE,
    "getDefinition": DefinitionOut(agent_id=1, version=2, definition=DEFINITION_EXAMPLE, comments="Follow the new layout"),
}
BODY_EXAMPLES: dict[str, Any] = {
    "createAgent": {"definition": DEFINITION_EXAMPLE, "spaceId": 1, "comment": "First draft"},
    "moveAgent": {"spaceId": 1},
    "saveDefinition": {"definition": DEFINITION_EXAMPLE, "comment": "Follow the new layout"},
}


HANDLERS = [create_agent, save_definition, move_agent, get_definition]
