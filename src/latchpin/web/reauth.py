"""Reauthentication: changing keys, users or policy asks for the password again when it was last given too long ago.

A route says so: `opt=reauth.required(back)`. The page that asks sends the interrupted form again together with the password, so nothing
has to be typed twice and the change is made in the same request (security.md 113). The form is checked first: an invalid change does not
ask for the password.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from litestar import Response

from latchpin.errors import Denied, FieldProblem, Invalid, LatchpinError, Throttled
from latchpin.identity import passwords, sign_in, users
from latchpin.identity.roles import Group
from latchpin.identity.sign_in import Attempt
from latchpin.services import AnyRequest
from latchpin.storage import Session
from latchpin.web import forms, page_context, render
from latchpin.web.forms import Entries
from latchpin.web.page_context import PageContext
from latchpin.web.views.common import Form
from latchpin.web.views.sign_in import ConfirmPassword

FIELD = "confirm_password"


OPTION = "reauth"
Back: TypeAlias = "str | Callable[[Mapping[str, Any], Entries], str]"


class ReauthenticationRequired(Exception):
    """The change needs the password, or the one given was refused (`refusal`). `page` asks for it after the rollback."""

    def __init__(self, ctx: PageContext, refusal: LatchpinError | None = None) -> None:
        super().__init__()
        self.ctx, self.refusal = ctx, refusal


def required(back: Back) -> dict[str, Back]:
    """Declare that a form needs a recent password: `@post("/organization/users/new", opt=reauth.required(BASE))`.

    `back` is the address for Cancel, with the path's parameters in braces, or a function of these and the form's entries.
    The route makes its change in `transaction` below and reads `ctx.entries`.
    """
    return {OPTION: back}


async def require_administrator(request: AnyRequest) -> PageContext:
    """Return the page context of an administrator; where the route needs a recent password, with the form that was sent.

    Verifies the password where it is needed again and the form contains it, and removes it from the entries. Raises what
    `page_context.require_administrator` and `forms.read` raise, and ReauthenticationRequired where the password is wrong.
    """
    ctx = await page_context.require_administrator(request)
    if _is_required(ctx):
        ctx.entries = await forms.read(request)
        password = ctx.entries.pop(FIELD, None)
        ctx.entries.pop("username", None)  # a field for password managers, on every page that asks for a password; not used here
        if password is not None and not ctx.signed_in.is_fresh(ctx.services.settings):
            refusal = await reauthenticate(ctx, password)
            if refusal is not None:
                raise ReauthenticationRequired(ctx, refusal)
    return ctx


@asynccontextmanager
async def transaction(ctx: PageContext) -> AsyncIterator[Session]:
    """Open the transaction of a change; raises ReauthenticationRequired at its end where the route needs a password that was not given.

    All other errors are raised before that; the transaction is rolled back.
    """
    async with ctx.services.database.transaction() as session:
        yield session
        if _is_required(ctx) and ctx.renewed is None and not ctx.signed_in.is_fresh(ctx.services.settings):
            raise ReauthenticationRequired(ctx)


def _is_required(ctx: PageContext) -> bool:
    return OPTION in ctx.request.route_handler.opt


def page(error: ReauthenticationRequired) -> Response[str]:
    """Draw the page that asks for the password and then sends the interrupted form again."""
    ctx, refusal = error.ctx, error.refusal
    back: Back = ctx.request.route_handler.opt[OPTION]
    params = ctx.request.path_params
    address = back.format(**params) if isinstance(back, str) else back(params, ctx.entries)
    status, headers = 403, {}
    if isinstance(refusal, Throttled):
        status, headers = 429, {"Retry-After": str(refusal.retry_after)}
    form = Form({}, {FIELD: refusal.detail}) if refusal else Form()
    minutes = ctx.services.settings.reauth_minutes
    view = ConfirmPassword(ctx.shell(""), form, ctx.request.scope["path"], tuple(ctx.entries.items()), address, minutes)
    return render.page(ctx.request, "sign_in/confirm_password.html", view, status=status, headers=headers)


async def change_password(ctx: PageContext, entries: Entries) -> None:
    """Set the password that a person chose, after verifying the current one within the limits of signing in. Raises Invalid.

    Without those limits somebody with a stolen session could guess the password here at any speed.
    """
    current, chosen = entries.get("current_password", ""), entries.get("new_password", "")
    refusal = await reauthenticate(ctx, current) if current else Invalid("Enter your current password.")
    if refusal is not None:
        problems = [FieldProblem("current_password", refusal.detail)]
        if weakness := passwords.weakness(chosen, own_words=(ctx.principal.full_name, ctx.principal.email)):
            problems.append(FieldProblem("new_password", weakness))
        raise Invalid(refusal.detail, problems=problems)
    database, principal = ctx.services.database, ctx.principal
    async with database.read() as session:
        password_hash = (await users.get(session, principal.organization_id, principal.user_id)).password_hash
    change = await users.prepare_change(password_hash, current=current, new=chosen)
    async with database.transaction() as session:
        user = await users.get(session, principal.organization_id, principal.user_id)
        await users.change_password(session, user, change, by=ctx.actor, keep_session=ctx.signed_in.session_id)


async def reauthenticate(ctx: PageContext, password: str) -> LatchpinError | None:
    """Verify the password of the signed-in person, which renews the session's token; returns why it was refused, or None."""
    settings, secrets = ctx.services.settings, ctx.services.secrets
    device = ctx.request.cookies.get(page_context.device_name(settings))
    attempt = Attempt(ctx.principal.email, password, page_context.origin_of(ctx.request), device)
    async with ctx.services.database.read() as session:
        lookup = await sign_in.look_up(session, attempt, secrets)
    try:
        with sign_in.reserve_slot(lookup):
            password_check = await sign_in.check(lookup, password)  # no connection is held while this waits for its turn
            async with ctx.services.database.transaction() as session:
                outcome = await sign_in.reauthenticate(session, ctx.signed_in, attempt, secrets, by=ctx.actor, checked=password_check)
    except Throttled as refusal:
        return refusal
    if outcome.session is None or outcome.user is None:
        return outcome.refusal
    if ctx.is_administrator and outcome.user.user_group != Group.ADMINISTRATOR:
        return Denied("You do not administer the organization any more.")  # it changed while the password was checked
    ctx.renewed = outcome.session.token
    return None
