"""Where an app sends a person's browser to sign out here too (OpenID Connect RP-Initiated Logout 1.0 section 2)."""

from __future__ import annotations

from litestar import Response, get, post

from latchpin import services
from latchpin.identity import sessions
from latchpin.kit import context, same_origin
from latchpin.oauth import authorization_server, end_session, params
from latchpin.oauth.end_session import PATH, LogoutRequest
from latchpin.oauth.errors import OAuthError
from latchpin.oauth.params import Params
from latchpin.services import AnyRequest
from latchpin.web import consent_view, page_context, render
from latchpin.web.page_context import PageContext, SignInRequired
from latchpin.web.pages import authorize_responses
from latchpin.web.views.oauth import SignedOut, SignOut

_MOST = 8000
_REQUEST_FIELDS = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")


@get(PATH)
async def sign_out_by_link(request: AnyRequest) -> Response[str]:
    """Handle a request to sign out; where it does not prove whose session is meant, ask the person."""
    return await _sign_out(request, params.parse(request.scope["query_string"]), confirmed=False)


@post(PATH, status_code=200)
async def sign_out_by_form(request: AnyRequest) -> Response[str]:
    """Handle it as a form: an app's form is redirected to the link, with which the cookie is sent (SameSite); our own form confirms."""
    body = await request.body()
    request_params = params.form(request.headers.get("content-type", ""), body)
    settings = services.of(request).settings
    if same_origin.may_change("POST", context.of(request.scope).request_headers, same_origin.own_origins(settings)):
        return await _sign_out(request, request_params, confirmed=request_params.get("confirmed") is not None)
    if len(body) > _MOST:
        raise OAuthError("invalid_request", "the request is too long")
    return authorize_responses.away(request, f"{PATH}?{body.decode('ascii')}")


async def _sign_out(request: AnyRequest, request_params: Params, *, confirmed: bool) -> Response[str]:
    server = services.of(request)
    logout_request = await end_session.read(server, request_params, authorization_server.origin_of(request))
    try:
        ctx = await page_context.require_user_with_any_password(request)
    except SignInRequired:
        organization_id = await end_session.organization_of(server, logout_request.subject)
        # Otherwise anybody with an ID token of their own could show everybody a page of ours with a link of their choice.
        may_redirect = organization_id is not None and logout_request.may_redirect(organization_id)
        return _away(request, logout_request, organization_id if may_redirect else None)
    if not confirmed and logout_request.subject != str(ctx.principal.user_id):
        return _question(ctx, logout_request, request_params)
    async with ctx.services.database.transaction() as session:
        await sessions.end(session, ctx.principal.user_id, ctx.signed_in.session_id, by=ctx.actor, signed_out=True)
    return _away(request, logout_request, ctx.principal.organization_id)


def _away(request: AnyRequest, logout_request: LogoutRequest, organization_id: int | None) -> Response[str]:
    """Send the browser of a user of the organization on; without an organization, to our sign-in page.

    Redirects to an app that an administrator there entered; for any other app, shows a page of ours with a link to its address.
    """
    if logout_request.client is None or not logout_request.return_url or organization_id is None:
        response = authorize_responses.away(request, "/login")
    elif logout_request.may_redirect(organization_id):
        response = authorize_responses.to_app(request, logout_request.client.name, logout_request.return_url, allowed=True)
    else:
        facts = consent_view.app(logout_request.client, logout_request.redirect_uri, organization_id, has_consented=False)
        view = SignedOut(page_context.shell_outside(request), facts, logout_request.return_url)
        response = render.page(request, "oauth/signed_out.html", view, headers=consent_view.PRIVATE)
    response.set_cookie(page_context.no_cookie(services.of(request).settings))
    return response


def _question(ctx: PageContext, logout_request: LogoutRequest, request_params: Params) -> Response[str]:
    hidden_fields = tuple((name, request_params.values[name]) for name in _REQUEST_FIELDS if name in request_params.values)
    organization_id = ctx.principal.organization_id
    facts = (
        consent_view.app(logout_request.client, logout_request.redirect_uri, organization_id, has_consented=False)
        if logout_request.client
        else None
    )
    view = SignOut(ctx.shell(""), facts, hidden_fields)
    headers = _headers(logout_request.return_url if logout_request.may_redirect(organization_id) else "")
    return render.page(ctx.request, "oauth/sign_out.html", view, headers=headers)


def _headers(return_url: str) -> dict[str, str]:
    """Allow the form to redirect to the app's address; keep the referrer for our own pages, because `same_origin` needs it."""
    headers = consent_view.redirect_policy(return_url)
    return {name: value for name, value in headers.items() if name != "Referrer-Policy"}


HANDLERS = (sign_out_by_link, sign_out_by_form)
