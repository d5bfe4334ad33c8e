"""New app, Edit app, Rotate secret, and the one page that ever shows an app's secret. Administrators only."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta

from litestar import Response, get, post

from latchpin.errors import Conflict, Invalid
from latchpin.identity.roles import Role
from latchpin.identity.scopes import OFFLINE, REQUESTABLE, Scope
from latchpin.oauth import client_admin, client_list
from latchpin.oauth.client_admin import AlreadyRegistered
from latchpin.oauth.client_list import ClientSummary
from latchpin.storage import Session
from latchpin.storage.models import OAuthClient
from latchpin.web import app_forms, app_rows, consent_view, drafts, forms, lists, reauth, render, space_access
from latchpin.web.app_forms import OfferedSpaces
from latchpin.web.forms import Entries
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.pages.apps import BASE, address, details
from latchpin.web.views.apps import AppEditor, AppKinds, AppRotate, AppSecret, Kind, SpaceChoice
from latchpin.web.views.common import Form, Option, Toast

KINDS = (
    Option(
        "confidential",
        "Web app with a server",
        "Acts for users. Its server keeps a secret, so nobody else can pass for it. For a site of your own or of a partner.",
    ),
    Option(
        "public",
        "Single-page, mobile or command-line app",
        "Acts for users. It runs where people can look into it, so it has no secret; PKCE protects it.",
    ),
    Option(
        "service",
        "Service",
        "Acts for itself, without any user: a nightly job, a dashboard. It may do what you tick, in the Spaces you choose.",
    ),
)
OVERLAPS = (
    Option("0", "Now", "For a secret that somebody else may have seen. The app stops working until it has the new one."),
    Option("24", "In 1 day", "Time to bring the new one to one place."),
    Option("168", "In 7 days", "Time to bring the new one to several places."),
)
METHODS = (
    Option("client_secret_basic", "Secret, by HTTP Basic (what most libraries do)"),
    Option("client_secret_post", "Secret, in the form"),
    Option("private_key_jwt", "Signature of a key of its own (private_key_jwt)"),
)
TYPES = (
    Option("web", "In a browser", "A single-page app. Its redirect URIs are https."),
    Option(
        "native",
        "On a device",
        "Mobile, desktop or command line. Its redirect URIs are on a loopback address, or begin with com.example.app:",
    ),
)
ROLES = (Option("", "No access"), *(Option(role.word, role.word.capitalize()) for role in Role))
_SENT_BEFORE = "This form was sent before; the app was registered then, and this is it. If you lost its secret, rotate it."
_MOST_SPACES = 60  # a form has at most 100 fields
_NAMES = {"post_logout_redirect_uris": "logout_uris", "grant_types": "device"}


@get("/organization/apps/new")
async def show_new(ctx: SignedIn) -> Response[str]:
    """Ask for the kind of app, then show the form for that kind."""
    kind = app_forms.known_kind(forms.query(ctx.request, "kind"))
    if kind is None:
        return render.page(ctx.request, "apps/kinds.html", AppKinds(ctx.shell("apps"), KINDS))
    chosen = {"auth_method": "client_secret_basic", "application_type": "web"}
    return await _form(ctx, kind, Form(chosen), None)


@post("/organization/apps/new", status_code=200, opt=drafts.keeps_draft("kind") | reauth.required(BASE))
async def create(ctx: SignedIn) -> Response[str]:
    """Register the app. The response shows its secret, if any: for a redirect the secret would have to be stored."""
    kind = app_forms.known_kind(ctx.entries.get("kind", ""))
    if kind is None:
        return render.page(ctx.request, "apps/kinds.html", AppKinds(ctx.shell("apps"), KINDS), status=422)
    try:
        async with reauth.transaction(ctx) as session:
            client_fields = app_forms.read_fields(kind, ctx.entries, await _spaces_of_form(ctx, session, kind, None), None)
            created_client = await client_admin.create(
                session,
                ctx.principal.organization_id,
                client_fields,
                secrets=ctx.services.secrets,
                by=ctx.actor,
                idempotency_key=forms.once(ctx.entries),
            )
            app_id, secret, name = created_client.client.id, created_client.secret, created_client.client.name
            view = await _secret_view(ctx, session, app_id, secret, first=True) if secret else None
    except AlreadyRegistered:
        return await _sent_before(ctx, ctx.entries)
    except (Invalid, Conflict) as error:
        return await _form(ctx, kind, forms.refused(ctx.entries, error, _NAMES), None, status=422)
    if view is not None:
        return render.page(ctx.request, "apps/secret.html", view)
    return render.redirect(ctx.request, address(app_id), render.done(f"{name[:80]} is registered. Its client ID is below."))


async def _sent_before(ctx: PageContext, entries: Entries) -> Response[str]:
    async with ctx.services.database.read() as session:
        client = await client_admin.created_by_request(session, ctx.principal.organization_id, forms.once(entries))
    return render.redirect(ctx.request, address(client.id) if client else BASE, Toast("info", _SENT_BEFORE))


@get("/organization/apps/{app_id:int}/edit")
async def show_edit(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Show an app of the organization for editing."""
    summary, roles = await _own(ctx, app_id)
    return await _form(ctx, app_forms.kind_of(summary), Form(app_forms.form_entries(summary.client, roles)), summary)


@post("/organization/apps/{app_id:int}/edit", status_code=200, opt=drafts.keeps_draft() | reauth.required(BASE + "/{app_id}"))
async def change(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Change an app of the organization."""
    summary, _ = await _own(ctx, app_id)
    kind = app_forms.kind_of(summary)
    try:
        async with reauth.transaction(ctx) as session:
            client = await client_admin.get(session, ctx.principal.organization_id, app_id, lock=True)
            client_fields = app_forms.read_fields(kind, ctx.entries, await _spaces_of_form(ctx, session, kind, client), client)
            await client_admin.change(session, client, client_fields, by=ctx.actor)
            name = client.name
    except (Invalid, Conflict) as error:
        return await _form(ctx, kind, forms.refused(ctx.entries, error, _NAMES), summary, status=422)
    return render.redirect(ctx.request, address(app_id), render.done(f"{name[:80]} saved."))


@get("/organization/apps/{app_id:int}/rotate")
async def show_rotate(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Ask how long the current secret should stay valid."""
    return await _rotate_page(ctx, app_id, Form({"overlap": "24"}))


@post("/organization/apps/{app_id:int}/rotate", status_code=200, opt=reauth.required(BASE + "/{app_id}"))
async def rotate(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """Create a new secret and answer with the only page that shows it."""
    try:
        overlap = chosen_overlap(ctx.entries)
        async with reauth.transaction(ctx) as session:
            client = await client_admin.get(session, ctx.principal.organization_id, app_id, lock=True)
            secret = await client_admin.rotate_secret(session, client, secrets=ctx.services.secrets, overlap=overlap, by=ctx.actor)
            view = await _secret_view(ctx, session, app_id, secret, first=False)
    except (Invalid, Conflict) as error:
        return await _rotate_page(ctx, app_id, forms.refused(ctx.entries, error), status=422)
    return render.page(ctx.request, "apps/secret.html", view)


@post("/organization/apps/{app_id:int}/end-older-secret", status_code=200, opt=reauth.required(BASE + "/{app_id}"))
async def end_older_secret(ctx: SignedIn, app_id: lists.Id) -> Response[str]:
    """End the older of two secrets before it expires."""
    async with reauth.transaction(ctx) as session:
        client = await client_admin.get(session, ctx.principal.organization_id, app_id, lock=True)
        await client_admin.end_older_secret(session, client, by=ctx.actor)
    return render.redirect(ctx.request, address(app_id), render.done("The older secret is refused from now on."))


def chosen_overlap(entries: Entries) -> timedelta:
    """For how long the previous secret stays valid. Raises Invalid."""
    choice = entries.get("overlap", "")
    if choice not in {option.value for option in OVERLAPS}:
        raise Invalid("Choose one of the three.", field="overlap")
    return timedelta(hours=int(choice))


async def _own(ctx: PageContext, app_id: int) -> tuple[ClientSummary, Mapping[int, Role]]:
    async with ctx.services.database.read() as session:
        client = await client_admin.get(session, ctx.principal.organization_id, app_id)
        summary = await client_list.get(session, ctx.principal.organization_id, app_id)
        return summary, await client_admin.spaces_of(session, client)


async def _spaces_of_form(ctx: PageContext, session: Session, kind: Kind, client: OAuthClient | None) -> OfferedSpaces:
    if kind != "service":
        return OfferedSpaces((), 0, {})
    access = await space_access.load(session, ctx.principal)
    own_spaces = [space for space in access.visible if space.organization_id == ctx.principal.organization_id]
    offered_ids = {space.id for space in own_spaces[:_MOST_SPACES]}
    roles = await client_admin.spaces_of(session, client) if client else {}
    hidden_roles = {space_id: role for space_id, role in roles.items() if space_id not in offered_ids}
    choices = tuple(SpaceChoice(f"space_{space.id}", space.name) for space in own_spaces[:_MOST_SPACES])
    return OfferedSpaces(choices, max(0, len(own_spaces) - _MOST_SPACES), hidden_roles)


async def _form(ctx: PageContext, kind: Kind, form: Form, summary: ClientSummary | None, *, status: int = 200) -> Response[str]:
    async with ctx.services.database.read() as session:
        offered = await _spaces_of_form(ctx, session, kind, summary.client if summary else None)
    # An app's authentication method is fixed, except that it can change between the two ways to send a secret.
    own_key = summary is not None and summary.client.auth_method == "private_key_jwt"
    methods = METHODS if summary is None else tuple(each for each in METHODS if (each.value == "private_key_jwt") is own_key)
    scopes = list(Scope) if kind == "service" else [each for each in REQUESTABLE if each != OFFLINE]
    view = AppEditor(
        ctx.shell("apps"),
        form,
        secrets.token_urlsafe(16),
        app_rows.app(summary) if summary else None,
        kind,
        methods,
        TYPES,
        tuple(Option(each, consent_view.rights(each)[0].text, each) for each in scopes),
        offered.spaces,
        ROLES,
        offered.left_out,
    )
    return render.page(ctx.request, "apps/edit.html", view, status=status)


async def _rotate_page(ctx: PageContext, app_id: int, form: Form, *, status: int = 200) -> Response[str]:
    async with ctx.services.database.read() as session:
        await client_admin.get(session, ctx.principal.organization_id, app_id)
        app_details = await details(ctx, session, app_id)
    view = AppRotate(app_details.shell, app_details.app, form, app_details.secrets, OVERLAPS)
    return render.page(ctx.request, "apps/rotate.html", view, status=status)


async def _secret_view(ctx: PageContext, session: Session, app_id: int, secret: str, *, first: bool) -> AppSecret:
    app_details = await details(ctx, session, app_id)
    summary = await client_list.get(session, ctx.principal.organization_id, app_id)
    values = {each.name: getattr(app_details, each.name) for each in fields(app_details)}
    return AppSecret(**values, secret=secret, first=first, basic=summary.client.auth_method == "client_secret_basic")


HANDLERS = (show_new, create, show_edit, change, show_rotate, rotate, end_older_secret)
