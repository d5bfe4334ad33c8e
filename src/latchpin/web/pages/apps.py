"""Organization > OAuth apps: the list, one app, and decisions about it. Administrators only."""

from __future__ import annotations

from collections.abc import Mapping

from litestar import Response, get, post

from latchpin.errors import Conflict, Missing
from latchpin.identity.roles import Role
from latchpin.oauth import approvals, client_admin, client_list
from latchpin.oauth.client_list import AppStatus, ClientSummary
from latchpin.storage import Session
from latchpin.web import app_rows, forms, lists, reauth, render, space_access
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.views.apps import AppConfirm, AppDetails, Apps
from latchpin.web.views.common import Form, Option

BASE = "/organization/apps"
_SIZE = 50
_STATUSES = (
    Option("", "Any status"),
    Option(AppStatus.ACTIVE, "Active"),
    Option(AppStatus.WAITING, "Waiting for approval"),
    Option(AppStatus.BLOCKED, "Blocked"),
    Option(AppStatus.REVOKED, "Revoked"),
)


@get("/organization/apps")
async def show_apps(ctx: SignedIn) -> Response[str]:
    """List the apps: the organization's own, and those of others that its users use or have requested."""
    listing = lists.read_listing(ctx.request, BASE, client_list.SORTS, _SIZE, ("status",))
    chosen = listing.query.get("status", "")
    organization_id = ctx.principal.organization_id
    async with ctx.services.database.read_list() as session:
        page = await client_list.page(
            session,
            organization_id,
            search=listing.search,
            status=AppStatus(chosen) if chosen in set(AppStatus) else None,
            sort=listing.sort,
            descending=listing.descending,
            number=listing.page,
            size=_SIZE,
        )
        waiting = await client_list.count_waiting(session, organization_id)
    rows = tuple(app_rows.app(each) for each in page.items)
    view = Apps(ctx.shell("apps"), lists.with_total(listing, page.total), rows, _STATUSES, waiting)
    return render.page(ctx.request, "apps/list.html", view)


@get("/manage/admin/mcp-integrations")
async def redirect_to_apps(ctx: SignedIn) -> Response[str]:
    """Redirect from the address that the contract names to ours."""
    return render.redirect(ctx.request, BASE)


@get("/organization/apps/{app_id:int}")
async def show_app(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Show everything about one app."""
    async with ctx.services.database.read() as session:
        view = await details(ctx, session, app_id)
    return render.page(ctx.request, "apps/details.html", view)


async def details(ctx: PageContext, session: Session, app_id: int) -> AppDetails:
    """Look up everything about one app; raises Missing."""
    organization_id = ctx.principal.organization_id
    summary = await client_list.get(session, organization_id, app_id)
    roles: Mapping[int, Role] = await client_admin.spaces_of(session, summary.client) if summary.own else {}
    names = (await space_access.load(session, ctx.principal)).names if roles else {}
    active_secrets = await client_admin.active_secrets(session, summary.client) if summary.own else []
    people = await client_list.users_of(session, organization_id, app_id)
    return AppDetails(
        ctx.shell("apps"),
        app_rows.app(summary),
        app_rows.facts(summary, roles, names),
        app_rows.secrets(active_secrets),
        tuple(app_rows.app_user(each) for each in people),
        ctx.services.settings.public_url,
    )


@get("/organization/apps/{app_id:int}/approve")
async def ask_approve(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Show what approving allows, and ask for confirmation."""
    return await _confirm(ctx, app_id, "approve")


@post("/organization/apps/{app_id:int}/approve", status_code=200, opt=reauth.required(BASE + "/{app_id}"))
async def approve(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Allow the organization's users to authorize the app."""
    try:
        async with reauth.transaction(ctx) as session:
            version = forms.number(ctx.entries.get("version", "")) or 0
            client = await approvals.approve(session, ctx.principal.organization_id, app_id, version=version, by=ctx.actor)
            name = client.name
    except Conflict as error:
        return await _confirm(ctx, app_id, "approve", forms.refused({}, error))
    return render.redirect(ctx.request, address(app_id), render.done(f"{name[:80]} is approved. Users can let it in now."))


@get("/organization/apps/{app_id:int}/block")
async def ask_block(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Show what blocking ends, and ask for confirmation."""
    return await _confirm(ctx, app_id, "block")


@post("/organization/apps/{app_id:int}/block", status_code=200, opt=reauth.required(BASE + "/{app_id}"))
async def block(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Block the app for the organization: no request that begins after this response is accepted."""
    try:
        async with reauth.transaction(ctx) as session:
            await approvals.block(session, ctx.principal.organization_id, app_id, by=ctx.actor)
            name = (await client_list.get(session, ctx.principal.organization_id, app_id)).client.name
    except Conflict as error:
        return await _confirm(ctx, app_id, "block", forms.refused({}, error))
    return render.redirect(ctx.request, address(app_id), render.done(f"{name[:80]} is blocked and refused from now on."))


@get("/organization/apps/{app_id:int}/revoke")
async def ask_revoke(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Show what revoking ends, and ask for confirmation."""
    return await _confirm(ctx, app_id, "revoke", own=True)


@post("/organization/apps/{app_id:int}/revoke", status_code=200, opt=reauth.required(BASE + "/{app_id}"))
async def revoke(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Revoke an app of the organization for good: no request that begins after this response is accepted."""
    async with reauth.transaction(ctx) as session:
        client = await client_admin.get(session, ctx.principal.organization_id, app_id, lock=True)
        await client_admin.revoke(session, client, by=ctx.actor)
        name = client.name
    return render.redirect(ctx.request, address(app_id), render.done(f"{name[:80]} is revoked and refused from now on."))


@get("/organization/apps/{app_id:int}/delete")
async def ask_delete(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Say that a revoked app is removed from the list, and ask for confirmation."""
    return await _confirm(ctx, app_id, "delete", own=True)


@post("/organization/apps/{app_id:int}/delete", status_code=200, opt=reauth.required(BASE + "/{app_id}"))
async def delete(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Delete the entry of a revoked app."""
    try:
        async with reauth.transaction(ctx) as session:
            client = await client_admin.get(session, ctx.principal.organization_id, app_id, lock=True)
            name = client.name
            await client_admin.delete(session, client, by=ctx.actor)
    except Conflict as error:
        return await _confirm(ctx, app_id, "delete", forms.refused({}, error))
    return render.redirect(ctx.request, BASE, render.done(f"{name[:80]} is deleted."))


def address(app_id: int) -> str:
    """The address of an app's page."""
    return f"{BASE}/{app_id}"


async def _confirm(ctx: PageContext, app_id: int, what: str, form: Form | None = None, *, own: bool = False) -> Response[str]:
    async with ctx.services.database.read() as session:
        summary: ClientSummary = await client_list.get(session, ctx.principal.organization_id, app_id)
    if own and not summary.own:
        raise Missing("app", app_id)
    view = AppConfirm(ctx.shell("apps"), app_rows.app(summary), app_rows.facts(summary, {}, {}), summary.client.version, form or Form())
    return render.page(ctx.request, f"apps/{what}.html", view, status=422 if form else 200)


HANDLERS = (
    show_apps,
    redirect_to_apps,
    show_app,
    ask_approve,
    approve,
    ask_block,
    block,
    ask_revoke,
    revoke,
    ask_delete,
    delete,
)
