"""The authorization endpoint (OAuth 2.1 section 4.1.1): where an app sends a person's browser.

The routes are declared here. Who is signed in and what people see is the Control Center's: it hands its part to `routes`
(`web/pages/authorize.py`), and mounts what it gets with error pages. The decisions are in `oauth/authorize.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from litestar import MediaType, Response, get, post
from litestar.handlers import HTTPRouteHandler

from latchpin.kit import context
from latchpin.oauth import par, params
from latchpin.oauth.authorization_request import PATH
from latchpin.oauth.authorization_server import AnyRequest
from latchpin.oauth.errors import invalid_request

Handler = Callable[[AnyRequest, bytes], Awaitable[Response[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationPages:
    """Builds the responses: `handle` takes a request from the query, `resume` one that was posted; both take it encoded."""

    handle: Handler
    resume: Handler
    headers: Mapping[str, str]


def routes(pages: AuthorizationPages) -> tuple[HTTPRouteHandler, HTTPRouteHandler]:
    """Return the endpoint's two routes."""

    @get(PATH)
    async def authorize_by_link(request: AnyRequest) -> Response[str]:
        """Take an authorization request, and go on to the next step: sign-in, consent, or the redirect to the app.

        HEAD begins nothing: a program that only looks where a link leads must not use it up (RFC 9110 section 9.2.1).
        """
        if context.of(request.scope).method == "HEAD":
            return Response("", media_type=MediaType.HTML, headers=pages.headers)
        return await pages.handle(request, _bounded(request.scope["query_string"]))

    @post(PATH, status_code=200)
    async def authorize_by_form(request: AnyRequest) -> Response[str]:
        """Take an authorization request that was posted (RFC 6749 section 3.1). It goes on as a link, with which the cookie comes."""
        body = await request.body()
        params.form(request.headers.get("content-type", ""), body)
        if not body.isascii():
            raise invalid_request("the request is too long")
        return await pages.resume(request, _bounded(body))

    return authorize_by_link, authorize_by_form


def _bounded(encoded: bytes) -> bytes:
    if len(encoded) > par.MOST_BYTES:
        raise invalid_request("the request is too long")
    return encoded
