"""Manage API keys of one user: list, change expiry, revoke, delete. Administrators only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from litestar import Response, get, post

from latchpin.errors import Conflict, Invalid, Missing
from latchpin.identity import active_keys, api_keys, policy, users
from latchpin.identity.queries import overview
from latchpin.kit import clock
from latchpin.storage import Session
from latchpin.storage.models import ApiKey, User
from latchpin.web import drafts, expiry, forms, lists, reauth, render, rows
from latchpin.web.forms import Entries
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.views.api_keys import KeyConfirm, KeyExpiry, KeyOwner, KeyRow, Keys
from latchpin.web.views.common import Form, Listing

KEYS = "/organization/users/{user_id}/api-keys"
_SIZE = 50
_DEFAULT_REASON = "revoked by an administrator"


@dataclass(frozen=True, slots=True)
class KeysOfUser:
    """The keys of one user, ready to be shown."""

    owner: KeyOwner
    listing: Listing
    active: tuple[KeyRow, ...]
    inactive: tuple[KeyRow, ...]


def address(user_id: int) -> str:
    """The address of the list of a user's keys."""
    return KEYS.format(user_id=user_id)


def keys_of(user: User, keys: list[ApiKey], names: Mapping[int, str], listing: Listing | None = None) -> KeysOfUser:
    """Sort a user's keys: valid ones first, then expired and revoked ones; by default, return the first page of all keys."""
    where = lists.with_total(listing or Listing(address(user.id), {}, "created", True, 1, _SIZE, 0), len(keys))  # noqa: FBT003
    now, is_active = clock.now(), user.status == "active"
    ordered = sorted(keys, key=lambda each: not active_keys.is_active(each, now))
    key_rows = [rows.key(each, now, names) for each in ordered[(where.page - 1) * _SIZE :][:_SIZE]]
    active = tuple(row for row in key_rows if row.is_active and is_active)
    inactive = tuple(row for row in key_rows if not (row.is_active and is_active))
    return KeysOfUser(rows.owner(user), where, active, inactive)


async def creator_names(session: Session, organization_id: int, keys: Iterable[ApiKey]) -> dict[int, str]:
    """Full names of the users who created an organization's keys, by user id."""
    return await overview.names(session, organization_id, (key.created_by_id for key in keys if key.created_by_id))


@get("/organization/users/{user_id:int}/api-keys")
async def show_keys(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """List one user's keys."""
    async with ctx.services.database.read_list() as session:
        user = await users.get(session, ctx.principal.organization_id, user_id)
        keys = await api_keys.of_user(session, user_id)
        listing = lists.read_listing(ctx.request, address(user_id), ("created",), _SIZE)
        user_keys = keys_of(user, keys, await creator_names(session, ctx.principal.organization_id, keys), listing)
    view = Keys(ctx.shell("users"), user_keys.owner, user_keys.listing, user_keys.active, user_keys.inactive)
    return render.page(ctx.request, "api_keys/list.html", view)


@get("/organization/users/{user_id:int}/api-keys/{key_id:int}/expiry")
async def show_expiry(ctx: SignedIn, user_id: lists.Id, key_id: lists.Id) -> Response[str]:
    """Show the form that changes when a key ends."""
    return await _expiry_page(ctx, user_id, key_id, None)


@post("/organization/users/{user_id:int}/api-keys/{key_id:int}/expiry", status_code=200, opt=drafts.keeps_draft() | reauth.required(KEYS))
async def change_expiry(ctx: SignedIn, user_id: lists.Id, key_id: lists.Id) -> Response[str]:
    """Change when a key ends, within the policy."""
    try:
        expires_at = expiry.end_of(ctx.entries.get("expires_on", ""))
        async with reauth.transaction(ctx) as session:
            key = _of(await api_keys.get(session, ctx.principal.organization_id, key_id), user_id)
            key_policy = await policy.get(session, ctx.principal.organization_id, ctx.services.settings)
            await api_keys.change_expiry(session, key, expires_at, policy=key_policy, by=ctx.actor)
            name = _name(key)
    except (Invalid, Conflict) as error:
        form = forms.refused(ctx.entries, error, {"expires": "expires_on"})
        return await _expiry_page(ctx, user_id, key_id, form)
    toast = render.done(f"API key {name} ends on {expires_at.day} {expires_at:%b %Y}.")
    return render.redirect(ctx.request, address(user_id), toast)


@get("/organization/users/{user_id:int}/api-keys/{key_id:int}/revoke")
async def ask_revoke(ctx: SignedIn, user_id: lists.Id, key_id: lists.Id) -> Response[str]:
    """Show what revoking ends, and ask for confirmation."""
    return await _confirm(ctx, user_id, key_id, "revoke")


@post("/organization/users/{user_id:int}/api-keys/{key_id:int}/revoke", status_code=200, opt=reauth.required(KEYS))
async def revoke(ctx: SignedIn, user_id: lists.Id, key_id: lists.Id) -> Response[str]:
    """Revoke a key: no request that begins after this response is accepted."""
    reason = " ".join(ctx.entries.get("reason", "").split())
    if len(reason) > 200:  # noqa: PLR2004  what the column holds
        form = Form(ctx.entries, {"reason": f"At most 200 characters; this has {len(reason)}."})
        return await _confirm(ctx, user_id, key_id, "revoke", form)
    try:
        async with reauth.transaction(ctx) as session:
            key = _of(await api_keys.get(session, ctx.principal.organization_id, key_id), user_id)
            await api_keys.revoke(session, key, by=ctx.actor, reason=reason or _DEFAULT_REASON)
            name = _name(key)
    except Invalid as error:
        return await _confirm(ctx, user_id, key_id, "revoke", forms.refused(ctx.entries, error))
    return render.redirect(ctx.request, address(user_id), render.done(f"API key {name} is revoked and refused from now on."))


@get("/organization/users/{user_id:int}/api-keys/{key_id:int}/delete")
async def ask_delete(ctx: SignedIn, user_id: lists.Id, key_id: lists.Id) -> Response[str]:
    """Show what deleting ends, and ask for confirmation."""
    return await _confirm(ctx, user_id, key_id, "delete")


@post("/organization/users/{user_id:int}/api-keys/{key_id:int}/delete", status_code=200, opt=reauth.required(KEYS))
async def delete(ctx: SignedIn, user_id: lists.Id, key_id: lists.Id) -> Response[str]:
    """Delete a key's entry; this also revokes a valid key."""
    async with reauth.transaction(ctx) as session:
        key = _of(await api_keys.get(session, ctx.principal.organization_id, key_id), user_id)
        name, is_active = _name(key), active_keys.is_active(key)
        if is_active:
            await api_keys.revoke(session, key, by=ctx.actor, reason="deleted by an administrator")
        await api_keys.delete(session, key, by=ctx.actor)
    text = f"API key {name} is revoked and deleted." if is_active else f"API key {name} is deleted."
    return render.redirect(ctx.request, address(user_id), render.done(text))


def _of(key: ApiKey, user_id: int) -> ApiKey:
    if key.user_id != user_id:
        raise Missing("API key", key.id)
    return key


def _name(key: ApiKey) -> str:
    return f"“{key.description[:80]}”" if key.description else f"{key.prefix}…"


async def _expiry_page(ctx: PageContext, user_id: int, key_id: int, form: Form | None) -> Response[str]:
    owner, row = await _load(ctx, user_id, key_id)
    async with ctx.services.database.read() as session:
        key_policy = await policy.get(session, ctx.principal.organization_id, ctx.services.settings)
    lifetime = expiry.lifetime(key_policy, clock.now().date())
    entries: Entries = {"expires_on": row.expires_at.date().isoformat()}
    view = KeyExpiry(ctx.shell("users"), owner, row, form or Form(entries), lifetime)
    return render.page(ctx.request, "api_keys/expiry.html", view, status=422 if form else 200)


async def _confirm(ctx: PageContext, user_id: int, key_id: int, what: str, form: Form | None = None) -> Response[str]:
    owner, row = await _load(ctx, user_id, key_id)
    view = KeyConfirm(ctx.shell("users"), owner, row, form or Form())
    return render.page(ctx.request, f"api_keys/{what}.html", view, status=422 if form else 200)


async def _load(ctx: PageContext, user_id: int, key_id: int) -> tuple[KeyOwner, KeyRow]:
    async with ctx.services.database.read() as session:
        user = await users.get(session, ctx.principal.organization_id, user_id)
        key = _of(await api_keys.get(session, ctx.principal.organization_id, key_id), user_id)
    return rows.owner(user), rows.key(key, clock.now())


HANDLERS = (show_keys, show_expiry, change_expiry, ask_revoke, revoke, ask_delete, delete)
