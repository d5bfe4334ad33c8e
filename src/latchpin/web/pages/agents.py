"""Agents: the list, and one agent with its definition and versions."""

from __future__ import annotations

from collections.abc import Iterable

from litestar import Response, get

from latchpin.automation import agent_lists, agents
from latchpin.automation.agent_lists import Filters
from latchpin.automation.definitions import Definition
from latchpin.errors import Invalid
from latchpin.identity.queries import overview
from latchpin.storage import Session
from latchpin.storage.models import Agent
from latchpin.storage.models import AgentVersion as StoredVersion
from latchpin.web import forms, lists, render, rows, space_access
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.space_access import PERSONAL
from latchpin.web.views.automation import AgentDetails, AgentRow, Agents, AgentVersion, FieldRow, InputRow
from latchpin.web.views.common import Option

BASE = "/agents"
MOST_VERSIONS = 100
_SIZE = 50
_SORTS = ("name", "updated", "created")
_STATUSES = (Option("", "Active"), Option("archived", "Archived"), Option("all", "Active and archived"))
_ARCHIVED: dict[str, bool | None] = {"": False, "archived": True, "all": None}
_TABS = ("overview", "definition", "versions")
_NO_SPACE = 0  # the personal Space, to the feature


@get("/agents")
async def show_agents(ctx: SignedIn) -> Response[str]:
    """List the agents that the person may see."""
    listing = lists.read_listing(ctx.request, BASE, _SORTS, _SIZE, ("space", "status"))
    space, status = listing.query.get("space", ""), listing.query.get("status", "")
    space_id = _NO_SPACE if space == PERSONAL else forms.number(space)
    filters = Filters(text=listing.search or None, space_id=space_id, archived=_ARCHIVED.get(status, False))
    async with ctx.services.database.read() as session:
        page = await agent_lists.page(
            session,
            ctx.principal,
            filters,
            number=listing.page,
            size=_SIZE,
            sort=listing.sort,
            descending=listing.descending,
        )
        access = await space_access.load(session, ctx.principal)
        agent_rows = await space_access.agent_rows(session, access, page.items)
    view = Agents(
        ctx.shell("agents"),
        lists.with_total(listing, page.total),
        agent_rows,
        access.filter_options(),
        space,
        _STATUSES,
        status,
        can_create=True,
    )
    return render.page(ctx.request, "agents/list.html", view)


@get("/agents/{agent_id:int}")
async def show_agent(ctx: SignedIn, agent_id: lists.Id) -> Response[str]:
    """Show one agent: overview, definition or versions."""
    tab = forms.query(ctx.request, "tab")
    async with ctx.services.database.read() as session:
        agent = await agents.get(session, ctx.principal, agent_id)
        versions = await agents.versions(session, agent_id, limit=MOST_VERSIONS)
        text = (await agents.version(session, agent_id, agent.version)).definition
        row = await agent_row(session, ctx, agent)
        names = await authors(session, ctx, versions)
    parsed = await _parsed(text)
    view = AgentDetails(
        ctx.shell("agents"),
        row,
        tab if tab in _TABS else _TABS[0],
        _inputs(parsed),
        _fields(parsed),
        _facts(parsed),
        text,
        tuple(rows.version(each, current=agent.version, names=names, at_home=is_at_home(ctx, agent)) for each in versions),
    )
    return render.page(ctx.request, "agents/details.html", view)


@get("/agents/{agent_id:int}/versions/{number:int}")
async def show_version(ctx: SignedIn, agent_id: lists.Id, number: lists.Id) -> Response[str]:
    """Show the definition as it was in one version."""
    async with ctx.services.database.read() as session:
        agent = await agents.get(session, ctx.principal, agent_id)
        version = await agents.version(session, agent_id, number)
        names = await authors(session, ctx, [version])
        row = await agent_row(session, ctx, agent)
    version_row = rows.version(version, current=agent.version, names=names, at_home=is_at_home(ctx, agent))
    view = AgentVersion(ctx.shell("agents"), row, version_row, version.definition)
    return render.page(ctx.request, "agents/version.html", view)


async def authors(session: Session, ctx: PageContext, versions: Iterable[StoredVersion]) -> dict[int, str]:
    """Full names of the users of the person's organization who saved the versions, by user id."""
    return await overview.names(session, ctx.principal.organization_id, (each.user_id for each in versions if each.user_id))


def is_at_home(ctx: PageContext, agent: Agent) -> bool:
    """Whether an agent belongs to the person's own organization; people of other organizations are not named."""
    return agent.organization_id == ctx.principal.organization_id


async def agent_row(session: Session, ctx: PageContext, agent: Agent) -> AgentRow:
    """One agent as a row, with its Space, its owner, and what the person may do with it."""
    access = await space_access.load(session, ctx.principal)
    (row,) = await space_access.agent_rows(session, access, [agent])
    return row


async def _parsed(text: str) -> Definition | None:
    try:
        return await agents.parse(text)
    except Invalid:
        return None  # saved by an older release with other rules: the text is still shown


def _inputs(parsed: Definition | None) -> tuple[InputRow, ...]:
    each = parsed.input_parameters if parsed else ()
    return tuple(InputRow(one.name, "" if one.encrypted else one.default or "", one.encrypted) for one in each)


def _fields(parsed: Definition | None) -> tuple[FieldRow, ...]:
    if parsed is None or parsed.record is None:
        return ()
    followed = parsed.follow.fields if parsed.follow else ()
    near = tuple(FieldRow(one.name, one.selector or parsed.record.selector) for one in parsed.record.fields)
    return near + tuple(FieldRow(one.name, f"{one.selector or ''} on the linked page".strip()) for one in followed)


def _facts(parsed: Definition | None) -> tuple[tuple[str, str], ...]:
    if parsed is None:
        return ()
    limits = parsed.limits
    return (
        ("Pages", f"At most {limits.max_pages:,}"),
        ("Records", f"At most {limits.max_records:,}"),
        ("Limits", f"Concurrency {limits.concurrency}, delay {limits.delay_seconds:g} s"),
    )


HANDLERS = (show_agents, show_agent, show_version)
