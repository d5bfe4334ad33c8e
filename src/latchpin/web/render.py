"""Responses of the Control Center: pages, redirects with a message, and the headers that all of them have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from litestar import MediaType, Response
from litestar.datastructures import Cookie

from latchpin import services
from latchpin.services import AnyRequest
from latchpin.web import assets, drafts, page_context, templating, toasts
from latchpin.web.views.common import Toast

ASSETS = assets.load()
ENVIRONMENT = templating.environment(ASSETS)
IN_PLACE = "latchpin-dialog"
LONGEST = 8000  # the address to return to can be an app's authorization request, with parameters of the app's choice
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that, browsers send `Origin: null` from our own forms wherever they do not send Sec-Fetch-Site (plain
    # HTTP off loopback), and csrf.py could not tell our pages from others. Other sites still get nothing.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-read=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def page(
    request: AnyRequest,
    template: str,
    view: Any,  # noqa: ANN401  any page's dataclass
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    cookies: Sequence[Cookie] = (),
) -> Response[str]:
    """Render a page; its form shows a kept draft. A pending message is shown and deleted."""
    ctx: page_context.PageContext | None = request.scope.get(page_context.PAGE_CONTEXT)  # type: ignore[assignment]
    if ctx is not None and ctx.draft is not None and hasattr(view, "form"):
        view = replace(view, form=drafts.fill(view.form, ctx.draft))
    content = templating.render(ENVIRONMENT, template, view)
    all_cookies = list(cookies)
    if view.shell.toast is not None:
        all_cookies.append(toasts.take(services.of(request).settings))
    return Response(
        content,
        status_code=status,
        media_type=MediaType.HTML,
        headers={**HEADERS, **(headers or {})},
        cookies=all_cookies + _renewed(request),
    )


def redirect(request: AnyRequest, location: str, toast: Toast | None = None, cookies: Sequence[Cookie] = ()) -> Response[str]:
    """Send the browser to one of our pages after a change (303). A dialog opened by script gets the address instead."""
    all_cookies = list(cookies) + _renewed(request)
    if toast is not None:
        all_cookies.append(toasts.write(toast, services.of(request).settings))
    if IN_PLACE in request.headers:
        return Response("", status_code=204, media_type=None, headers={**HEADERS, "Latchpin-Location": location}, cookies=all_cookies)
    return Response("", status_code=303, media_type=MediaType.TEXT, headers={**HEADERS, "Location": location}, cookies=all_cookies)


def done(text: str, *, undo: str = "") -> Toast:
    """A message that something was done; `undo` is the address of a form that reverts it."""
    return Toast("success", text, undo)


def _renewed(request: AnyRequest) -> list[Cookie]:
    ctx: page_context.PageContext | None = request.scope.get(page_context.PAGE_CONTEXT)  # type: ignore[assignment]
    if ctx is None or ctx.renewed is None:
        return []
    return [page_context.cookie(ctx.services.settings, ctx.renewed)]


def local_path(text: str) -> str:
    """Return `text` where it is an address inside the Control Center, else the dashboard's.

    Our addresses are ASCII, percent-encoded where necessary; other characters are not allowed in a header.
    """
    is_local = text.startswith("/") and not text.startswith("//") and text.isascii() and text.isprintable() and "\\" not in text
    return text if is_local and len(text) <= LONGEST else "/"
