"""The recent-password rule: changing keys, users or policy asks for the password again when the last proof is too old.

The page that asks sends the interrupted form again together with the password, so nothing has to be typed twice and the change is made
in the same request that proves the person (security.md 113).
"""

from __future__ import annotations

from litestar import Response

from latchpin.errors import Throttled
from latchpin.identity import sign_in
from latchpin.identity.sign_in import Attempt
from latchpin.web import render, session
from latchpin.web.forms import Entries
from latchpin.web.session import Visit
from latchpin.web.views.common import Form
from latchpin.web.views.entry import ConfirmPassword

FIELD = "confirm_password"


async def ask(visit: Visit, entries: Entries, *, back: str) -> Response[str] | None:
    """Return the page that asks for the password, or None where the change may go on; takes the password out of `entries`."""
    password = entries.pop(FIELD, None)
    settings = visit.site.settings
    if visit.signed_in.is_fresh(settings):
        return None
    form, status, headers = Form(), 403, {}
    if password is not None:
        device = visit.request.cookies.get(session.device_name(settings))
        tried = Attempt(visit.principal.email, password, session.origin(visit.request), device)
        async with visit.site.database.read() as opened:
            checked = await sign_in.check(opened, tried, visit.site.secrets)
        async with visit.site.database.transaction() as opened:
            outcome = await sign_in.prove(opened, visit.signed_in, tried, visit.site.secrets, by=visit.actor, checked=checked)
        if outcome.opened is not None:
            visit.renewed = outcome.opened.token
            return None
        refusal = outcome.refusal
        if isinstance(refusal, Throttled):
            status, headers = 429, {"Retry-After": str(refusal.retry_after)}
        form = Form({}, {FIELD: refusal.detail if refusal else "This is not your password."})
    view = ConfirmPassword(visit.shell(""), form, visit.request.scope["path"], tuple(entries.items()), back, settings.proof_minutes)
    return render.page(visit.request, "entry/confirm_password.html", view, status=status, headers=headers)
