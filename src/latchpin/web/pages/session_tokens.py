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
    """Trade the code of our own flow, and go to the page that was wanted.

    Two tabs of a browser that sign in together share their cookies, so that only one flow can be finished; the other tab goes on too.
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
    """Give a page's script a token of this browser session for /api/v1; it lives for minutes and dies with the session."""
    access_token = await control_center.token_for(ctx)
    body: dict[str, str | int] = {
        "access_token": access_token.token,
        "token_type": "Bearer",
        "expires_in": access_token.expires_in,
        "scope": access_token.scope,
    }
    return Response(body, headers=dict(NO_STORE), media_type="application/json")
