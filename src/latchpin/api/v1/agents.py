"""The routes of agents (contract/agents.md)."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.params import PathParameter, QueryParameter

from latchpin.api import enums
from latchpin.api.bodies import PROSE, json_body
from latchpin.api.parameters import text_parameter
from latchpin.api.routing import INT32, actor, database, principal, problems, read_body, requires
from latchpin.api.v1.agent_wire import AgentId, AgentOut, AgentPage, Count, InputParameter, Restore, VersionOut, to_schema
from latchpin.automation import agent_lists, agents, definitions
from latchpin.automation.agent_lists import SORTS, Filters
from latchpin.errors import Malformed
from latchpin.identity import roles
from latchpin.kit import plain_text


@get(
    "/agent/all",
    operation_id="listAgents",
    summary="List agents",
    description="All visible agents as an array; with both `pageIndex` and `recordsPerPage`, one page and the total.",
    tags=["Agents"],
    opt=requires(roles.AGENTS_READ),
    responses=problems(),
)
async def list_agents(
    request: Request[Any, Any, Any],
    page_index: Annotated[int | None, QueryParameter(name="pageIndex", ge=1, le=INT32, description="1-based page number.")] = None,
    records_per_page: Annotated[int | None, QueryParameter(name="recordsPerPage", ge=1, le=1000, description="1 to 1000.")] = None,
    sort_column: Annotated[str, QueryParameter(name="sortColumn", description="The column to sort by.", enum=list(SORTS))] = "name",
    sort_order: Annotated[int, QueryParameter(name="sortOrder", ge=0, le=1, description="0 ascending, 1 descending.")] = 0,
    name: Annotated[str | None, text_parameter("Part of the name, any case.", most=200)] = None,
    status: Annotated[str | None, text_parameter("Status of the last run, as number or name.", most=40)] = None,
    space_id: Annotated[int | None, QueryParameter(name="spaceId", ge=-INT32, le=INT32, description="0 is the personal Space.")] = None,
    config_type: Annotated[str | None, text_parameter("Number or name.", most=40, name="configType")] = None,
) -> list[AgentOut] | AgentPage:
    """List the agents that the caller can see."""
    kind = enums.config_type(config_type)
    if kind is enums.NOTHING:
        return [] if page_index is None or records_per_page is None else AgentPage(agents=[], total_record_count=0)
    filters = Filters(name=name, status=enums.run_status(status), space_id=space_id, config_type=kind)
    reader, who, descending = database(request).executor, principal(request), sort_order == 1
    if page_index is None or records_per_page is None:
        return list(map(to_schema, await agent_lists.list_all(reader, who, filters, sort=sort_column, descending=descending)))
    page = await agent_lists.page(reader, who, filters, number=page_index, size=records_per_page, sort=sort_column, descending=descending)
    return AgentPage(agents=list(map(to_schema, page.items)), total_record_count=page.total)


@get(
    "/agent/search",
    operation_id="searchAgents",
    summary="Search agents",
    tags=["Agents"],
    opt=requires(roles.AGENTS_READ),
    responses=problems(),
)
async def search_agents(
    request: Request[Any, Any, Any],
    text: Annotated[str, text_parameter("Part of the name or description, any case.", most=200, least=1, name="query")],
    max_records: Annotated[int, QueryParameter(name="maxRecords", ge=1, le=1000, description="1 to 1000.")] = 50,
) -> list[AgentOut]:
    """Search name and description of the visible agents that are not archived."""
    filters = Filters(text=_not_blank(text))
    return list(map(to_schema, await agent_lists.list_all(database(request).executor, principal(request), filters, limit=max_records)))


@get(
    "/agent/search/count",
    operation_id="countAgentSearch",
    summary="Count a search",
    tags=["Agents"],
    opt=requires(roles.AGENTS_READ),
    responses=problems(),
)
async def count_search(
    request: Request[Any, Any, Any],
    text: Annotated[str, text_parameter("As for the search.", most=200, least=1, name="query")],
    include_archived: Annotated[bool, QueryParameter(name="includeArchived", description="Whether archived agents count.")] = False,
) -> Count:
    """Count all agents that a search matches, without a limit."""
    filters = Filters(text=_not_blank(text), archived=None if include_archived else False)
    return Count(total_count=await agent_lists.count(database(request).executor, principal(request), filters))


@get(
    "/agent/personal/count",
    operation_id="countPersonalAgents",
    summary="Count personal agents",
    tags=["Agents"],
    opt=requires(roles.AGENTS_READ),
    responses=problems(),
)
async def count_personal(request: Request[Any, Any, Any]) -> Count:
    """Count the agents of the caller's personal Space."""
    return Count(total_count=await agent_lists.count(database(request).executor, principal(request), Filters(space_id=0)))


@get(
    "/agent/{agent_id:int}",
    operation_id="getAgent",
    summary="One agent",
    tags=["Agents"],
    opt=requires(roles.AGENTS_READ),
    responses=problems(404),
)
async def get_agent(request: Request[Any, Any, Any], agent_id: AgentId) -> AgentOut:
    """Return one visible agent, archived or not."""
    async with database(request).read() as session:
        return to_schema(await agents.get(session, principal(request), agent_id))


@get(
    "/agent/{agent_id:int}/input-parameters",
    operation_id="getInputParameters",
    summary="Input parameters",
    tags=["Agents"],
    opt=requires(roles.AGENTS_READ),
    responses=problems(404),
)
async def input_parameters(request: Request[Any, Any, Any], agent_id: AgentId) -> list[InputParameter]:
    """Return the input parameters that starting the agent accepts."""
    async with database(request).read() as session:
        agent = await agents.get(session, principal(request), agent_id)
        text = (await agents.version(session, agent.id, agent.version)).definition
    current = await agents.parse(text)
    return [
        InputParameter(name=each.name, default_value=None if each.encrypted else each.default, is_encrypted=each.encrypted)
        for each in definitions.input_parameters(current)
    ]


@get(
    "/agent/{agent_id:int}/versions",
    operation_id="listVersions",
    summary="Versions of an agent",
    tags=["Agents"],
    opt=requires(roles.AGENTS_READ),
    responses=problems(404),
)
async def list_versions(request: Request[Any, Any, Any], agent_id: AgentId) -> list[VersionOut]:
    """Return an agent's versions, newest first."""
    async with database(request).read() as session:
        agent = await agents.get(session, principal(request), agent_id)
        saved = await agents.versions(session, agent.id)
    at_home = agent.organization_id == principal(request).organization_id
    return [
        VersionOut(
            user_name=row.user_name if at_home else None,
            version=row.version,
            created=row.created_at,
            comments=row.comments,
            file_size=row.file_size,
        )
        for row in saved
    ]


@post(
    "/agent/{agent_id:int}/version/{version_number:int}/restore",
    operation_id="restoreVersion",
    summary="Restore a version",
    tags=["Agents"],
    status_code=204,
    opt=requires(roles.AGENTS_CHANGE) | json_body(Restore, may_be_empty=True),
    responses=problems(404, 409, 422),
)
async def restore_version(
    request: Request[Any, Any, Any],
    agent_id: AgentId,
    version_number: Annotated[int, PathParameter(ge=1, le=INT32, description="The version's number.")],
) -> None:
    """Make an old version the newest one. The body `{"content": comment}` is optional."""
    comment = _comment(await read_body(request))
    async with database(request).read() as session:
        await agents.get(session, principal(request), agent_id)
        text = (await agents.version(session, agent_id, version_number)).definition
    parsed = await agents.parse(text)
    async with database(request).transaction() as session:
        agent = await agents.get_for_change(session, principal(request), agent_id)
        await agents.restore(session, agent, version_number, parsed=parsed, comment=comment, by=actor(request))


@post(
    "/agent/{agent_id:int}/archive",
    operation_id="archiveAgent",
    summary="Archive an agent",
    tags=["Agents"],
    status_code=204,
    opt=requires(roles.AGENTS_CHANGE),
    responses=problems(404),
)
async def archive(request: Request[Any, Any, Any], agent_id: AgentId) -> None:
    """Hide an agent without deleting it."""
    async with database(request).transaction() as session:
        await agents.archive(session, await agents.get_for_change(session, principal(request), agent_id), by=actor(request))


@post(
    "/agent/{agent_id:int}/unarchive",
    operation_id="unarchiveAgent",
    summary="Unarchive an agent",
    tags=["Agents"],
    status_code=204,
    opt=requires(roles.AGENTS_CHANGE),
    responses=problems(404),
)
async def unarchive(request: Request[Any, Any, Any], agent_id: AgentId) -> None:
    """Bring an archived agent back."""
    async with database(request).transaction() as session:
        await agents.unarchive(session, await agents.get_for_change(session, principal(request), agent_id), by=actor(request))


def _not_blank(text: str) -> str:
    term = plain_text.normalize(text)
    if not term:
        raise Malformed("Say what to search for.", field="query")
    return term


def _comment(body: bytes) -> str | None:
    """Read the comment from the body: the field `content`, its name in any case; None for an empty body."""
    if not body.strip():
        return None
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed('Send a JSON object such as {"content": "why it is restored"}.') from None
    content = next((value for name, value in document.items() if name.lower() == "content"), None)
    if content is not None and (not isinstance(content, str) or len(content) > 500 or not _PROSE.fullmatch(content)):  # noqa: PLR2004  fits the column
        raise Malformed("content: Enter a text of at most 500 characters, without control characters.", field="content")
    return content


_PROSE = re.compile(PROSE)
HANDLERS = [
    list_agents,
    search_agents,
    count_search,
    count_personal,
    get_agent,
    input_parameters,
    list_versions,
    restore_version,
    archive,
    unarchive,
]
