"""Organization > Users: the list, New User, edit, disable, enable, delete, reset password. Administrators only."""

from __future__ import annotations

from collections.abc import Mapping

from litestar import Response, get, post

from latchpin.errors import Conflict, FieldProblem, Invalid
from latchpin.identity import api_keys, credentials, passwords, users
from latchpin.identity.queries import user_list
from latchpin.identity.roles import Group
from latchpin.kit import clock
from latchpin.storage.models import User
from latchpin.web import drafts, forms, lists, reauth, render, rows
from latchpin.web.forms import Entries
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.views.common import Form, Option
from latchpin.web.views.users import TemporaryPassword, UserConfirm, UserEditor, UserRow, Users

BASE = "/organization/users"
FROM = "from"
_SIZE = 50
_SORTS = ("full_name", "email", "group", "status", "last_sign_in", "created", "keys")
_GROUPS = (
    Option(Group.USER.value, "User", "Works with agents and Spaces."),
    Option(Group.ADMINISTRATOR.value, "Administrator", "Also manages users, API keys, apps, policy and the audit log."),
)


def profile(user_id: int) -> str:
    """The address of a user's own page."""
    return f"{BASE}/{user_id}"


def _back(source: str | None, user_id: int) -> str:
    """The page to go back to: the user's own where the question was asked there, else the list."""
    return profile(user_id) if source == "profile" else BASE


def _back_address(params: Mapping[str, int], entries: Entries) -> str:
    return _back(entries.get(FROM), params["user_id"])


@get("/organization/users")
async def show_users(ctx: SignedIn) -> Response[str]:
    """List the users, with the number of their valid keys."""
    listing = lists.read_listing(ctx.request, BASE, _SORTS, _SIZE)
    async with ctx.services.database.read_list() as session:
        page = await user_list.page(
            session,
            ctx.principal.organization_id,
            search=listing.search,
            sort=listing.sort,
            descending=listing.descending,
            number=listing.page,
            size=_SIZE,
        )
    user_rows = tuple(rows.user(each, me=ctx.principal.user_id) for each in page.items)
    return render.page(ctx.request, "users/list.html", Users(ctx.shell("users"), lists.with_total(listing, page.total), user_rows))


@get("/organization/users/new")
async def show_new(ctx: SignedIn) -> Response[str]:
    """Show the form for a new user, with a generated temporary password."""
    form = Form({"group": Group.USER.value, "password": credentials.temporary_password()})
    return _editor(ctx, form, None)


@post("/organization/users/new", status_code=200, opt=drafts.keeps_draft() | reauth.required(BASE))
async def create(ctx: SignedIn) -> Response[str]:
    """Make a user with a temporary password."""
    group, problems = _group(ctx.entries)
    new_user = users.NewUser(
        full_name=ctx.entries.get("full_name", ""),
        email=ctx.entries.get("email", ""),
        group=group,
        password=await passwords.hashed(ctx.entries.get("password", "")),
    )
    try:
        async with reauth.transaction(ctx) as session:
            created_user = await users.create(session, ctx.principal.organization_id, new_user, by=ctx.actor)
            name = created_user.user.full_name
            forms.require_none(problems)
    except Invalid as error:
        return _editor(ctx, forms.refused(ctx.entries, error, also=problems), None, status=422)
    return render.redirect(ctx.request, BASE, render.done(f"{name} can sign in now with the temporary password."))


@get("/organization/users/{user_id:int}/edit")
async def show_edit(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """Show one user for editing."""
    row = await _row(ctx, user_id)
    form = Form({"full_name": row.name, "email": row.email, "group": row.group})
    return _editor(ctx, form, row)


@post("/organization/users/{user_id:int}/edit", status_code=200, opt=drafts.keeps_draft() | reauth.required(BASE + "/{user_id}"))
async def change(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """Change a user's name, e-mail or group."""
    row = await _row(ctx, user_id)
    group, problems = _group(ctx.entries)
    try:
        async with reauth.transaction(ctx) as session:
            user = await users.get(session, ctx.principal.organization_id, user_id)
            changed = await users.change(
                session,
                user,
                full_name=ctx.entries.get("full_name", ""),
                email=ctx.entries.get("email", ""),
                group=None if problems else group,
                by=ctx.actor,
            )
            name = changed.full_name
            forms.require_none(problems)
    except (Invalid, Conflict) as error:
        return _editor(ctx, forms.refused(ctx.entries, error, also=problems), row, status=422)
    return render.redirect(ctx.request, profile(user_id), render.done(f"{name} saved."))


@get("/organization/users/{user_id:int}/disable")
async def ask_disable(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """Show what disabling ends, and ask for confirmation."""
    return await _confirm(ctx, user_id, "disable")


@post("/organization/users/{user_id:int}/disable", status_code=200, opt=reauth.required(_back_address))
async def disable(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """Disable a user; keys and sessions end before the response is sent."""
    try:
        async with reauth.transaction(ctx) as session:
            user = await users.get(session, ctx.principal.organization_id, user_id)
            revoked = await users.disable(session, user, by=ctx.actor)
            name = user.full_name
    except Conflict as error:
        return await _confirm(ctx, user_id, "disable", forms.refused(ctx.entries, error))
    keys = "" if not revoked else " One key was revoked." if revoked == 1 else f" {revoked} keys were revoked."
    return render.redirect(ctx.request, _back(ctx.entries.get(FROM), user_id), render.done(f"{name} is disabled.{keys}"))


@get("/organization/users/{user_id:int}/enable")
async def ask_enable(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """Show what enabling brings back, and ask for confirmation."""
    return await _confirm(ctx, user_id, "enable")


@post("/organization/users/{user_id:int}/enable", status_code=200, opt=reauth.required(BASE))
async def enable(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """Enable a disabled user again."""
    async with reauth.transaction(ctx) as session:
        user = await users.get(session, ctx.principal.organization_id, user_id)
        await users.enable(session, user, by=ctx.actor)
        name = user.full_name
    return render.redirect(ctx.request, _back(ctx.entries.get(FROM), user_id), render.done(f"{name} is enabled."))


@get("/organization/users/{user_id:int}/delete")
async def ask_delete(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """Show what deleting ends, and ask for confirmation."""
    return await _confirm(ctx, user_id, "delete")


@post("/organization/users/{user_id:int}/delete", status_code=200, opt=reauth.required(_back_address))
async def delete(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """Delete a user; agents go to the administrator who does it."""
    try:
        async with reauth.transaction(ctx) as session:
            user = await users.get(session, ctx.principal.organization_id, user_id)
            new_owner = await users.get(session, ctx.principal.organization_id, ctx.principal.user_id)
            name = user.full_name
            await users.delete(session, user, new_owner=new_owner, by=ctx.actor)
    except Conflict as error:
        return await _confirm(ctx, user_id, "delete", forms.refused(ctx.entries, error))
    return render.redirect(ctx.request, BASE, render.done(f"{name} is deleted."))


@get("/organization/users/{user_id:int}/reset-password")
async def ask_reset(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """Show what a new temporary password does, and ask for confirmation."""
    return await _confirm(ctx, user_id, "reset_password")


@post("/organization/users/{user_id:int}/reset-password", status_code=200, opt=reauth.required(BASE))
async def reset_password(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """Create a temporary password and show it once."""
    temporary = await passwords.temporary()
    async with reauth.transaction(ctx) as session:
        user = await users.get(session, ctx.principal.organization_id, user_id)
        await users.reset_password(session, user, temporary, by=ctx.actor)
        row = rows.user_alone(user, [], clock.now(), me=ctx.principal.user_id)
    view = TemporaryPassword(ctx.shell("users"), row, temporary.text, _back(ctx.entries.get(FROM), user_id))
    return render.page(ctx.request, "users/temporary_password.html", view)


def _group(entries: Entries) -> tuple[Group, list[FieldProblem]]:
    """The chosen group; without one, a problem and a group to check the rest with."""
    try:
        return Group(entries.get("group", "")), []
    except ValueError:
        return Group.USER, [FieldProblem("group", "Choose one of the groups.")]


async def _row(ctx: PageContext, user_id: int) -> UserRow:
    async with ctx.services.database.read() as session:
        user: User = await users.get(session, ctx.principal.organization_id, user_id)
        keys = await api_keys.of_user(session, user_id)
    return rows.user_alone(user, keys, clock.now(), me=ctx.principal.user_id)


def _editor(ctx: PageContext, form: Form, row: UserRow | None, *, status: int = 200) -> Response[str]:
    view = UserEditor(ctx.shell("users"), form, row, _GROUPS, passwords.LEAST)
    return render.page(ctx.request, "users/edit.html", view, status=status)


async def _confirm(ctx: PageContext, user_id: int, what: str, form: Form | None = None) -> Response[str]:
    source = form.value(FROM) if form else forms.query(ctx.request, FROM)
    view = UserConfirm(ctx.shell("users"), await _row(ctx, user_id), form or Form({FROM: source}), _back(source, user_id))
    return render.page(ctx.request, f"users/{what}.html", view, status=422 if form else 200)


HANDLERS = (
    show_users,
    show_new,
    create,
    show_edit,
    change,
    ask_disable,
    disable,
    ask_enable,
    enable,
    ask_delete,
    delete,
    ask_reset,
    reset_password,
)
