"""My account: profile, password, browser sessions, connected apps, and the person's keys, read-only."""

from __future__ import annotations

from litestar import Response, get, post

from latchpin.errors import Invalid
from latchpin.identity import api_keys, passwords, sessions, users
from latchpin.kit import clock
from latchpin.oauth import connected
from latchpin.web import app_rows, forms, lists, reauth, render, rows
from latchpin.web.pages.api_keys import makers
from latchpin.web.pages.user_access import one_of
from latchpin.web.session import PageContext, SignedIn
from latchpin.web.views.apps import ConnectedConfirm
from latchpin.web.views.common import Form
from latchpin.web.views.organization import Account


@get("/account")
async def show_account(visit: SignedIn) -> Response[str]:
    """Show the person's own account."""
    return await _page(visit, Form())


@post("/account/password", status_code=200)
async def change_password(visit: SignedIn) -> Response[str]:
    """Change the person's own password; the current one is asked for, so reauthentication is not."""
    entries = await forms.read(visit.request)
    try:
        await reauth.change_password(visit, entries)
    except Invalid as error:
        return await _page(visit, forms.refused({}, error), status=422)
    return render.redirect(visit.request, "/account", render.done("Password changed. Other browsers are signed out."))


@post("/account/sessions/{session_id:int}/end", status_code=200)
async def end_session(visit: SignedIn, session_id: lists.Id) -> Response[str]:
    """Sign one browser out."""
    async with visit.site.database.transaction() as session:
        await sessions.end(session, visit.principal.user_id, session_id, by=visit.actor)
    return render.redirect(visit.request, "/account", render.done("That browser is signed out."))


@post("/account/sessions/end-others", status_code=200)
async def end_others(visit: SignedIn) -> Response[str]:
    """Sign every other browser out."""
    async with visit.site.database.transaction() as session:
        for other in await sessions.of_user(session, visit.principal.user_id, visit.site.settings):
            if other.id != visit.signed_in.session_id:
                await sessions.end(session, visit.principal.user_id, other.id, by=visit.actor)
    return render.redirect(visit.request, "/account", render.done("All other browsers are signed out."))


@get("/account/apps/{app_id:int}/withdraw")
async def ask_withdraw(visit: SignedIn, app_id: lists.Id) -> Response[str]:
    """Say what withdrawing ends, and ask."""
    async with visit.site.database.read() as session:
        row = one_of(await connected.of_user(session, visit.principal.user_id, visit.site.settings), app_id)
    trail = (("My account", "/account"), ("Connected apps", "/account#apps"))
    view = ConnectedConfirm(visit.shell("account"), row, "", f"/account/apps/{app_id}/withdraw", trail)
    return render.page(visit.request, "account/withdraw.html", view)


@post("/account/apps/{app_id:int}/withdraw", status_code=200)
async def withdraw(visit: SignedIn, app_id: lists.Id) -> Response[str]:
    """Take back what the person allowed an app: its next request is refused. It only narrows, so no password is asked for."""
    await forms.read(visit.request)
    async with visit.site.database.transaction() as session:
        user = await users.get(session, visit.principal.organization_id, visit.principal.user_id)
        name = (await connected.withdraw(session, user, app_id, by=visit.actor)).name
    return render.redirect(visit.request, "/account#apps", render.done(f"{name[:80]} has no access any more."))


async def _page(visit: PageContext, form: Form, *, status: int = 200) -> Response[str]:
    me = visit.principal
    async with visit.site.database.read() as session:
        user = await users.get(session, me.organization_id, me.user_id)
        open_sessions = await sessions.of_user(session, me.user_id, visit.site.settings)
        apps = await connected.of_user(session, me.user_id, visit.site.settings)
        keys = await api_keys.of_user(session, me.user_id)
        names = await makers(session, me.organization_id, keys)
    view = Account(
        visit.shell("account"),
        form,
        passwords.LEAST,
        user.user_group,
        user.created,
        tuple(rows.browser_session(each, current=visit.signed_in.session_id) for each in open_sessions),
        tuple(app_rows.connected(each) for each in apps),
        tuple(rows.key(each, clock.now(), names) for each in keys),
    )
    return render.page(visit.request, "account/account.html", view, status=status)


HANDLERS = (show_account, change_password, end_session, end_others, ask_withdraw, withdraw)
