"""New API key, and the one page that ever shows a full key. Administrators only."""

from __future__ import annotations

import re
import secrets

from litestar import Response, get, post

from latchpin.errors import Conflict, FieldProblem, Invalid
from latchpin.identity import api_keys, policy, users
from latchpin.identity.api_keys import AlreadyIssued, KeyParameters
from latchpin.identity.scopes import Access
from latchpin.kit import clock
from latchpin.web import drafts, expiry, forms, lists, reauth, render, rows
from latchpin.web.forms import Entries
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.pages.api_keys import KEYS, address, creator_names, keys_of
from latchpin.web.views import api_keys as views
from latchpin.web.views.api_keys import CreatedKey, Lifetime
from latchpin.web.views.common import Form, Option, Toast

_SENT_BEFORE = "This form was sent before; the key was made then and is in the list. If you lost it, delete it and make a new one."
_ACCESSES = (
    Option(Access.FULL.value, "Full access", "Everything the user may do through the API."),
    Option(Access.READ_ONLY.value, "Read-only", "See agents, runs, Spaces and billing; change nothing."),
    Option(Access.RUNS_ONLY.value, "Runs-only", "See and run agents and fetch their results; no Spaces, no billing."),
    Option(Access.BILLING_ONLY.value, "Billing-only", "Read costs and credit; nothing else."),
)


@get("/organization/users/{user_id:int}/api-keys/new")
async def show_new(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """Show the form for a new key; there is none for a disabled user."""
    limits = await _limits(ctx)
    chosen = {
        "access": Access.FULL.value,
        "expires_in": str(limits.default_days),
        "expires_on": limits.default.isoformat(),
    }
    return await _form(ctx, user_id, Form(chosen), limits)


@post("/organization/users/{user_id:int}/api-keys/new", status_code=200, opt=drafts.keeps_draft() | reauth.required(KEYS))
async def create(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """Create the key and answer with the page that shows it, instead of redirecting as after other changes.

    For a redirect the key would have to be stored to be shown. The answer is not stored by the browser, and sending the form again
    makes no second key.
    """
    limits = await _limits(ctx)
    problems: list[FieldProblem] = []
    try:
        parameters = _read_parameters(ctx.entries, limits, problems)
        async with reauth.transaction(ctx) as session:
            user = await users.get(session, ctx.principal.organization_id, user_id)
            key_policy = await policy.get(session, ctx.principal.organization_id, ctx.services.settings)
            issued_key = await api_keys.create(session, user, parameters, policy=key_policy, secrets=ctx.services.secrets, by=ctx.actor)
            keys = await api_keys.of_user(session, user_id)
            user_keys = keys_of(user, keys, await creator_names(session, ctx.principal.organization_id, keys))
            row = rows.key(issued_key.key, clock.now())
            forms.require_none(problems)
    except AlreadyIssued:
        return render.redirect(ctx.request, address(user_id), Toast("info", _SENT_BEFORE))
    except (Invalid, Conflict) as error:
        form = forms.refused(ctx.entries, error, {"expires": "expires_on"}, also=problems)
        return await _form(ctx, user_id, form, limits, status=422)
    view = CreatedKey(
        ctx.shell("users"),
        user_keys.owner,
        user_keys.listing,
        user_keys.active,
        user_keys.inactive,
        issued_key.secret,
        row,
        ctx.services.settings.public_url,
    )
    return render.page(ctx.request, "api_keys/created.html", view)


def _read_parameters(entries: Entries, limits: Lifetime, problems: list[FieldProblem]) -> KeyParameters:
    """Read the form; invalid fields are added to `problems` and get their defaults. Raises Invalid for a form without its id."""
    access, expires, rate_limit = Access.FULL, None, None
    try:
        access = Access(entries.get("access", ""))
    except ValueError:
        problems.append(FieldProblem("access", "Choose one of the four."))
    try:
        expires = expiry.chosen_end(entries.get("expires_in", ""), entries.get("expires_on", ""), limits)
    except Invalid as error:
        problems.extend(error.problems)
    if entries.get("rate_limit", "").strip():
        rate_limit = forms.number(entries["rate_limit"])
        if rate_limit is None:
            problems.append(FieldProblem("rate_limit", "Enter a whole number of requests, such as 100."))
    return KeyParameters(
        expires_at=expires,
        description=entries.get("description", ""),
        access=access,
        networks=re.split(r"[\s,]+", entries.get("networks", "").strip()) if entries.get("networks", "").strip() else (),
        rate_limit=rate_limit,
        idempotency_key=forms.once(entries),
    )


async def _limits(ctx: PageContext) -> Lifetime:
    async with ctx.services.database.read() as session:
        key_policy = await policy.get(session, ctx.principal.organization_id, ctx.services.settings)
    return expiry.lifetime(key_policy, clock.now().date())


async def _form(ctx: PageContext, user_id: int, form: Form, limits: Lifetime, *, status: int = 200) -> Response[str]:
    async with ctx.services.database.read() as session:
        user = await users.get(session, ctx.principal.organization_id, user_id)
    view = views.NewKey(
        ctx.shell("users"),
        rows.owner(user),
        form,
        secrets.token_urlsafe(16),
        limits,
        expiry.quick_choices(limits),
        _ACCESSES,
    )
    return render.page(ctx.request, "api_keys/new.html", view, status=status)


HANDLERS = (show_new, create)
