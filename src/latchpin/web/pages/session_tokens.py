"""Where the Control Center's own authorization flow ends, and where the scripts of its pages get their access token."""

from __future__ import annotations

from litestar import Response, get, post

from latchpin.oauth.clients import CALLBACK
from latchpin.oauth.endpoints.responses import NO_STORE
from latchpin.services import AnyRequest, of
from latchpin.web import control_center, render
from latchpin.web.page_context import SignedIn


@get(CALLBACK)
async def finish_sign_in(request: AnyRequest) -> Response[str]:
    """Exchange the code of our own flow, and go to the requested page.

    Two tabs that sign in at the same time share their cookies, so only one flow can be finished; the other tab goes to its page too.
    """
    try:
        next_path = await control_center.finish(request)
    except control_center.FlowSuperseded:
        redirect = await control_center.resume(request)
        if redirect is None:
            raise
        return render.redirect(request, redirect.location, cookies=[redirect.cookie])
    return render.redirect(request, render.local_path(next_path), cookies=[control_center.no_cookie(of(request).settings)])


@post("/session/token", status_code=200)
async def session_token(ctx: SignedIn) -> Response[dict[str, str | int]]:
    """Return a token of this browser session for /api/v1 to a page's script; it lives for minutes and ends with the session."""
    access_token = await control_center.token_for(ctx)
    body: dict[str, str | int] = {
        "access_token": access_token.token,
        "token_type": "Bearer",
        "expires_in": access_token.expires_in,
        "scope": access_token.scope,
    }
    return Response(body, headers=dict(NO_STORE), media_type="application/json")
