"""Deleting a Space, once its agents have another one to go to. Administrators only."""

from __future__ import annotations

from litestar import Response, get, post

from latchpin.automation import agent_lists, agents
from latchpin.automation.agent_lists import Filters
from latchpin.errors import Conflict, Invalid, Missing
from latchpin.identity import spaces
from latchpin.web import forms, lists, render, space_access
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.pages.spaces import BASE, manageable_row
from latchpin.web.views.automation import SpaceConfirm
from latchpin.web.views.common import Form, Option

_WHERE = "move_to"


@get("/spaces/{space_id:int}/delete")
async def ask_delete(ctx: SignedIn, space_id: lists.Id) -> Response[str]:
    """Show what is deleted with the Space, and ask for another Space for its agents."""
    return await _page(ctx, space_id, Form())


@post("/spaces/{space_id:int}/delete", status_code=200)
async def delete(ctx: SignedIn, space_id: lists.Id) -> Response[str]:
    """Move the agents to another Space, and delete this one."""
    row = await manageable_row(ctx, space_id)
    entries = await forms.read(ctx.request)
    target, moved = forms.number(entries.get(_WHERE, "")), 0
    try:
        async with ctx.services.database.transaction() as session:
            space = await spaces.owned(session, ctx.principal.organization_id, space_id)
            if target is not None and target != space_id:
                await spaces.owned(session, ctx.principal.organization_id, target)
                moved = await agents.move_all(session, ctx.principal, space_id, target, by=ctx.actor)
            await spaces.delete(session, space, by=ctx.actor)
    except Conflict as error:
        field = {_WHERE: "Choose where its agents are to go."} if target is None else {"": error.detail}
        return await _page(ctx, space_id, Form(entries, field), status=422)
    except Missing as gone:
        if target is None or gone.kind != "space":
            raise
        return await _page(ctx, space_id, forms.refused(entries, Invalid("This Space is gone. Choose another.", field=_WHERE)), status=422)
    agents_too = "" if not moved else " Its agent was moved." if moved == 1 else f" Its {moved} agents were moved."
    return render.redirect(ctx.request, BASE, render.done(f"Space “{row.name[:80]}” is deleted.{agents_too}"))


async def _page(ctx: PageContext, space_id: int, form: Form, *, status: int = 200) -> Response[str]:
    row = await manageable_row(ctx, space_id)
    async with ctx.services.database.read() as session:
        agent_count = await agent_lists.count(session, ctx.principal, Filters(space_id=space_id, archived=None))
        access = await space_access.load(session, ctx.principal)
    own_spaces = [each for each in access.visible if each.organization_id == ctx.principal.organization_id and each.id != space_id]
    options = (Option("", "Choose a Space"), *(Option(str(each.id), each.name) for each in own_spaces)) if own_spaces else ()
    view = SpaceConfirm(ctx.shell("spaces"), row, form, agent_count, options)
    return render.page(ctx.request, "spaces/delete.html", view, status=status)


HANDLERS = (ask_delete, delete)
