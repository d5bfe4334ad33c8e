"""Users > Sessions and apps: one user's browser sessions and connected apps, to list and to end. Administrators only."""

from __future__ import annotations

from litestar import Response, get, post

from latchpin.errors import Missing
from latchpin.identity import sessions, users
from latchpin.kit import clock
from latchpin.oauth import connected
from latchpin.storage import Session
from latchpin.storage.models import User
from latchpin.web import app_rows, lists, reauth, render, rows
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.views.apps import ConnectedConfirm, UserAccess
from latchpin.web.views.organization import ConnectedRow

ACCESS = "/organization/users/{user_id}/access"


@get("/organization/users/{user_id:int}/access")
async def show_access(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """List a user's browser sessions and connected apps."""
    async with ctx.services.database.read() as session:
        user = await _user(ctx, session, user_id)
        open_sessions = await sessions.of_user(session, user.id, ctx.services.settings)
        apps = await connected.of_user(session, user.id, ctx.services.settings)
    view = UserAccess(
        ctx.shell("users"),
        rows.user_alone(user, [], clock.now(), me=ctx.principal.user_id),
        tuple(rows.browser_session(each, current=ctx.signed_in.session_id) for each in open_sessions),
        tuple(app_rows.connected(each) for each in apps),
    )
    return render.page(ctx.request, "users/access.html", view)


@post("/organization/users/{user_id:int}/sessions/{session_id:int}/end", status_code=200, opt=reauth.required(ACCESS))
async def end_session(ctx: SignedIn, user_id: lists.Id, session_id: lists.Id) -> Response[str]:
    """Sign a user out of one browser."""
    async with reauth.transaction(ctx) as session:
        user = await _user(ctx, session, user_id)
        await sessions.end(session, user.id, session_id, by=ctx.actor, name=user.email)
    return render.redirect(ctx.request, address(user_id), render.done(f"{user.full_name} is signed out of that browser."))


@post("/organization/users/{user_id:int}/sessions/end-all", status_code=200, opt=reauth.required(ACCESS))
async def end_sessions(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """Sign a user out of every browser; an administrator's own current session stays."""
    async with reauth.transaction(ctx) as session:
        user = await _user(ctx, session, user_id)
        for each in await sessions.of_user(session, user.id, ctx.services.settings):
            if each.id != ctx.signed_in.session_id:
                await sessions.end(session, user.id, each.id, by=ctx.actor, name=user.email)
    return render.redirect(ctx.request, address(user_id), render.done(f"{user.full_name} is signed out everywhere."))


@get("/organization/users/{user_id:int}/apps/{app_id:int}/withdraw")
async def ask_withdraw(ctx: SignedIn, user_id: lists.Id, app_id: lists.Id) -> Response[str]:
    """Show what withdrawing ends, and ask for confirmation."""
    async with ctx.services.database.read() as session:
        user = await _user(ctx, session, user_id)
        row = one_of(await connected.of_user(session, user.id, ctx.services.settings), app_id)
    trail = (("Users", "/organization/users"), (f"Sessions and apps of {user.full_name}", address(user_id)))
    action = f"/organization/users/{user_id}/apps/{app_id}/withdraw"
    view = ConnectedConfirm(ctx.shell("users"), row, user.full_name, action, trail)
    return render.page(ctx.request, "account/withdraw.html", view)


@post("/organization/users/{user_id:int}/apps/{app_id:int}/withdraw", status_code=200, opt=reauth.required(ACCESS))
async def withdraw(ctx: SignedIn, user_id: lists.Id, app_id: lists.Id) -> Response[str]:
    """Withdraw a user's consent to an app: its next request is refused."""
    async with reauth.transaction(ctx) as session:
        client = await connected.withdraw(session, await _user(ctx, session, user_id), app_id, by=ctx.actor)
        name = client.name
    return render.redirect(ctx.request, address(user_id), render.done(f"{name[:80]} has no access any more."))


def address(user_id: int) -> str:
    """The address of a user's sessions and apps."""
    return ACCESS.format(user_id=user_id)


def one_of(apps: list[connected.ConnectedApp], app_id: int) -> ConnectedRow:
    """One connected app by its id; raises Missing."""
    row = next((app_rows.connected(each) for each in apps if each.client.id == app_id), None)
    if row is None:
        raise Missing("connected app", app_id)
    return row


async def _user(ctx: PageContext, session: Session, user_id: int) -> User:
    return await users.get(session, ctx.principal.organization_id, user_id)


HANDLERS = (show_access, end_session, end_sessions, ask_withdraw, withdraw)
