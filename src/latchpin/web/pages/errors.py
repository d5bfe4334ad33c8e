"""Error pages, with links to go on."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from litestar import Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from latchpin import services
from latchpin.errors import Conflict, Denied, Invalid, LatchpinError, Missing, Overloaded, Throttled, Unauthenticated, Unavailable
from latchpin.kit import context, methods, same_origin
from latchpin.kit.logger import Logger
from latchpin.oauth.authorization_request import PATH
from latchpin.services import AnyRequest
from latchpin.web import login_context, page_context, reauth, render
from latchpin.web.page_context import PageContext, PasswordChangeRequired, SignInRequired
from latchpin.web.reauth import ReauthenticationRequired
from latchpin.web.views.organization import ErrorPage

_log = Logger(__name__)
_NOWHERE = (404, "Page not found", "The address is wrong, what it showed was deleted, or you have no access to it.")
_KINDS: tuple[tuple[type[LatchpinError], int, str], ...] = (
    (Invalid, 400, "This cannot be read"),
    (Unauthenticated, 403, "This is not open to you"),
    (Denied, 403, "This is not open to you"),
    (Conflict, 409, "This is not possible now"),
    (Throttled, 429, "Too many requests"),
    (Overloaded, 503, "Too much is under way"),
    (Unavailable, 503, "Temporarily unavailable"),
)
_FRAMEWORK = {
    400: ("This cannot be read", "Go back and try again from the page you came from."),
    404: _NOWHERE[1:],
    405: ("This address does not take that", "Go back and try again from the page you came from."),
    413: ("This is too large", "Shorten the entry and send it again."),
}
_FAILED = "Nothing was changed. If it happens again, tell your operator the request below."


def is_page(request: AnyRequest) -> bool:
    """Whether a request is for a page, and not for the API or another endpoint for programs."""
    path: str = request.scope["path"]
    if path == PATH:
        return wants_page(request)
    return not path.startswith(("/api/", "/health", "/.well-known/")) and path not in ("/api", "/api-docs")


def wants_page(request: AnyRequest) -> bool:
    """Whether the client shows pages, according to its headers, as a browser does."""
    return "text/html" in request.headers.get("accept", "").lower()


def on_refusal(request: AnyRequest, error: LatchpinError) -> Response[str]:
    """Render an error that Latchpin raises."""
    if isinstance(error, Missing):
        return _draw(request, *_NOWHERE)
    status, title = next(((status, title) for kind, status, title in _KINDS if isinstance(error, kind)), (400, "Refused"))
    wait = error.retry_after if isinstance(error, Throttled) else 5 if isinstance(error, Unavailable) else 0
    return _draw(request, status, title, error.detail, wait)


def on_http(request: AnyRequest, error: HTTPException) -> Response[str]:
    """Render an error of the framework. An address with an impossible id is not found."""
    if isinstance(error, ValidationException):
        return _draw(request, *_NOWHERE)
    if error.status_code >= 500:  # noqa: PLR2004
        return on_failure(request, error)
    title, text = _FRAMEWORK.get(error.status_code, _FRAMEWORK[400])
    response = _draw(request, error.status_code, title, text)
    response.headers.update(methods.allow(error.headers))
    return response


def on_failure(request: AnyRequest, error: Exception) -> Response[str]:
    """Render an unexpected error: the person gets the request's id, the log gets the details."""
    request_context = context.of(request.scope)
    _log.error("request.failed", request_id=request_context.request_id, path=request.scope["path"], exc_info=error)
    return _draw(request, 500, "Something went wrong on our side", _FAILED)


def on_sign_in_needed(request: AnyRequest, error: SignInRequired) -> Response[str]:
    """Send somebody who is not signed in to the sign-in page, and back afterwards."""
    path = error.draft.address if error.draft else _return_path(request)
    parts = [f"next={quote(path)}"] if path != "/" else []
    if error.ended:
        parts.append("ended=1")
    address = "/login" + (f"?{'&'.join(parts)}" if parts else "")
    return render.redirect(request, address, cookies=[error.draft.cookie] if error.draft else ())


def _return_path(request: AnyRequest) -> str:
    """The page to return to: the requested one, or for a form the page that showed it."""
    if request.method == "GET":
        query = request.scope["query_string"].decode("latin-1")
        return request.scope["path"] + (f"?{query}" if query else "")
    page = urlsplit(request.headers.get("referer", ""))
    ours = f"{page.scheme}://{page.netloc}".encode() in same_origin.own_origins(services.of(request).settings)
    return render.local_path(page.path + (f"?{page.query}" if page.query else "")) if ours else "/"


def on_password_needed(request: AnyRequest, _error: PasswordChangeRequired) -> Response[str]:
    """Send somebody with a temporary password to the page that changes it."""
    return render.redirect(request, "/password")


def on_reauthentication(_request: AnyRequest, error: ReauthenticationRequired) -> Response[str]:
    """Ask for the password again."""
    return reauth.page(error)


def _draw(request: AnyRequest, status: int, title: str, text: str, wait: int = 0) -> Response[str]:
    ctx: PageContext | None = request.scope.get(page_context.PAGE_CONTEXT)  # type: ignore[assignment]
    shell = ctx.shell("") if ctx else page_context.shell_outside(request)
    view = ErrorPage(shell, status, title, text, wait, context.of(request.scope).request_id)
    template = "errors/inside.html" if ctx else "errors/outside.html"
    headers = {**login_context.private(services.of(request).settings), **({"Retry-After": str(wait)} if wait else {})}
    return render.page(request, template, view, status=status, headers=headers)


HANDLERS: ExceptionHandlersMap = {
    SignInRequired: on_sign_in_needed,
    PasswordChangeRequired: on_password_needed,
    ReauthenticationRequired: on_reauthentication,
    LatchpinError: on_refusal,
    HTTPException: on_http,
    Exception: on_failure,
}


def by_surface(pages: ExceptionHandlersMap, machines: ExceptionHandlersMap) -> dict[Any, Any]:
    """Join two tables of handlers: the address decides whether an error is rendered as a page or as the API does."""

    def choose(kind: Any) -> Any:  # noqa: ANN401  Litestar's handlers are of many types
        page, machine = pages[kind], machines[kind]
        return lambda request, error: (page if is_page(request) else machine)(request, error)

    return {kind: choose(kind) for kind in machines}
