"""My account: profile, password, browser sessions, connected apps, and the person's keys, read-only."""

from __future__ import annotations

from litestar import Response, get, post

from latchpin.errors import Invalid
from latchpin.identity import api_keys, passwords, sessions, users
from latchpin.kit import clock
from latchpin.oauth import connected
from latchpin.web import app_rows, forms, lists, reauth, render, rows
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.pages.api_keys import creator_names
from latchpin.web.pages.user_access import one_of
from latchpin.web.views.apps import ConnectedConfirm
from latchpin.web.views.common import Form
from latchpin.web.views.organization import Account


@get("/account")
async def show_account(ctx: SignedIn) -> Response[str]:
    """Show the person's own account."""
    return await _page(ctx, Form())


@post("/account/password", status_code=200)
async def change_password(ctx: SignedIn) -> Response[str]:
    """Change the person's own password; the form asks for the current one, so no reauthentication is needed."""
    entries = await forms.read(ctx.request)
    try:
        await reauth.change_password(ctx, entries)
    except Invalid as error:
        return await _page(ctx, forms.refused({}, error), status=422)
    return render.redirect(ctx.request, "/account", render.done("Password changed. Other browsers are signed out."))


@post("/account/sessions/{session_id:int}/end", status_code=200)
async def end_session(ctx: SignedIn, session_id: lists.Id) -> Response[str]:
    """Sign one browser out."""
    async with ctx.services.database.transaction() as session:
        await sessions.end(session, ctx.principal.user_id, session_id, by=ctx.actor)
    return render.redirect(ctx.request, "/account", render.done("That browser is signed out."))


@post("/account/sessions/end-others", status_code=200)
async def end_others(ctx: SignedIn) -> Response[str]:
    """Sign every other browser out."""
    async with ctx.services.database.transaction() as session:
        for other in await sessions.of_user(session, ctx.principal.user_id, ctx.services.settings):
            if other.id != ctx.signed_in.session_id:
                await sessions.end(session, ctx.principal.user_id, other.id, by=ctx.actor)
    return render.redirect(ctx.request, "/account", render.done("All other browsers are signed out."))


@get("/account/apps/{app_id:int}/withdraw")
async def ask_withdraw(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Show what withdrawing consent ends, and ask for confirmation."""
    async with ctx.services.database.read() as session:
        row = one_of(await connected.of_user(session, ctx.principal.user_id, ctx.services.settings), app_id)
    trail = (("My account", "/account"), ("Connected apps", "/account#apps"))
    view = ConnectedConfirm(ctx.shell("account"), row, "", f"/account/apps/{app_id}/withdraw", trail)
    return render.page(ctx.request, "account/withdraw.html", view)


@post("/account/apps/{app_id:int}/withdraw", status_code=200)
async def withdraw(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Withdraw the person's consent to an app: its next request is refused. This only removes access, so it needs no password."""
    await forms.read(ctx.request)
    async with ctx.services.database.transaction() as session:
        user = await users.get(session, ctx.principal.organization_id, ctx.principal.user_id)
        name = (await connected.withdraw(session, user, app_id, by=ctx.actor)).name
    return render.redirect(ctx.request, "/account#apps", render.done(f"{name[:80]} has no access any more."))


async def _page(ctx: PageContext, form: Form, *, status: int = 200) -> Response[str]:
    me = ctx.principal
    async with ctx.services.database.read() as session:
        user = await users.get(session, me.organization_id, me.user_id)
        open_sessions = await sessions.of_user(session, me.user_id, ctx.services.settings)
        apps = await connected.of_user(session, me.user_id, ctx.services.settings)
        keys = await api_keys.of_user(session, me.user_id)
        names = await creator_names(session, me.organization_id, keys)
    view = Account(
        ctx.shell("account"),
        form,
        passwords.LEAST,
        user.user_group,
        user.created_at,
        tuple(rows.browser_session(each, current=ctx.signed_in.session_id) for each in open_sessions),
        tuple(app_rows.connected(each) for each in apps),
        tuple(rows.key(each, clock.now(), names) for each in keys),
    )
    return render.page(ctx.request, "account/account.html", view, status=status)


HANDLERS = (show_account, change_password, end_session, end_others, ask_withdraw, withdraw)
