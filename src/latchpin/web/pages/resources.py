"""Organization > API resources: servers that accept our tokens. Administrators only."""

from __future__ import annotations

from litestar import Response, get, post

from latchpin.errors import Conflict, Invalid
from latchpin.oauth import resource_admin
from latchpin.oauth.resource_admin import ResourceFields
from latchpin.web import app_rows, drafts, forms, lists, reauth, render
from latchpin.web.forms import Entries
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.pages.app_editor import OVERLAPS, chosen_overlap
from latchpin.web.views.apps import ResourceConfirm, ResourceEditor, ResourceRotate, ResourceRow, Resources, ResourceSecret
from latchpin.web.views.common import Form

BASE = "/organization/resources"


@get("/organization/resources")
async def show_resources(ctx: SignedIn) -> Response[str]:
    """List the API resources."""
    return render.page(ctx.request, "resources/list.html", Resources(ctx.shell("resources"), await _rows(ctx)))


@get("/organization/resources/new")
async def show_new(ctx: SignedIn) -> Response[str]:
    """Show the form for a new resource."""
    return _editor(ctx, Form(), None)


@post("/organization/resources/new", status_code=200, opt=drafts.keeps_draft() | reauth.required(BASE))
async def create(ctx: SignedIn) -> Response[str]:
    """Register a resource and answer with the only page that shows its server's secret."""
    resource_fields = _read_fields(ctx.entries)
    server = ctx.services
    try:
        async with reauth.transaction(ctx) as session:
            created_resource = await resource_admin.create(
                session,
                ctx.principal.organization_id,
                resource_fields,
                settings=server.settings,
                secrets=server.secrets,
                by=ctx.actor,
            )
            row = app_rows.resource(created_resource.resource)
    except (Invalid, Conflict) as error:
        return _editor(ctx, forms.refused(ctx.entries, error), None, status=422)
    return await _secret_page(ctx, row, created_resource.secret)


@get("/organization/resources/{resource_id:int}")
async def show_resource(ctx: SignedIn, resource_id: lists.Id) -> Response[str]:
    """Show a resource for editing."""
    row = await _row(ctx, resource_id)
    return _editor(ctx, Form({"name": row.name, "may_call_api": "yes" if row.may_call_api else ""}), row)


@post("/organization/resources/{resource_id:int}", status_code=200, opt=drafts.keeps_draft() | reauth.required(BASE))
async def change(ctx: SignedIn, resource_id: lists.Id) -> Response[str]:
    """Change a resource's name, or whether its tokens may call our API too."""
    row = await _row(ctx, resource_id)
    try:
        async with reauth.transaction(ctx) as session:
            resource = await resource_admin.get(session, ctx.principal.organization_id, resource_id)
            await resource_admin.change(
                session, resource, name=ctx.entries.get("name", ""), may_call_api=ctx.entries.get("may_call_api") == "yes", by=ctx.actor
            )
            name = resource.row.name
    except Invalid as error:
        return _editor(ctx, forms.refused(ctx.entries, error), row, status=422)
    return render.redirect(ctx.request, BASE, render.done(f"{name[:80]} saved."))


@get("/organization/resources/{resource_id:int}/rotate")
async def show_rotate(ctx: SignedIn, resource_id: lists.Id) -> Response[str]:
    """Ask how long the current secret should stay valid."""
    return await _rotate_page(ctx, resource_id, Form({"overlap": "24"}))


@post("/organization/resources/{resource_id:int}/rotate", status_code=200, opt=reauth.required(BASE))
async def rotate(ctx: SignedIn, resource_id: lists.Id) -> Response[str]:
    """Create a new secret and answer with the only page that shows it."""
    try:
        overlap = chosen_overlap(ctx.entries)
        async with reauth.transaction(ctx) as session:
            resource = await resource_admin.get(session, ctx.principal.organization_id, resource_id)
            secret = await resource_admin.rotate_secret(session, resource, secrets=ctx.services.secrets, overlap=overlap, by=ctx.actor)
    except Invalid as error:
        return await _rotate_page(ctx, resource_id, forms.refused(ctx.entries, error), status=422)
    return await _secret_page(ctx, await _row(ctx, resource_id), secret)


@get("/organization/resources/{resource_id:int}/delete")
async def ask_delete(ctx: SignedIn, resource_id: lists.Id) -> Response[str]:
    """Show what deleting ends, and ask for confirmation."""
    view = ResourceConfirm(ctx.shell("resources"), await _row(ctx, resource_id), Form())
    return render.page(ctx.request, "resources/delete.html", view)


@post("/organization/resources/{resource_id:int}/delete", status_code=200, opt=reauth.required(BASE))
async def delete(ctx: SignedIn, resource_id: lists.Id) -> Response[str]:
    """Delete a resource and the client of its server."""
    async with reauth.transaction(ctx) as session:
        resource = await resource_admin.get(session, ctx.principal.organization_id, resource_id)
        name = resource.row.name
        await resource_admin.delete(session, resource, by=ctx.actor)
    return render.redirect(ctx.request, BASE, render.done(f"{name[:80]} is deleted."))


def _read_fields(entries: Entries) -> ResourceFields:
    return ResourceFields(
        name=entries.get("name", ""), identifier=entries.get("identifier", ""), may_call_api=entries.get("may_call_api") == "yes"
    )


async def _rows(ctx: PageContext) -> tuple[ResourceRow, ...]:
    async with ctx.services.database.read() as session:
        return tuple(app_rows.resource(each) for each in await resource_admin.list_all(session, ctx.principal.organization_id))


async def _row(ctx: PageContext, resource_id: int) -> ResourceRow:
    async with ctx.services.database.read() as session:
        return app_rows.resource(await resource_admin.get(session, ctx.principal.organization_id, resource_id))


def _editor(ctx: PageContext, form: Form, row: ResourceRow | None, *, status: int = 200) -> Response[str]:
    return render.page(ctx.request, "resources/edit.html", ResourceEditor(ctx.shell("resources"), form, row), status=status)


async def _rotate_page(ctx: PageContext, resource_id: int, form: Form, *, status: int = 200) -> Response[str]:
    view = ResourceRotate(ctx.shell("resources"), await _row(ctx, resource_id), form, OVERLAPS)
    return render.page(ctx.request, "resources/rotate.html", view, status=status)


async def _secret_page(ctx: PageContext, row: ResourceRow, secret: str) -> Response[str]:
    view = ResourceSecret(ctx.shell("resources"), await _rows(ctx), row, secret, ctx.services.settings.public_url)
    return render.page(ctx.request, "resources/secret.html", view)


HANDLERS = (show_resources, show_new, create, show_resource, change, show_rotate, rotate, ask_delete, delete)
