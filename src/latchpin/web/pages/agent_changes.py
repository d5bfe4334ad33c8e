"""Changing agents: the definition editor, archive and unarchive, restoring a version."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Response, get, post

from latchpin.automation import agents
from latchpin.errors import Conflict, Denied, FieldProblem, Invalid, Missing
from latchpin.web import drafts, forms, lists, render, rows, space_access
from latchpin.web.forms import Entries
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.pages.agents import agent_row, authors
from latchpin.web.space_access import PERSONAL
from latchpin.web.views.automation import AgentConfirm, AgentEditor, AgentRow, VersionRestore, VersionRow
from latchpin.web.views.common import Form, Problem

_STARTER = """\
version: 1
name: New agent
description: What it collects and for whom.
start_url: https://books.example/catalogue/{category}
input_parameters:
  - name: category
    default: fiction
record:
  selector: article.book
  fields:
    - name: title
      selector: h3
    - name: price
      selector: .price
      type: number
pagination:
  kind: next_link
  selector: a.next
limits:
  max_pages: 20
"""


@get("/agents/new")
async def show_new(ctx: SignedIn) -> Response[str]:
    """Show the editor with a definition to start from."""
    space = forms.query(ctx.request, "space")
    return await _new_page(ctx, Form({"definition": _STARTER, "space": space or PERSONAL}), ())


@post("/agents/new", status_code=200, opt=drafts.keeps_draft())
async def create(ctx: SignedIn) -> Response[str]:
    """Create an agent from the definition."""
    entries = await forms.read(ctx.request)
    space_id, space_problems = _space(entries.get("space", ""))
    field_problems = [*space_problems, *_of_comment(entries)]
    try:
        parsed = await agents.parse(entries.get("definition", ""))
        async with ctx.services.database.transaction() as session:
            agent = await agents.create(
                session,
                ctx.principal,
                entries.get("definition", ""),
                space_id=space_id,
                parsed=parsed,
                comment=entries.get("comment"),
                by=ctx.actor,
            )
            name, agent_id = agent.name, agent.id
            forms.require_none(field_problems)
    except (Missing, Denied):
        form = Form(entries, {"space": "Choose a Space where you are an editor."})
        return await _new_page(ctx, form, (), status=422)
    except Invalid as error:
        form, problems = _refused(entries, error, field_problems)
        return await _new_page(ctx, form, problems, status=422)
    return render.redirect(ctx.request, f"/agents/{agent_id}", render.done(f"Agent “{name[:80]}” created."))


@get("/agents/{agent_id:int}/edit")
async def show_edit(ctx: SignedIn, agent_id: lists.Id) -> Response[str]:
    """Show the editor with the current definition."""
    row = await for_change(ctx, agent_id)
    async with ctx.services.database.read() as session:
        current = await agents.version(session, agent_id, row.version)
    view = AgentEditor(ctx.shell("agents"), Form({"definition": current.definition}), row, (), ())
    return render.page(ctx.request, "agents/edit.html", view)


@post("/agents/{agent_id:int}/edit", status_code=200, opt=drafts.keeps_draft())
async def change(ctx: SignedIn, agent_id: lists.Id) -> Response[str]:
    """Save a new version."""
    entries = await forms.read(ctx.request)
    row = await for_change(ctx, agent_id)
    text, comment = entries.get("definition", ""), entries.get("comment")
    try:
        parsed = await agents.parse(text)
        async with ctx.services.database.transaction() as session:
            agent = await agents.get_for_change(session, ctx.principal, agent_id)
            await agents.change(session, agent, text, parsed=parsed, comment=comment, by=ctx.actor)
            number = agent.version
    except (Invalid, Conflict) as error:
        form, problems = _refused(entries, error, _of_comment(entries))
        view = AgentEditor(ctx.shell("agents"), form, row, (), problems)
        return render.page(ctx.request, "agents/edit.html", view, status=422)
    same = number == row.version
    toast = render.done("Nothing differs from the current version." if same else f"Version {number} saved.")
    return render.redirect(ctx.request, f"/agents/{agent_id}", toast)


@get("/agents/{agent_id:int}/archive")
async def ask_archive(ctx: SignedIn, agent_id: lists.Id) -> Response[str]:
    """Show what archiving does, and ask for confirmation."""
    row = await for_change(ctx, agent_id)
    return render.page(ctx.request, "agents/archive.html", AgentConfirm(ctx.shell("agents"), row, Form()))


@post("/agents/{agent_id:int}/archive", status_code=200)
async def archive(ctx: SignedIn, agent_id: lists.Id) -> Response[str]:
    """Hide an agent."""
    await forms.read(ctx.request)
    async with ctx.services.database.transaction() as session:
        agent = await agents.get_for_change(session, ctx.principal, agent_id)
        await agents.archive(session, agent, by=ctx.actor)
        name = agent.name
    return render.redirect(ctx.request, "/agents", render.done(f"Agent “{name[:80]}” archived.", undo=f"/agents/{agent_id}/unarchive"))


@post("/agents/{agent_id:int}/unarchive", status_code=200)
async def unarchive(ctx: SignedIn, agent_id: lists.Id) -> Response[str]:
    """Bring an archived agent back."""
    await forms.read(ctx.request)
    async with ctx.services.database.transaction() as session:
        agent = await agents.get_for_change(session, ctx.principal, agent_id)
        await agents.unarchive(session, agent, by=ctx.actor)
        name = agent.name
    return render.redirect(ctx.request, f"/agents/{agent_id}", render.done(f"Agent “{name[:80]}” is back."))


@get("/agents/{agent_id:int}/versions/{number:int}/restore")
async def ask_restore(ctx: SignedIn, agent_id: lists.Id, number: lists.Id) -> Response[str]:
    """Show what restoring does, and ask for confirmation."""
    row, version, _ = await _for_restore(ctx, agent_id, number)
    form = Form({"comment": f"Restored version {number}"})
    return render.page(ctx.request, "agents/restore.html", VersionRestore(ctx.shell("agents"), row, version, form))


@post("/agents/{agent_id:int}/versions/{number:int}/restore", status_code=200, opt=drafts.keeps_draft())
async def restore(ctx: SignedIn, agent_id: lists.Id, number: lists.Id) -> Response[str]:
    """Make an old version's text the newest version."""
    entries = await forms.read(ctx.request)
    row, version, text = await _for_restore(ctx, agent_id, number)
    try:
        parsed = await agents.parse(text)
        async with ctx.services.database.transaction() as session:
            agent = await agents.get_for_change(session, ctx.principal, agent_id)
            await agents.restore(session, agent, number, parsed=parsed, comment=entries.get("comment"), by=ctx.actor)
            newest = agent.version
    except (Invalid, Conflict) as error:
        view = VersionRestore(ctx.shell("agents"), row, version, forms.refused(entries, error))
        return render.page(ctx.request, "agents/restore.html", view, status=422)
    toast = render.done(f"Version {number} restored as version {newest}.")
    return render.redirect(ctx.request, f"/agents/{agent_id}?tab=versions", toast)


async def for_change(ctx: PageContext, agent_id: int) -> AgentRow:
    """One agent that the person may change; raises Missing, then Denied."""
    async with ctx.services.database.read() as session:
        row = await agent_row(session, ctx, await agents.get(session, ctx.principal, agent_id))
    if not row.editable:
        raise Denied("You may see this agent, but changing it needs the role of editor in its Space. Ask an administrator.")
    return row


async def _for_restore(ctx: PageContext, agent_id: int, number: int) -> tuple[AgentRow, VersionRow, str]:
    """One agent that the person may change, one of its versions, and that version's text; raises Missing, then Denied."""
    row = await for_change(ctx, agent_id)
    async with ctx.services.database.read() as session:
        old = await agents.version(session, agent_id, number)
        version = rows.version(old, current=row.version, names=await authors(session, ctx, [old]), at_home=True)
    return row, version, old.definition


async def _new_page(ctx: PageContext, form: Form, problems: tuple[Problem, ...], *, status: int = 200) -> Response[str]:
    async with ctx.services.database.read() as session:
        access = await space_access.load(session, ctx.principal)
    view = AgentEditor(ctx.shell("agents"), form, None, access.editable_options(), problems)
    return render.page(ctx.request, "agents/edit.html", view, status=status)


def _space(text: str) -> tuple[int | None, list[FieldProblem]]:
    """The chosen Space, None for the personal one; an invalid choice is a problem, and the rest is checked with None."""
    space_id = None if text == PERSONAL else forms.number(text)
    return space_id, [FieldProblem("space", "Choose a Space.")] if space_id is None and text != PERSONAL else []


def _of_comment(entries: Entries) -> list[FieldProblem]:
    """The problems of the comment, to be shown together with those of the definition."""
    try:
        agents.require_sound_comment(entries.get("comment"))
    except Invalid as error:
        return list(error.problems)
    return []


def _refused(entries: Entries, error: Invalid | Conflict, also: Sequence[FieldProblem] = ()) -> tuple[Form, tuple[Problem, ...]]:
    """Put problems with a line beside the editor, and the others beside their fields; `also` are the page's own."""
    if isinstance(error, Conflict) or any(problem.line is None for problem in error.problems) or not error.problems:
        return forms.refused(entries, error, also=also), ()
    return Form(entries, {each.field: each.message for each in also}), tuple(_problem(each) for each in error.problems)


def _problem(problem: FieldProblem) -> Problem:
    message = problem.message if problem.message.endswith(".") else f"{problem.message}."
    return Problem(problem.line or 0, problem.field, message[:1].upper() + message[1:])


HANDLERS = (
    show_new,
    create,
    show_edit,
    change,
    ask_archive,
    archive,
    unarchive,
    ask_restore,
    restore,
)
