"""Users > one user: profile, keys and apps, Spaces, and recent events. Administrators only."""

from __future__ import annotations

from litestar import Response, get

from latchpin.audit import trail
from latchpin.audit.trail import Filters
from latchpin.identity import api_keys, sessions, spaces, users
from latchpin.kit import clock
from latchpin.oauth import connected
from latchpin.web import audit_view, lists, render, rows
from latchpin.web.page_context import SignedIn
from latchpin.web.pages.api_keys import creator_names
from latchpin.web.views.users import UserProfile

_EVENTS = 8


@get("/organization/users/{user_id:int}")
async def show_profile(ctx: SignedIn, user_id: lists.Id) -> Response[str]:
    """Show a user's own page."""
    organization_id, settings, now = ctx.principal.organization_id, ctx.services.settings, clock.now()
    async with ctx.services.database.read_list() as session:
        user = await users.get(session, organization_id, user_id)
        keys = await api_keys.of_user(session, user_id)
        names = await creator_names(session, organization_id, keys)
        member_of = await spaces.roles_of(session, user_id)
        open_sessions = await sessions.of_user(session, user_id, settings)
        apps = await connected.of_user(session, user_id, settings)
        page = await trail.page(session, organization_id, Filters(actor_id=user_id), size=_EVENTS)
    key_rows = tuple(rows.key(each, now, names) for each in keys)
    active = tuple(row for row in key_rows if row.is_active)
    view = UserProfile(
        ctx.shell("users"),
        rows.user_alone(user, keys, now, me=ctx.principal.user_id),
        active,
        len(key_rows) - len(active),
        tuple((space.id, space.name, role.word.capitalize()) for space, role in member_of),
        len(open_sessions),
        len(apps),
        tuple(audit_view.event(each, {user.id: user.full_name}) for each in page.items),
    )
    return render.page(ctx.request, "users/profile.html", view)


HANDLERS = (show_profile,)
