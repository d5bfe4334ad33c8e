"""Reauthentication: changing keys, users or policy asks for the password again when it was last given too long ago.

A route says so: `opt=reauth.required(back)`. The page that asks sends the interrupted form again together with the password, so nothing
has to be typed twice and the change is made in the same request (security.md 113). A form is checked first: what cannot be done needs no
password.
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
from latchpin.web import forms, render, session
from latchpin.web.forms import Entries
from latchpin.web.session import PageContext
from latchpin.web.views.common import Form
from latchpin.web.views.entry import ConfirmPassword

FIELD = "confirm_password"


OPTION = "reauth"
Back: TypeAlias = "str | Callable[[Mapping[str, Any], Entries], str]"


class ReauthenticationRequired(Exception):
    """The change needs the password again, or another one than was given (`refusal`). `page` asks for it once all is undone."""

    def __init__(self, visit: PageContext, refusal: LatchpinError | None = None) -> None:
        super().__init__()
        self.visit, self.refusal = visit, refusal


def required(back: Back) -> dict[str, Back]:
    """Declare that a form needs a recent password: `@post("/organization/users/new", opt=reauth.required(BASE))`.

    `back` is the address of who thinks better of it, with the path's parameters in braces, or a function of these and the form's entries.
    The route makes its change in `transaction` below and reads `visit.entries`.
    """
    return {OPTION: back}


async def require_administrator(request: AnyRequest) -> PageContext:
    """Return the visit of an administrator, and where the route needs a recent password, with the form that was sent.

    Verifies the password where it has to be given again and came with the form, and takes it out of the entries. Raises what
    `session.administrator` and `forms.read` raise, and ReauthenticationRequired where the password is wrong.
    """
    visit = await session.require_administrator(request)
    if _is_required(visit):
        visit.entries = await forms.read(request)
        password = visit.entries.pop(FIELD, None)
        visit.entries.pop("username", None)  # told to password managers on every page that asks for a password, and not to us
        if password is not None and not visit.signed_in.is_fresh(visit.site.settings):
            refusal = await reauthenticate(visit, password)
            if refusal is not None:
                raise ReauthenticationRequired(visit, refusal)
    return visit


@asynccontextmanager
async def transaction(visit: PageContext) -> AsyncIterator[Session]:
    """Open the transaction of a change; raises ReauthenticationRequired at its end where the route needs a password that was not given.

    Whatever else is wrong has been told by then, and all is undone.
    """
    async with visit.site.database.transaction() as opened:
        yield opened
        if _is_required(visit) and visit.renewed is None and not visit.signed_in.is_fresh(visit.site.settings):
            raise ReauthenticationRequired(visit)


def _is_required(visit: PageContext) -> bool:
    return OPTION in visit.request.route_handler.opt


def page(needed: ReauthenticationRequired) -> Response[str]:
    """Draw the page that asks for the password and then sends the interrupted form again."""
    visit, refusal = needed.visit, needed.refusal
    back: Back = visit.request.route_handler.opt[OPTION]
    params = visit.request.path_params
    address = back.format(**params) if isinstance(back, str) else back(params, visit.entries)
    status, headers = 403, {}
    if isinstance(refusal, Throttled):
        status, headers = 429, {"Retry-After": str(refusal.retry_after)}
    form = Form({}, {FIELD: refusal.detail}) if refusal else Form()
    minutes = visit.site.settings.proof_minutes
    view = ConfirmPassword(visit.shell(""), form, visit.request.scope["path"], tuple(visit.entries.items()), address, minutes)
    return render.page(visit.request, "entry/confirm_password.html", view, status=status, headers=headers)


async def change_password(visit: PageContext, entries: Entries) -> None:
    """Set the password that a person chose, after the current one was proved, under the limits of signing in. Raises Invalid.

    Without those limits a stolen session could try passwords here as fast as it likes.
    """
    current, chosen = entries.get("current_password", ""), entries.get("new_password", "")
    refusal = await reauthenticate(visit, current) if current else Invalid("Enter your current password.")
    if refusal is not None:
        found = [FieldProblem("current_password", refusal.detail)]
        if weakness := passwords.weakness(chosen, own_words=(visit.principal.full_name, visit.principal.email)):
            found.append(FieldProblem("new_password", weakness))
        raise Invalid(refusal.detail, problems=found)
    database, who = visit.site.database, visit.principal
    async with database.read() as opened:
        password_hash = (await users.get(opened, who.organization_id, who.user_id)).password_hash
    change = await users.prepare_change(password_hash, current=current, new=chosen)
    async with database.transaction() as opened:
        user = await users.get(opened, who.organization_id, who.user_id)
        await users.change_password(opened, user, change, by=visit.actor, keep_session=visit.signed_in.session_id)


async def reauthenticate(visit: PageContext, password: str) -> LatchpinError | None:
    """Verify the password of who is signed in, which renews the session's token; returns why it did not count, or None."""
    settings, secrets = visit.site.settings, visit.site.secrets
    device = visit.request.cookies.get(session.device_name(settings))
    tried = Attempt(visit.principal.email, password, session.origin_of(visit.request), device)
    async with visit.site.database.read() as opened:
        looked = await sign_in.look_up(opened, tried, secrets)
    try:
        with sign_in.reserve_slot(looked):
            checked = await sign_in.check(looked, password)  # no connection is held while this waits for its turn
            async with visit.site.database.transaction() as opened:
                outcome = await sign_in.reauthenticate(opened, visit.signed_in, tried, secrets, by=visit.actor, checked=checked)
    except Throttled as refusal:
        return refusal
    if outcome.session is None or outcome.user is None:
        return outcome.refusal
    if visit.is_administrator and outcome.user.user_group != Group.ADMINISTRATOR:
        return Denied("You do not administer the organization any more.")  # it changed while the password was checked
    visit.renewed = outcome.session.token
    return None
