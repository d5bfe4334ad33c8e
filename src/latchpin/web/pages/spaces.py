"""Spaces: the list and one Space with its agents and members, for everybody; changing them, for administrators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from litestar import Response, get, post

from latchpin.automation import agent_lists, space_counts
from latchpin.automation.agent_lists import Filters
from latchpin.errors import FieldProblem, Invalid, Missing
from latchpin.identity import spaces, users
from latchpin.identity.queries import user_list
from latchpin.identity.roles import Role
from latchpin.identity.spaces import SpaceFields
from latchpin.kit import plain_text
from latchpin.storage import Session
from latchpin.storage.models.space import SpaceScope
from latchpin.web import drafts, forms, lists, render, rows, space_access
from latchpin.web.forms import Entries
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.views.automation import (
    MemberConfirm,
    MemberEditor,
    MemberRow,
    SpaceDetails,
    SpaceEditor,
    SpaceRow,
    Spaces,
)
from latchpin.web.views.common import Form, Option

BASE = "/spaces"
_SIZE = 50
_MOST_PEOPLE = 200
_ORDERS: dict[str, Callable[[SpaceRow], Any]] = {
    "name": lambda row: row.name.casefold(),
    "agents": lambda row: row.agents,
    "members": lambda row: row.members,
    "created": lambda row: row.created_at,
}
_SCOPES = (
    Option(SpaceScope.PRIVATE.value, "Private", "Only its members."),
    Option(SpaceScope.PUBLIC.value, "Public", "Everyone in the organization may view it."),
    Option(SpaceScope.GLOBAL.value, "Global", "Every organization of this deployment may view it."),
)
_ROLES = (
    Option("viewer", "Viewer", "Sees the agents and their results."),
    Option("operator", "Operator", "Also starts and stops runs."),
    Option("editor", "Editor", "Also changes, restores and archives agents."),
)


@get("/spaces")
async def show_spaces(ctx: SignedIn) -> Response[str]:
    """List the Spaces that the person may see."""
    listing = lists.read_listing(ctx.request, BASE, tuple(_ORDERS), _SIZE)
    async with ctx.services.database.read() as session:
        access = await space_access.load(session, ctx.principal)
        counts = await space_counts.of_spaces(session, access.names)
    space_rows = [
        rows.space(
            space,
            agents=counts[space.id].agents,
            members=counts[space.id].members,
            role=access.roles[space.id],
            manageable=_manageable(ctx, space.organization_id),
        )
        for space in access.visible
        if plain_text.fold(plain_text.normalize(listing.search)) in plain_text.fold(space.name)
    ]
    space_rows.sort(key=_ORDERS[listing.sort], reverse=listing.descending)
    start = (listing.page - 1) * _SIZE
    view = Spaces(
        ctx.shell("spaces"),
        lists.with_total(listing, len(space_rows)),
        tuple(space_rows[start : start + _SIZE]),
        can_create=ctx.is_administrator,
    )
    return render.page(ctx.request, "spaces/list.html", view)


@get("/spaces/{space_id:int}")
async def show_space(ctx: SignedIn, space_id: lists.Id) -> Response[str]:
    """Show one Space: its agents, or its members."""
    tab = "members" if forms.query(ctx.request, "tab") == "members" else "agents"
    async with ctx.services.database.read() as session:
        access = await space_access.load(session, ctx.principal)
        row = await _row(session, ctx, space_id, access)
        agents = await agent_lists.list_all(session, ctx.principal, Filters(space_id=space_id))
        agent_rows = await space_access.agent_rows(session, access, agents)
        at_home = access.is_at_home(space_id, ctx.principal.organization_id)
        people = await spaces.members(session, space_id) if at_home else []
    members = tuple(rows.member(each.user, each.role) for each in people)
    return render.page(ctx.request, "spaces/details.html", SpaceDetails(ctx.shell("spaces"), row, tab, agent_rows, members))


@get("/spaces/new")
async def show_new(ctx: SignedIn) -> Response[str]:
    """Show the form for a new Space."""
    _require_administrator(ctx)
    return _editor(ctx, Form({"scope": SpaceScope.PRIVATE.value}), None)


@post("/spaces/new", status_code=200, opt=drafts.keeps_draft())
async def create(ctx: SignedIn) -> Response[str]:
    """Make a Space."""
    _require_administrator(ctx)
    entries = await forms.read(ctx.request)
    space_fields, problems = _read_fields(entries)
    try:
        async with ctx.services.database.transaction() as session:
            space = await spaces.create(session, ctx.principal.organization_id, space_fields, by=ctx.actor)
            space_id, name = space.id, space.name
            forms.require_none(problems)
    except Invalid as error:
        return _editor(ctx, forms.refused(entries, error, also=problems), None, status=422)
    return render.redirect(ctx.request, f"/spaces/{space_id}?tab=members", render.done(f"Space “{name[:80]}” created."))


@get("/spaces/{space_id:int}/edit")
async def show_edit(ctx: SignedIn, space_id: lists.Id) -> Response[str]:
    """Show a Space's settings."""
    row = await manageable_row(ctx, space_id)
    entries = {"name": row.name, "description": row.description, "scope": row.scope}
    return _editor(ctx, Form({**entries, "default_access": "yes" if row.default_access else ""}), row)


@post("/spaces/{space_id:int}/edit", status_code=200, opt=drafts.keeps_draft())
async def change(ctx: SignedIn, space_id: lists.Id) -> Response[str]:
    """Change a Space's settings."""
    row = await manageable_row(ctx, space_id)
    entries = await forms.read(ctx.request)
    space_fields, problems = _read_fields(entries)
    try:
        async with ctx.services.database.transaction() as session:
            space = await spaces.owned(session, ctx.principal.organization_id, space_id)
            space_fields = replace(space_fields, run_retention_hours=space.run_retention_hours)
            await spaces.change(session, space, space_fields, by=ctx.actor)
            forms.require_none(problems)
    except Invalid as error:
        return _editor(ctx, forms.refused(entries, error, also=problems), row, status=422)
    return render.redirect(ctx.request, f"/spaces/{space_id}", render.done("Space saved."))


@get("/spaces/{space_id:int}/members/new")
async def show_add_member(ctx: SignedIn, space_id: lists.Id) -> Response[str]:
    """Show who could become a member."""
    return await _member_page(ctx, space_id, Form({"role": "viewer"}))


@post("/spaces/{space_id:int}/members/new", status_code=200)
async def add_member(ctx: SignedIn, space_id: lists.Id) -> Response[str]:
    """Make a user a member."""
    await manageable_row(ctx, space_id)
    entries = await forms.read(ctx.request)
    user_id, role = forms.number(entries.get("user", "")), _role(entries.get("role", ""))
    if user_id is None or role is None:
        errors = {
            **({"user": "Choose a user."} if user_id is None else {}),
            **({"role": "Choose one of the roles."} if role is None else {}),
        }
        return await _member_page(ctx, space_id, Form(entries, errors), status=422)
    name = await _set(ctx, space_id, user_id, role)
    toast = render.done(f"{name} is {_with_article(role)} now.")
    return render.redirect(ctx.request, f"/spaces/{space_id}?tab=members", toast)


@get("/spaces/{space_id:int}/members/{user_id:int}")
async def show_member(ctx: SignedIn, space_id: lists.Id, user_id: lists.Id) -> Response[str]:
    """Show a member's role for changing."""
    row, member = await _member(ctx, space_id, user_id)
    view = MemberEditor(ctx.shell("spaces"), row, Form({"role": member.role.lower()}), member, (), _ROLES)
    return render.page(ctx.request, "spaces/member.html", view)


@post("/spaces/{space_id:int}/members/{user_id:int}", status_code=200)
async def change_member(ctx: SignedIn, space_id: lists.Id, user_id: lists.Id) -> Response[str]:
    """Give a member another role."""
    row, member = await _member(ctx, space_id, user_id)
    entries = await forms.read(ctx.request)
    role = _role(entries.get("role", ""))
    if role is None:
        form = Form(entries, {"role": "Choose one of the roles."})
        view = MemberEditor(ctx.shell("spaces"), row, form, member, (), _ROLES)
        return render.page(ctx.request, "spaces/member.html", view, status=422)
    name = await _set(ctx, space_id, user_id, role)
    toast = render.done(f"{name} is {_with_article(role)} now.")
    return render.redirect(ctx.request, f"/spaces/{space_id}?tab=members", toast)


@get("/spaces/{space_id:int}/members/{user_id:int}/remove")
async def ask_remove(ctx: SignedIn, space_id: lists.Id, user_id: lists.Id) -> Response[str]:
    """Show what the member loses with the Space, and ask for confirmation."""
    row, member = await _member(ctx, space_id, user_id)
    view = MemberConfirm(ctx.shell("spaces"), row, member, Form())
    return render.page(ctx.request, "spaces/remove_member.html", view)


@post("/spaces/{space_id:int}/members/{user_id:int}/remove", status_code=200)
async def remove(ctx: SignedIn, space_id: lists.Id, user_id: lists.Id) -> Response[str]:
    """Take a member out of a Space."""
    await manageable_row(ctx, space_id)
    await forms.read(ctx.request)
    name = await _set(ctx, space_id, user_id, None)
    toast = render.done(f"{name} is no longer a member.")
    return render.redirect(ctx.request, f"/spaces/{space_id}?tab=members", toast)


def _manageable(ctx: PageContext, organization_id: int) -> bool:
    return ctx.is_administrator and organization_id == ctx.principal.organization_id


def _require_administrator(ctx: PageContext) -> None:
    if not ctx.is_administrator:
        raise Missing("page")


async def _row(session: Session, ctx: PageContext, space_id: int, access: space_access.SpaceAccess) -> SpaceRow:
    space = await spaces.get(session, ctx.principal, space_id)
    counts = await space_counts.of_spaces(session, [space_id])
    return rows.space(
        space,
        agents=counts[space_id].agents,
        members=counts[space_id].members,
        role=access.roles.get(space_id),
        manageable=_manageable(ctx, space.organization_id),
    )


async def manageable_row(ctx: PageContext, space_id: int) -> SpaceRow:
    """One Space that the person may change; raises Missing."""
    _require_administrator(ctx)
    async with ctx.services.database.read() as session:
        row = await _row(session, ctx, space_id, await space_access.load(session, ctx.principal))
    if not row.manageable:
        raise Missing("space", space_id)
    return row


async def _member(ctx: PageContext, space_id: int, user_id: int) -> tuple[SpaceRow, MemberRow]:
    row = await manageable_row(ctx, space_id)
    async with ctx.services.database.read() as session:
        people = await spaces.members(session, space_id)
    member = next((rows.member(each.user, each.role) for each in people if each.user.id == user_id), None)
    if member is None:
        raise Missing("member", user_id)
    return row, member


async def _member_page(ctx: PageContext, space_id: int, form: Form, *, status: int = 200) -> Response[str]:
    row = await manageable_row(ctx, space_id)
    async with ctx.services.database.read_list() as session:
        members = {each.user.id for each in await spaces.members(session, space_id)}
        choices = await user_list.choices(session, ctx.principal.organization_id, limit=_MOST_PEOPLE)
    people = tuple(
        Option(str(user.id), f"{user.full_name} ({user.email})") for user in choices if user.id not in members and user.status == "active"
    )
    view = MemberEditor(ctx.shell("spaces"), row, form, None, people, _ROLES)
    return render.page(ctx.request, "spaces/member.html", view, status=status)


async def _set(ctx: PageContext, space_id: int, user_id: int, role: Role | None) -> str:
    async with ctx.services.database.transaction() as session:
        space = await spaces.owned(session, ctx.principal.organization_id, space_id)
        user = await users.get(session, ctx.principal.organization_id, user_id)
        await spaces.set_member(session, space, user, role, by=ctx.actor)
        return user.full_name


def _editor(ctx: PageContext, form: Form, row: SpaceRow | None, *, status: int = 200) -> Response[str]:
    return render.page(ctx.request, "spaces/edit.html", SpaceEditor(ctx.shell("spaces"), form, row, _SCOPES), status=status)


def _read_fields(entries: Entries) -> tuple[SpaceFields, list[FieldProblem]]:
    """Read the form; an unknown scope is a problem, and the rest is checked with the narrowest scope."""
    scope, problems = SpaceScope.PRIVATE, []
    try:
        scope = SpaceScope(entries.get("scope", ""))
    except ValueError:
        problems.append(FieldProblem("scope", "Choose one of the scopes."))
    space_fields = SpaceFields(
        name=entries.get("name", ""),
        description=entries.get("description", ""),
        scope=scope,
        is_default_access=entries.get("default_access") == "yes",
    )
    return space_fields, problems


def _role(text: str) -> Role | None:
    return next((role for role in Role if role.word == text), None)


def _with_article(role: Role) -> str:
    return f"a {role.word}" if role is Role.VIEWER else f"an {role.word}"


HANDLERS = (
    show_spaces,
    show_new,
    create,
    show_space,
    show_edit,
    change,
    show_add_member,
    add_member,
    show_member,
    change_member,
    ask_remove,
    remove,
)
