"""The recent-password rule: changing keys, users or policy asks for the password again when the last proof is too old.

The page that asks sends the interrupted form again together with the password, so nothing has to be typed twice and the change is made
in the same request that proves the person (security.md 113). A form is checked first: what cannot be done needs no password.
"""

from __future__ import annotations

from litestar import Response

from latchpin.errors import Denied, FieldProblem, Invalid, LatchpinError, Throttled
from latchpin.identity import passwords, sign_in, users
from latchpin.identity.roles import Group
from latchpin.identity.sign_in import Attempt
from latchpin.web import render, session
from latchpin.web.forms import Entries
from latchpin.web.session import Visit
from latchpin.web.views.common import Form
from latchpin.web.views.entry import ConfirmPassword

FIELD = "confirm_password"


class ReauthenticationRequired(Exception):
    """The change needs the password again, or another one than was given (`refusal`). `page` asks for it once all is undone."""

    def __init__(self, visit: Visit, entries: Entries, back: str, refusal: LatchpinError | None = None) -> None:
        super().__init__()
        self.visit, self.entries, self.back, self.refusal = visit, entries, back, refusal


async def verify(visit: Visit, entries: Entries, *, back: str) -> None:
    """Verify the password that came with a form, where it has to be given again and did come; takes it out of `entries`.

    Raises ReauthenticationRequired where it is wrong. Call `require` once the form is checked.
    """
    password = entries.pop(FIELD, None)
    entries.pop("username", None)  # told to password managers on every page that asks for a password, and not to us
    if password is None or visit.signed_in.is_fresh(visit.site.settings):
        return
    refusal = await prove(visit, password)
    if refusal is not None:
        raise ReauthenticationRequired(visit, entries, back, refusal)


def require(visit: Visit, entries: Entries, *, back: str) -> None:
    """Raise ReauthenticationRequired where the password has to be given again and was not.

    The last statement of the transaction that makes the change: whatever else is wrong has been told by then, and all is undone.
    """
    if visit.renewed is None and not visit.signed_in.is_fresh(visit.site.settings):
        raise ReauthenticationRequired(visit, entries, back)


async def ask(visit: Visit, entries: Entries, *, back: str) -> Response[str] | None:
    """Return the page that asks for the password, or None where the change may go on; for forms in which nothing can be wrong."""
    try:
        await verify(visit, entries, back=back)
        require(visit, entries, back=back)
    except ReauthenticationRequired as needed:
        return page(needed)
    return None


def page(needed: ReauthenticationRequired) -> Response[str]:
    """Draw the page that asks for the password and then sends the interrupted form again."""
    visit, refusal = needed.visit, needed.refusal
    status, headers = 403, {}
    if isinstance(refusal, Throttled):
        status, headers = 429, {"Retry-After": str(refusal.retry_after)}
    form = Form({}, {FIELD: refusal.detail}) if refusal else Form()
    minutes = visit.site.settings.proof_minutes
    view = ConfirmPassword(visit.shell(""), form, visit.request.scope["path"], tuple(needed.entries.items()), needed.back, minutes)
    return render.page(visit.request, "entry/confirm_password.html", view, status=status, headers=headers)


async def change_password(visit: Visit, entries: Entries) -> None:
    """Set the password that a person chose, after the current one was proved, under the limits of signing in. Raises Invalid.

    Without those limits a stolen session could try passwords here as fast as it likes.
    """
    current, chosen = entries.get("current_password", ""), entries.get("new_password", "")
    refusal = await prove(visit, current) if current else Invalid("Enter your current password.")
    if refusal is not None:
        found = [FieldProblem("current_password", refusal.detail)]
        if weakness := passwords.weakness(chosen, own_words=(visit.principal.full_name, visit.principal.email)):
            found.append(FieldProblem("new_password", weakness))
        raise Invalid(refusal.detail, problems=found)
    async with visit.site.database.transaction() as opened:
        user = await users.get(opened, visit.principal.organization_id, visit.principal.user_id)
        kept = visit.signed_in.session_id
        await users.change_password(opened, user, current=current, new=chosen, by=visit.actor, keep_session=kept)


async def prove(visit: Visit, password: str) -> LatchpinError | None:
    """Prove the password of who is signed in, which renews the session's token; returns why it did not count, or None."""
    settings, secrets = visit.site.settings, visit.site.secrets
    device = visit.request.cookies.get(session.device_name(settings))
    tried = Attempt(visit.principal.email, password, session.origin(visit.request), device)
    async with visit.site.database.read() as opened:
        looked = await sign_in.look(opened, tried, secrets)
    try:
        with sign_in.place(looked):
            checked = await sign_in.check(looked, password)  # no connection is held while this waits for its turn
            async with visit.site.database.transaction() as opened:
                outcome = await sign_in.prove(opened, visit.signed_in, tried, secrets, by=visit.actor, checked=checked)
    except Throttled as refusal:
        return refusal
    if outcome.opened is None or outcome.user is None:
        return outcome.refusal
    if visit.is_administrator and outcome.user.user_group != Group.ADMINISTRATOR:
        return Denied("You do not administer the organization any more.")  # it changed while the password was checked
    visit.renewed = outcome.opened.token
    return None
