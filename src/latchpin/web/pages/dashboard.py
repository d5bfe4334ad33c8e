"""The dashboard: counts, keys that end soon, recent changes, recently updated agents."""

from __future__ import annotations

from litestar import Response, get

from latchpin.audit import trail
from latchpin.audit.trail import Filters as AuditFilters
from latchpin.automation import agent_lists
from latchpin.automation.agent_lists import Filters
from latchpin.identity import api_keys, spaces
from latchpin.identity.queries import overview
from latchpin.kit import clock
from latchpin.web import audit_view, render, rows
from latchpin.web.page_context import SignedIn
from latchpin.web.pages.api_keys import creator_names
from latchpin.web.views.organization import Dashboard, ExpiringKey

_EVENTS = 8
_AGENTS = 5


@get("/")
async def show_dashboard(ctx: SignedIn) -> Response[str]:
    """Show the dashboard; others than administrators do not see what only administrators may know."""
    me = ctx.principal
    async with ctx.services.database.read_list() as session:
        active = await agent_lists.count(session, me, Filters())
        archived = await agent_lists.count(session, me, Filters(archived=True))
        visible = await spaces.list_all(session, me)
        recent = await agent_lists.list_all(session, me, Filters(), sort="updated", descending=True, limit=_AGENTS)
        owners = await overview.names(session, me.organization_id, (each.user_id for each in recent if each.user_id))
        counts = await overview.counts(session, me.organization_id) if ctx.is_administrator else None
        expiring_keys = await overview.expiring(session, me.organization_id, within=rows.SOON) if counts else []
        page = await trail.page(session, me.organization_id, AuditFilters(), size=_EVENTS) if counts else None
        actor_ids = [each.actor_id for each in page.items if each.actor_id] if page else []
        names_of_actors = await overview.names(session, me.organization_id, actor_ids)
        my_keys = [] if counts else await api_keys.of_user(session, me.user_id)
        names_of_makers = await creator_names(session, me.organization_id, my_keys)
    now = clock.now()
    names = {each.id: each.name for each in visible}
    view = Dashboard(
        ctx.shell("dashboard"),
        active,
        archived,
        len(visible),
        counts.users if counts else None,
        counts.disabled_users if counts else None,
        counts.active_keys if counts else None,
        tuple(ExpiringKey(rows.owner(user), rows.key(key, now)) for key, user in expiring_keys),
        tuple(audit_view.event(each, names_of_actors) for each in page.items) if page else (),
        tuple(rows.agent(each, spaces=names, owners=owners, editable=False) for each in recent),
        tuple(row for row in (rows.key(each, now, names_of_makers) for each in my_keys) if row.is_active),
    )
    return render.page(ctx.request, "organization/dashboard.html", view)


HANDLERS = (show_dashboard,)
