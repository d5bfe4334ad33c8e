"""Spaces: the list and one Space with its agents and members, for everybody; changing them, for administrators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from litestar import Response, get, post

from latchpin.automation import agent_lists, space_counts
from latchpin.automation.agent_lists import Filters
from latchpin.errors import FieldProblem, Invalid, Missing
from latchpin.identity import spaces, user_list, users
from latchpin.identity.roles import Role
from latchpin.identity.spaces import SpaceFields
from latchpin.kit import plain_text
from latchpin.storage import Session
from latchpin.storage.models.space import SpaceScope
from latchpin.web import drafts, forms, lists, render, rows, space_access
from latchpin.web.forms import Entries
from latchpin.web.session import PageContext, SignedIn
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
    "created": lambda row: row.created,
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
async def show_spaces(visit: SignedIn) -> Response[str]:
    """List the Spaces that the person may see."""
    wanted = lists.wanted(visit.request, BASE, tuple(_ORDERS), _SIZE)
    async with visit.site.database.read() as session:
        seen = await space_access.load(session, visit.principal)
        counts = await space_counts.of_spaces(session, seen.names)
    found = [
        rows.space(
            space,
            agents=counts[space.id].agents,
            members=counts[space.id].members,
            role=seen.roles[space.id],
            manageable=_manageable(visit, space.organization_id),
        )
        for space in seen.visible
        if plain_text.fold(plain_text.normalize(wanted.search)) in plain_text.fold(space.name)
    ]
    found.sort(key=_ORDERS[wanted.sort], reverse=wanted.descending)
    start = (wanted.page - 1) * _SIZE
    view = Spaces(
        visit.shell("spaces"),
        lists.counted(wanted, len(found)),
        tuple(found[start : start + _SIZE]),
        can_create=visit.is_administrator,
    )
    return render.page(visit.request, "spaces/list.html", view)


@get("/spaces/{space_id:int}")
async def show_space(visit: SignedIn, space_id: lists.Id) -> Response[str]:
    """Show one Space: its agents, or its members."""
    tab = "members" if forms.query(visit.request, "tab") == "members" else "agents"
    async with visit.site.database.read() as session:
        seen = await space_access.load(session, visit.principal)
        row = await _row(session, visit, space_id, seen)
        inside = await agent_lists.every(session, visit.principal, Filters(space_id=space_id))
        shown = await space_access.agent_rows(session, seen, inside)
        at_home = seen.is_at_home(space_id, visit.principal.organization_id)
        people = await spaces.members(session, space_id) if at_home else []
    members = tuple(rows.member(each.user, each.role) for each in people)
    return render.page(visit.request, "spaces/details.html", SpaceDetails(visit.shell("spaces"), row, tab, shown, members))


@get("/spaces/new")
async def show_new(visit: SignedIn) -> Response[str]:
    """Show the form for a new Space."""
    _require_administrator(visit)
    return _editor(visit, Form({"scope": SpaceScope.PRIVATE.value}), None)


@post("/spaces/new", status_code=200, opt=drafts.keeps_draft())
async def create(visit: SignedIn) -> Response[str]:
    """Make a Space."""
    _require_administrator(visit)
    entries = await forms.read(visit.request)
    entry, problems = _entry(entries)
    try:
        async with visit.site.database.transaction() as session:
            space = await spaces.create(session, visit.principal.organization_id, entry, by=visit.actor)
            space_id, name = space.id, space.name
            forms.require_none(problems)
    except Invalid as error:
        return _editor(visit, forms.refused(entries, error, also=problems), None, status=422)
    return render.redirect(visit.request, f"/spaces/{space_id}?tab=members", render.done(f"Space “{name[:80]}” created."))


@get("/spaces/{space_id:int}/edit")
async def show_edit(visit: SignedIn, space_id: lists.Id) -> Response[str]:
    """Show a Space's settings."""
    row = await manageable_row(visit, space_id)
    entries = {"name": row.name, "description": row.description, "scope": row.scope}
    return _editor(visit, Form({**entries, "default_access": "yes" if row.default_access else ""}), row)


@post("/spaces/{space_id:int}/edit", status_code=200, opt=drafts.keeps_draft())
async def change(visit: SignedIn, space_id: lists.Id) -> Response[str]:
    """Change a Space's settings."""
    row = await manageable_row(visit, space_id)
    entries = await forms.read(visit.request)
    entry, problems = _entry(entries)
    try:
        async with visit.site.database.transaction() as session:
            space = await spaces.owned(session, visit.principal.organization_id, space_id)
            entry = replace(entry, run_retention_hours=space.run_retention_hours)
            await spaces.change(session, space, entry, by=visit.actor)
            forms.require_none(problems)
    except Invalid as error:
        return _editor(visit, forms.refused(entries, error, also=problems), row, status=422)
    return render.redirect(visit.request, f"/spaces/{space_id}", render.done("Space saved."))


@get("/spaces/{space_id:int}/members/new")
async def show_add_member(visit: SignedIn, space_id: lists.Id) -> Response[str]:
    """Show who could become a member."""
    return await _member_page(visit, space_id, Form({"role": "viewer"}))


@post("/spaces/{space_id:int}/members/new", status_code=200)
async def add_member(visit: SignedIn, space_id: lists.Id) -> Response[str]:
    """Make a user a member."""
    await manageable_row(visit, space_id)
    entries = await forms.read(visit.request)
    user_id, role = forms.number(entries.get("user", "")), _role(entries.get("role", ""))
    if user_id is None or role is None:
        errors = {
            **({"user": "Choose a user."} if user_id is None else {}),
            **({"role": "Choose one of the roles."} if role is None else {}),
        }
        return await _member_page(visit, space_id, Form(entries, errors), status=422)
    name = await _set(visit, space_id, user_id, role)
    toast = render.done(f"{name} is {_with_article(role)} now.")
    return render.redirect(visit.request, f"/spaces/{space_id}?tab=members", toast)


@get("/spaces/{space_id:int}/members/{user_id:int}")
async def show_member(visit: SignedIn, space_id: lists.Id, user_id: lists.Id) -> Response[str]:
    """Show a member's role for changing."""
    row, member = await _member(visit, space_id, user_id)
    view = MemberEditor(visit.shell("spaces"), row, Form({"role": member.role.lower()}), member, (), _ROLES)
    return render.page(visit.request, "spaces/member.html", view)


@post("/spaces/{space_id:int}/members/{user_id:int}", status_code=200)
async def change_member(visit: SignedIn, space_id: lists.Id, user_id: lists.Id) -> Response[str]:
    """Give a member another role."""
    row, member = await _member(visit, space_id, user_id)
    entries = await forms.read(visit.request)
    role = _role(entries.get("role", ""))
    if role is None:
        form = Form(entries, {"role": "Choose one of the roles."})
        view = MemberEditor(visit.shell("spaces"), row, form, member, (), _ROLES)
        return render.page(visit.request, "spaces/member.html", view, status=422)
    name = await _set(visit, space_id, user_id, role)
    toast = render.done(f"{name} is {_with_article(role)} now.")
    return render.redirect(visit.request, f"/spaces/{space_id}?tab=members", toast)


@get("/spaces/{space_id:int}/members/{user_id:int}/remove")
async def ask_remove(visit: SignedIn, space_id: lists.Id, user_id: lists.Id) -> Response[str]:
    """Say what leaving the Space takes away, and ask."""
    row, member = await _member(visit, space_id, user_id)
    view = MemberConfirm(visit.shell("spaces"), row, member, Form())
    return render.page(visit.request, "spaces/remove_member.html", view)


@post("/spaces/{space_id:int}/members/{user_id:int}/remove", status_code=200)
async def remove(visit: SignedIn, space_id: lists.Id, user_id: lists.Id) -> Response[str]:
    """Take a member out of a Space."""
    await manageable_row(visit, space_id)
    await forms.read(visit.request)
    name = await _set(visit, space_id, user_id, None)
    toast = render.done(f"{name} is no longer a member.")
    return render.redirect(visit.request, f"/spaces/{space_id}?tab=members", toast)


def _manageable(visit: PageContext, organization_id: int) -> bool:
    return visit.is_administrator and organization_id == visit.principal.organization_id


def _require_administrator(visit: PageContext) -> None:
    if not visit.is_administrator:
        raise Missing("page")


async def _row(session: Session, visit: PageContext, space_id: int, seen: space_access.SpaceAccess) -> SpaceRow:
    space = await spaces.get(session, visit.principal, space_id)
    counts = await space_counts.of_spaces(session, [space_id])
    return rows.space(
        space,
        agents=counts[space_id].agents,
        members=counts[space_id].members,
        role=seen.roles.get(space_id),
        manageable=_manageable(visit, space.organization_id),
    )


async def manageable_row(visit: PageContext, space_id: int) -> SpaceRow:
    """One Space that the person may change; raises Missing."""
    _require_administrator(visit)
    async with visit.site.database.read() as session:
        row = await _row(session, visit, space_id, await space_access.load(session, visit.principal))
    if not row.manageable:
        raise Missing("space", space_id)
    return row


async def _member(visit: PageContext, space_id: int, user_id: int) -> tuple[SpaceRow, MemberRow]:
    row = await manageable_row(visit, space_id)
    async with visit.site.database.read() as session:
        people = await spaces.members(session, space_id)
    found = next((rows.member(each.user, each.role) for each in people if each.user.id == user_id), None)
    if found is None:
        raise Missing("member", user_id)
    return row, found


async def _member_page(visit: PageContext, space_id: int, form: Form, *, status: int = 200) -> Response[str]:
    row = await manageable_row(visit, space_id)
    async with visit.site.database.read() as session:
        members = {each.user.id for each in await spaces.members(session, space_id)}
        everyone = await user_list.page(session, visit.principal.organization_id, size=_MOST_PEOPLE)
    people = tuple(
        Option(str(each.user.id), f"{each.user.full_name} ({each.user.email})")
        for each in everyone.items
        if each.user.id not in members and each.user.status == "active"
    )
    view = MemberEditor(visit.shell("spaces"), row, form, None, people, _ROLES)
    return render.page(visit.request, "spaces/member.html", view, status=status)


async def _set(visit: PageContext, space_id: int, user_id: int, role: Role | None) -> str:
    async with visit.site.database.transaction() as session:
        space = await spaces.owned(session, visit.principal.organization_id, space_id)
        user = await users.get(session, visit.principal.organization_id, user_id)
        await spaces.set_member(session, space, user, role, by=visit.actor)
        return user.full_name


def _editor(visit: PageContext, form: Form, row: SpaceRow | None, *, status: int = 200) -> Response[str]:
    return render.page(visit.request, "spaces/edit.html", SpaceEditor(visit.shell("spaces"), form, row, _SCOPES), status=status)


def _entry(entries: Entries) -> tuple[SpaceFields, list[FieldProblem]]:
    """Read the form; a scope that does not exist is a problem, and the rest is checked with the narrowest."""
    scope, problems = SpaceScope.PRIVATE, []
    try:
        scope = SpaceScope(entries.get("scope", ""))
    except ValueError:
        problems.append(FieldProblem("scope", "Choose one of the scopes."))
    entry = SpaceFields(
        name=entries.get("name", ""),
        description=entries.get("description", ""),
        scope=scope,
        is_default_access=entries.get("default_access") == "yes",
    )
    return entry, problems


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
