"""All routes of the Control Center, as the composition root mounts them.

`ROUTERS` goes into the application's route handlers. Errors of addresses without a route are the application's:
join `pages.errors.HANDLERS` with the API's by `pages.errors.by_surface`.
"""

from __future__ import annotations

from litestar import Router
from litestar.di import Provide

from latchpin.oauth.params import MOST_BODY_BYTES
from latchpin.web import csrf, page_context, reauth
from latchpin.web.pages import (
    account,
    agent_changes,
    agent_moves,
    agents,
    api_keys,
    app_editor,
    apps,
    audit,
    authorize,
    consent,
    dashboard,
    device,
    end_session,
    errors,
    new_key,
    policy,
    problem_types,
    resources,
    session_tokens,
    sign_in,
    space_deletion,
    spaces,
    static,
    user_access,
    user_profile,
    users,
)

_ANYBODY = Router(
    "/",
    route_handlers=[
        sign_in.show_sign_in,
        sign_in.do_sign_in,
        sign_in.show_setup,
        sign_in.set_up,
        session_tokens.finish_sign_in,
        *static.HANDLERS,
        *problem_types.HANDLERS,
    ],
    request_max_body_size=MOST_BODY_BYTES,
)
_ANY_PASSWORD = Router(
    "/",
    route_handlers=[sign_in.sign_out, sign_in.show_password, sign_in.choose_password],
    dependencies={"ctx": Provide(page_context.require_user_with_any_password)},
)
_SIGNED_IN = Router(
    "/",
    route_handlers=[
        sign_in.choose_theme,
        session_tokens.session_token,
        *dashboard.HANDLERS,
        *agents.HANDLERS,
        *agent_changes.HANDLERS,
        *agent_moves.HANDLERS,
        *spaces.HANDLERS,
        *space_deletion.HANDLERS,
        *account.HANDLERS,
    ],
    dependencies={"ctx": Provide(page_context.require_user)},
)
ADMINISTRATORS = Router(
    "/",
    route_handlers=[
        *users.HANDLERS,
        *user_profile.HANDLERS,
        *user_access.HANDLERS,
        *api_keys.HANDLERS,
        *new_key.HANDLERS,
        *apps.HANDLERS,
        *app_editor.HANDLERS,
        *resources.HANDLERS,
        *policy.HANDLERS,
        *audit.HANDLERS,
    ],
    dependencies={"ctx": Provide(reauth.require_administrator)},
)
ROUTERS = (
    Router(
        "/",
        route_handlers=[_ANYBODY, _ANY_PASSWORD, _SIGNED_IN, ADMINISTRATORS],
        guards=[csrf.require_own_page],
        exception_handlers=errors.HANDLERS,
        include_in_schema=False,
    ),
    Router(
        "/",
        route_handlers=[*authorize.HANDLERS, *end_session.HANDLERS],
        exception_handlers=authorize.EXCEPTION_HANDLERS,
        request_max_body_size=MOST_BODY_BYTES,
        include_in_schema=False,
    ),
    Router(
        "/",
        route_handlers=[*consent.HANDLERS, *device.HANDLERS],
        dependencies={"ctx": Provide(page_context.require_user)},
        guards=[csrf.refuse_other_sites],
        exception_handlers=consent.EXCEPTION_HANDLERS,
        request_max_body_size=MOST_BODY_BYTES,
        include_in_schema=False,
    ),
)
