"""Where an app sends a person's browser to sign out here too (OpenID Connect RP-Initiated Logout 1.0 section 2)."""

from __future__ import annotations

from litestar import Response, get, post

from latchpin import services
from latchpin.identity import sessions
from latchpin.kit import context, own_pages
from latchpin.oauth import end_session, params, server
from latchpin.oauth.end_session import PATH, Asked
from latchpin.oauth.errors import OAuthError
from latchpin.oauth.params import Params
from latchpin.services import AnyRequest
from latchpin.web import asking, render, session
from latchpin.web.pages import steps
from latchpin.web.session import SignInNeeded, Visit
from latchpin.web.views.oauth import SignOut

_MOST = 8000
_CARRIED = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")


@get(PATH)
async def sign_out_by_link(request: AnyRequest) -> Response[str]:
    """Take a request to sign out; without proof of whose session is meant, the person is asked."""
    return await _answer(request, params.parse(request.scope["query_string"]), confirmed=False)


@post(PATH, status_code=200)
async def sign_out_by_form(request: AnyRequest) -> Response[str]:
    """Take the same as a form: an app's goes on as a link, with which the cookie comes (SameSite), our own question's is the answer."""
    body = await request.body()
    sent = params.form(request.headers.get("content-type", ""), body)
    settings = services.of(request).settings
    if own_pages.may_change("POST", context.of(request.scope).seen, own_pages.origins(settings)):
        return await _answer(request, sent, confirmed=sent.get("confirmed") is not None)
    if len(body) > _MOST:
        raise OAuthError("invalid_request", "the request is too long")
    return steps.away(request, f"{PATH}?{body.decode('ascii')}")


async def _answer(request: AnyRequest, sent: Params, *, confirmed: bool) -> Response[str]:
    asked = await end_session.read(services.of(request), sent, server.origin(request))
    try:
        visit = await session.visitor_with_any_password(request)
    except SignInNeeded:
        return _away(request, asked, trusted=asked.subject is not None and asked.is_entered)
    if not confirmed and asked.subject != str(visit.principal.user_id):
        return _question(visit, asked, sent)
    async with visit.site.database.transaction() as opened:
        await sessions.end(opened, visit.principal.user_id, visit.signed_in.session_id, by=visit.actor, signed_out=True)
    return _away(request, asked, trusted=True)


def _away(request: AnyRequest, asked: Asked, *, trusted: bool) -> Response[str]:
    """Send the browser back to the app, or to our sign-in page; nobody is sent on by a link that proves nothing."""
    answer = steps.to_app(request, asked.app or "The app", asked.onward if trusted and asked.onward else "/login", allowed=True)
    answer.set_cookie(session.no_cookie(services.of(request).settings))
    return answer


def _question(visit: Visit, asked: Asked, sent: Params) -> Response[str]:
    carried = tuple((name, sent.values[name]) for name in _CARRIED if name in sent.values)
    view = SignOut(visit.shell(""), asked.app or "", carried)
    return render.page(visit.request, "oauth/sign_out.html", view, headers=_headers(asked))


def _headers(asked: Asked) -> dict[str, str]:
    """Let the form end at the app's address; keep the referrer within our pages, by which `own_pages` knows them."""
    headers = asking.leaving(asked.onward or "")
    return {name: value for name, value in headers.items() if name != "Referrer-Policy"}


HANDLERS = (sign_out_by_link, sign_out_by_form)
