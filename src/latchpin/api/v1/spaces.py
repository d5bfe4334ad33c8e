"""The routes of Spaces (contract/spaces.md)."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from litestar.params import PathParameter

from latchpin.api.bodies import Time
from latchpin.api.example_times import CREATED_AT, UPDATED_AT
from latchpin.api.parameters import text_parameter
from latchpin.api.routing import INT32, CamelStruct, database, principal, problems, requires
from latchpin.api.v1.agent_wire import Count
from latchpin.automation import agent_lists
from latchpin.automation.agent_lists import Filters
from latchpin.errors import Malformed
from latchpin.identity import roles, spaces
from latchpin.identity.principal import Principal
from latchpin.identity.queries import space_lists
from latchpin.identity.queries.space_lists import SpaceRow
from latchpin.kit import plain_text
from latchpin.storage.models import Space

SpaceId = Annotated[int, PathParameter(ge=1, le=INT32, description="The Space's id.")]


class SpaceOut(CamelStruct, frozen=True):
    """A Space. `access` names the groups that can enter; `runRetentionHours` null keeps finished runs.

    `initiatedBy` is null for a global Space of another organization.
    """

    id: int
    name: str
    organization_id: int
    created: Time | None
    is_default_access: bool
    scope: str | None
    run_retention_hours: int | None
    initiated_by: str | None
    access: list[str]
    description: str | None
    updated: Time | None


class SpaceAgent(CamelStruct, frozen=True):
    """An agent as a Space lists it, archived ones included."""

    id: int
    name: str
    description: str | None
    config_type: int
    status: int | None
    validation_status: int | None
    last_activity: Time | None
    created: Time | None
    updated: Time | None
    version: int
    is_archived: bool
    approval_status: int | None
    labels: list[dict[str, Any]]


def to_schema(space: Space | SpaceRow, access: list[str], principal: Principal) -> SpaceOut:
    """Return a Space as the API shows it; who created a Space of another organization is not shown."""
    return SpaceOut(
        id=space.id,
        name=space.name,
        organization_id=space.organization_id,
        created=space.created_at,
        is_default_access=space.is_default_access,
        scope=space.scope.value,
        run_retention_hours=space.run_retention_hours,
        initiated_by=space.initiated_by if space.organization_id == principal.organization_id else None,
        access=access,
        description=space.description,
        updated=space.updated_at,
    )


@get(
    "/spaces",
    operation_id="listSpaces",
    summary="List Spaces",
    tags=["Spaces"],
    opt=requires(roles.SPACES_READ),
    responses=problems(),
)
async def list_spaces(request: Request[Any, Any, Any]) -> list[SpaceOut]:
    """Return every Space that the caller can enter, by name."""
    visible_spaces = await space_lists.list_all(database(request).executor, principal(request))
    return [to_schema(space, spaces.groups(space, has_users=space.has_users), principal(request)) for space in visible_spaces]


@get(
    "/spaces/search",
    operation_id="findSpace",
    summary="Find a Space by name",
    tags=["Spaces"],
    opt=requires(roles.SPACES_READ),
    responses=problems(404),
)
async def find_space(
    request: Request[Any, Any, Any],
    name: Annotated[str, text_parameter("Name, any case; an exact match wins.", most=200, least=1)],
) -> SpaceOut:
    """Return one Space: the one with that name, else the first whose name contains it."""
    if not plain_text.normalize(name):
        raise Malformed("Say which name to look for.", field="name")
    async with database(request).read() as session:
        space = await spaces.find(session, principal(request), name)
        groups = await spaces.group_access(session, [space])
    return to_schema(space, groups[space.id], principal(request))


@get(
    "/spaces/{space_id:int}",
    operation_id="getSpace",
    summary="One Space",
    tags=["Spaces"],
    opt=requires(roles.SPACES_READ),
    responses=problems(404),
)
async def get_space(request: Request[Any, Any, Any], space_id: SpaceId) -> SpaceOut:
    """Return one visible Space."""
    async with database(request).read() as session:
        space = await spaces.get(session, principal(request), space_id)
        groups = await spaces.group_access(session, [space])
    return to_schema(space, groups[space.id], principal(request))


@get(
    "/spaces/{space_id:int}/agents",
    operation_id="listSpaceAgents",
    summary="Agents of a Space",
    tags=["Spaces"],
    opt=requires(roles.SPACES_READ),
    responses=problems(404),
)
async def list_space_agents(request: Request[Any, Any, Any], space_id: SpaceId) -> list[SpaceAgent]:
    """Return a Space's agents by name; archived ones are included and marked."""
    rows = await agent_lists.in_space(database(request).executor, principal(request), space_id)
    return [
        SpaceAgent(
            id=row.id,
            name=row.name,
            description=row.description,
            config_type=row.config_type,
            status=row.status,
            validation_status=row.validation_status,
            last_activity=row.last_activity_at,
            created=row.created_at,
            updated=row.updated_at,
            version=row.version,
            is_archived=row.archived_at is not None,
            approval_status=None,
            labels=[],
        )
        for row in rows
    ]


@get(
    "/spaces/{space_id:int}/agents/count",
    operation_id="countSpaceAgents",
    summary="Count agents of a Space",
    tags=["Spaces"],
    opt=requires(roles.SPACES_READ),
    responses=problems(404),
)
async def count_space_agents(request: Request[Any, Any, Any], space_id: SpaceId) -> Count:
    """Count a Space's agents, archived ones included, as in the list."""
    async with database(request).read() as session:
        space = await spaces.get(session, principal(request), space_id)
        total = await agent_lists.count(session, principal(request), Filters(space_id=space.id, archived=None))
    return Count(total_count=total)


# What the OpenAPI document shows of these routes, made from the very structs, so that it misses no field.
SPACE_EXAMPLE = SpaceOut(
    id=1,
    name="Retail",
    organization_id=1,
    created=CREATED_AT,
    is_default_access=False,
    scope="Private",
    run_retention_hours=720,
    initiated_by="Maya Lindqvist",
    access=["Administrator", "User"],
    description="Shops and prices.",
    updated=CREATED_AT,
)
_SPACE_AGENT = SpaceAgent(
    id=1,
    name="Book prices",
    description="Title and price of every book in a category.",
    config_type=1,
    status=None,
    validation_status=3,
    last_activity=None,
    created=CREATED_AT,
    updated=UPDATED_AT,
    version=2,
    is_archived=False,
    approval_status=None,
    labels=[],
)
RESPONSE_EXAMPLES: dict[str, Any] = {
    "listSpaces": [SPACE_EXAMPLE],
    "findSpace": SPACE_EXAMPLE,
    "getSpace": SPACE_EXAMPLE,
    "listSpaceAgents": [_SPACE_AGENT],
    "countSpaceAgents": Count(total_count=4),
}


HANDLERS = [list_spaces, find_space, get_space, list_space_agents, count_space_agents]
