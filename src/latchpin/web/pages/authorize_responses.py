"""Renders the outcome of an authorization request: a redirect to the app, a prompt, or an error."""

from __future__ import annotations

from litestar import Response

from latchpin import services
from latchpin.errors import Conflict, Denied, LatchpinError, Malformed
from latchpin.kit import context
from latchpin.oauth import authorization_request as requests
from latchpin.oauth import par, redirects
from latchpin.oauth.authorize import ClientBlocked, ErrorRedirect, Outcome, RedirectToClient
from latchpin.oauth.clients import Client
from latchpin.oauth.consents import ClientApproval
from latchpin.oauth.errors import OAuthError
from latchpin.services import AnyRequest
from latchpin.web import consent_view, page_context, render
from latchpin.web.page_context import PageContext
from latchpin.web.pages import authorize_prompts, errors
from latchpin.web.views.common import Form
from latchpin.web.views.oauth import OpenedApp, Refusal

_NOT_ALLOWED = {
    ClientApproval.PENDING: (
        "An administrator has to approve this app",
        "Your organization lets apps in only after an administrator has approved them. Your request is noted; try again after that.",
    ),
    ClientApproval.BLOCKED: (
        "Your organization has blocked this app",
        "An administrator has decided that this app may not be used here. Ask one of them if you need it.",
    ),
}
_LINK_EXPIRED = (
    "A sign-in that an app has prepared can be opened once, by that app, within a minute, and then goes on in the same browser for ten. "
    "Go back to the app and begin again."
)
_WRONG = "The app asked for something that is not possible here, so you were not sent back to it. Contact the app's developer."


def away(request: AnyRequest, location: str) -> Response[str]:
    """Redirect the browser, whatever its method was: 303, never 307, so that no form is sent again (security.md 13)."""
    response = render.redirect(request, location)
    response.headers.update(consent_view.PRIVATE)
    return response


def to_app(request: AnyRequest, app: str, location: str, *, allowed: bool) -> Response[str]:
    """Send a response to an app: by a redirect, or by a page that opens it where its address has a private-use scheme."""
    if not redirects.opens_app(location):
        return away(request, location)
    view = OpenedApp(page_context.shell_outside(request), app, allowed, location, f"{location.partition(':')[0]}:")
    return render.page(request, "oauth/opened.html", view, headers=consent_view.PRIVATE)


async def respond(ctx: PageContext, client: Client, outcome: Outcome, form: Form | None = None, *, status: int = 200) -> Response[str]:
    """Answer with the outcome of a request."""
    request = ctx.request
    if isinstance(outcome, RedirectToClient):
        return to_app(request, client.name, outcome.location, allowed=True)
    if isinstance(outcome, ErrorRedirect):
        return refused(request, client.name, outcome)
    if isinstance(outcome, ClientBlocked):
        title, text = _NOT_ALLOWED[outcome.approval]
        return _refusal(request, title, text, OAuthError("access_denied", client.name), status=403)
    return await authorize_prompts.prompt_page(ctx, client, outcome, form, status)


def refused(request: AnyRequest, app: str, error_redirect: ErrorRedirect) -> Response[str]:
    """Send an error to the app; where its address is not trusted, the person decides whether to follow it (OAuth 2.1, 7.12.2)."""
    location = requests.failure(error_redirect.target, error_redirect.error, services.of(request).issuer)
    if error_redirect.is_automatic:
        return to_app(request, app, location, allowed=False)
    text = "It asked for something that is not possible here. The app is new to us, so look where it would send you"
    return _refusal(
        request, "The app was refused", text, error_redirect.error, return_url=location, redirect_uri=error_redirect.target.redirect_uri
    )


def on_refusal(request: AnyRequest, error: LatchpinError) -> Response[str]:
    """Render an error that Latchpin raises as one of these pages, without the Control Center's navigation, which would mislead here."""
    if not isinstance(error, (Conflict, Denied, Malformed)):
        return errors.on_refusal(request, error)
    status = 403 if isinstance(error, Denied) else 409 if isinstance(error, Conflict) else 400
    return _refusal(request, "This did not work", error.detail, OAuthError("", ""), status=status)


def refusal_page(request: AnyRequest, error: OAuthError) -> Response[str]:
    """Render the error of a request that is not trusted enough for a redirect to the app."""
    if error.error == par.INVALID_REQUEST_URI:
        return _refusal(request, "This link is used up", _LINK_EXPIRED, error, status=400)
    return _refusal(request, "This link does not work", _WRONG, error, status=400)


def _refusal(
    request: AnyRequest, title: str, text: str, error: OAuthError, *, status: int = 400, return_url: str = "", redirect_uri: str = ""
) -> Response[str]:
    shell, request_id = page_context.shell_outside(request), context.of(request.scope).request_id
    view = Refusal(shell, title, text, error.error, error.description, return_url, consent_view.destination(redirect_uri), request_id)
    return render.page(request, "oauth/refused.html", view, status=status, headers=consent_view.PRIVATE)
