"""API policy: the lifetimes of the organization's API keys, and whether apps need approval. Administrators only."""

from __future__ import annotations

from litestar import Response, get, post

from latchpin.errors import FieldProblem, Invalid
from latchpin.identity import policy
from latchpin.identity.queries import overview
from latchpin.oauth import approvals
from latchpin.web import forms, reauth, render
from latchpin.web.page_context import PageContext, SignedIn
from latchpin.web.views.common import Form
from latchpin.web.views.organization import Policy

BASE = "/organization/policy"


@get("/organization/policy")
async def show_policy(ctx: SignedIn) -> Response[str]:
    """Show the limits in force."""
    return await _page(ctx, None)


@post("/organization/policy", status_code=200, opt=reauth.required(BASE))
async def change_policy(ctx: SignedIn) -> Response[str]:
    """Set the limits for new keys, and whether an administrator has to approve apps of other organizations."""
    days = {name: forms.number(ctx.entries.get(name, "")) for name in ("default_days", "max_days")}
    problems = [FieldProblem(name, "Enter a whole number of days.") for name, value in days.items() if value is None]
    try:
        async with reauth.transaction(ctx) as session:
            await policy.change(
                session,
                ctx.principal.organization_id,
                ctx.services.settings,
                default_days=days["default_days"],
                max_days=days["max_days"],
                by=ctx.actor,
            )
            needs_approval = ctx.entries.get("app_approval") == "yes"
            await approvals.set_policy(session, ctx.principal.organization_id, needs_approval=needs_approval, by=ctx.actor)
            forms.require_none(problems)
    except Invalid as error:
        return await _page(ctx, forms.refused(ctx.entries, error, also=problems))
    return render.redirect(ctx.request, BASE, render.done("API policy saved. Lifetimes hold for keys made or changed from now on."))


async def _page(ctx: PageContext, form: Form | None) -> Response[str]:
    organization_id = ctx.principal.organization_id
    async with ctx.services.database.read_list() as session:
        key_policy = await policy.get(session, organization_id, ctx.services.settings)
        needs_approval = await approvals.needs_approval(session, organization_id)
        over_maximum = await overview.ending_after(session, organization_id, days=key_policy.max_days)
    days = {"default_days": str(key_policy.default_days), "max_days": str(key_policy.max_days)}
    policy_form = form or Form({**days, "app_approval": "yes" if needs_approval else ""})
    view = Policy(ctx.shell("policy"), policy_form, key_policy.deployment_max_days, over_maximum, overview.MOST_COUNTED)
    return render.page(ctx.request, "organization/policy.html", view, status=422 if form else 200)


HANDLERS = (show_policy, change_policy)
