"""Moving an agent to another Space, for its editors."""

from __future__ import annotations

from litestar import Response, get, post

from latchpin.automation import agents
from latchpin.errors import Denied, Invalid, Missing
from latchpin.web import forms, lists, render, space_access
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.pages.agent_changes import for_change
from latchpin.web.space_access import PERSONAL
from latchpin.web.views.automation import AgentMove
from latchpin.web.views.common import Form, Option

_WHERE = "space"


@get("/agents/{agent_id:int}/move")
async def ask_move(ctx: SignedIn, agent_id: lists.Id) -> Response[str]:
    """Show the Spaces to which the agent can move."""
    return await _page(ctx, agent_id, Form())


@post("/agents/{agent_id:int}/move", status_code=200)
async def move(ctx: SignedIn, agent_id: lists.Id) -> Response[str]:
    """Move the agent."""
    entries = await forms.read(ctx.request)
    await for_change(ctx, agent_id)
    choice = entries.get(_WHERE, "")
    space_id = None if choice == PERSONAL else forms.number(choice)
    if space_id is None and choice != PERSONAL:
        return await _page(ctx, agent_id, Form(entries, {_WHERE: "Choose a Space."}), status=422)
    try:
        async with ctx.services.database.transaction() as session:
            agent = await agents.get_for_change(session, ctx.principal, agent_id)
            await agents.move(session, ctx.principal, agent, space_id, by=ctx.actor)
            name = agent.name
    except (Missing, Denied):
        error = Invalid("Choose a Space where you are an editor.", field=_WHERE)
        return await _page(ctx, agent_id, forms.refused(entries, error), status=422)
    return render.redirect(ctx.request, f"/agents/{agent_id}", render.done(f"Agent “{name[:80]}” moved."))


async def _page(ctx: PageContext, agent_id: int, form: Form, *, status: int = 200) -> Response[str]:
    row = await for_change(ctx, agent_id)
    async with ctx.services.database.read() as session:
        agent = await agents.get(session, ctx.principal, agent_id)
        access = await space_access.load(session, ctx.principal)
    current = PERSONAL if agent.space_id is None else str(agent.space_id)
    is_owner = agent.user_id == ctx.principal.user_id
    options = tuple(each for each in access.editable_options() if each.value != current and (is_owner or each.value != PERSONAL))
    offered = (Option("", "Choose a Space"), *options) if options else ()
    return render.page(ctx.request, "agents/move.html", AgentMove(ctx.shell("agents"), row, form, offered), status=status)


HANDLERS = (ask_move, move)
