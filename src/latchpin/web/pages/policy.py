"""API policy: how long the organization's API keys may live, and whether apps need approval. Administrators only."""

from __future__ import annotations

from litestar import Response, get, post

from latchpin.errors import Invalid
from latchpin.identity import overview, policy
from latchpin.oauth import approvals
from latchpin.web import forms, proof, render
from latchpin.web.forms import Entries
from latchpin.web.session import SignedIn, Visit
from latchpin.web.views.common import Form
from latchpin.web.views.organization import Policy

BASE = "/organization/policy"


@get("/organization/policy")
async def show_policy(visit: SignedIn) -> Response[str]:
    """Show the limits in force."""
    return await _page(visit, None)


@post("/organization/policy", status_code=200)
async def change_policy(visit: SignedIn) -> Response[str]:
    """Set the limits for keys made from now on, and whether an administrator has to approve apps that the organization did not make."""
    entries = await forms.read(visit.request)
    if asked := await proof.ask(visit, entries, back=BASE):
        return asked
    try:
        default_days, max_days = (_days(entries, name) for name in ("default_days", "max_days"))
        async with visit.site.database.transaction() as session:
            await policy.change(
                session,
                visit.principal.organization_id,
                visit.site.settings,
                default_days=default_days,
                max_days=max_days,
                by=visit.actor,
            )
            needed = entries.get("app_approval") == "yes"
            await approvals.set_policy(session, visit.principal.organization_id, needs_approval=needed, by=visit.actor)
    except Invalid as error:
        return await _page(visit, forms.refused(entries, error))
    return render.redirect(visit.request, BASE, render.done("API policy saved. Lifetimes hold for keys made or changed from now on."))


def _days(entries: Entries, name: str) -> int:
    days = forms.number(entries.get(name, ""))
    if days is None:
        raise Invalid("Enter a whole number of days.", field=name)
    return days


async def _page(visit: Visit, form: Form | None) -> Response[str]:
    organization_id = visit.principal.organization_id
    async with visit.site.database.read() as session:
        allowed = await policy.get(session, organization_id, visit.site.settings)
        approval = await approvals.needs_approval(session, organization_id)
        beyond = await overview.ending_after(session, organization_id, days=allowed.max_days)
    days = {"default_days": str(allowed.default_days), "max_days": str(allowed.max_days)}
    shown = form or Form({**days, "app_approval": "yes" if approval else ""})
    view = Policy(visit.shell("policy"), shown, allowed.deployment_max_days, beyond)
    return render.page(visit.request, "organization/policy.html", view, status=422 if form else 200)


HANDLERS = (show_policy, change_policy)
