"""How the authorization endpoint answers browsers; its routes are in oauth/endpoints/authorize.py.

Errors are pages for browsers and JSON for other clients. Scripts of other sites cannot read the responses: they have no CORS headers.
"""

from __future__ import annotations

from urllib.parse import quote

from litestar import Response
from litestar.datastructures import Cookie
from litestar.types import ExceptionHandlersMap

from latchpin import services
from latchpin.errors import LatchpinError
from latchpin.kit import clock
from latchpin.oauth import authorization_request as requests
from latchpin.oauth import authorization_server, authorize, par, request_limits
from latchpin.oauth.authorize import ErrorRedirect
from latchpin.oauth.endpoints import authorize as endpoint
from latchpin.oauth.endpoints.authorize import AuthorizationPages
from latchpin.oauth.endpoints.responses import CORS
from latchpin.oauth.endpoints.responses import HANDLERS as MACHINES
from latchpin.oauth.errors import OAuthError
from latchpin.oauth.par import PushedAuthorizationRequest
from latchpin.services import AnyRequest
from latchpin.web import page_context, par_cookie, render
from latchpin.web.page_context import PasswordChangeRequired, SignInRequired
from latchpin.web.pages import authorize_responses, errors


async def _resume(request: AnyRequest, encoded: bytes) -> Response[str]:
    continuation = await _save_long(request, encoded)
    response = authorize_responses.away(request, continuation[0] if continuation else f"{requests.PATH}?{encoded.decode('ascii')}")
    if continuation:
        response.set_cookie(continuation[1])
    return response


async def _handle(request: AnyRequest, encoded: bytes) -> Response[str]:
    request_uri = requests.reference(encoded)
    if not par.is_request_uri(request_uri):
        return await _respond(request, encoded, None)
    if par.is_continuation(request_uri):
        pushed_request = await par_cookie.find(request, encoded)
        return await _respond(request, pushed_request.encoded, pushed_request)
    return await _take_pushed(request, encoded, request_uri)


async def _take_pushed(request: AnyRequest, encoded: bytes, request_uri: str) -> Response[str]:
    """Use up a pushed authorization request: only once, by any browser (RFC 9126 section 4). Other parameters are ignored.

    With prompt=none the response comes at once, without a redirect: a browser that shows us in a frame would not send the cookie back.
    """
    server, browser = services.of(request), par_cookie.secret(request)
    client = await requests.named_client(server, encoded, await server.now(), authorization_server.origin_of(request))
    async with server.database.transaction() as session:
        pushed_request = await par.take(session, request_uri, client)
        silent = requests.NONE in requests.prompts(pushed_request.encoded)
        location = "" if silent else await par.resume(session, client, pushed_request, browser)
    if silent:
        return await _respond(request, pushed_request.encoded, pushed_request)
    response = authorize_responses.away(request, location)
    response.set_cookie(par_cookie.cookie(server.settings, browser))
    return response


async def _respond(request: AnyRequest, encoded: bytes, pushed_request: PushedAuthorizationRequest | None) -> Response[str]:
    server = services.of(request)
    target = await requests.target(server, encoded, await server.now(), authorization_server.origin_of(request))
    silent = requests.NONE in requests.prompts(encoded)
    try:
        ctx = await page_context.require_user(request)
    except (SignInRequired, PasswordChangeRequired) as reason:
        if silent:
            error = OAuthError("login_required", "nobody is signed in")
            return authorize_responses.refused(
                request, target.client.name, ErrorRedirect(target, error, is_automatic=not target.is_unverified)
            )
        if pushed_request is not None:
            return _to_sign_in(request, reason, _own_address(request))
        continuation = await _save_long(request, encoded)
        response = _to_sign_in(request, reason, continuation[0] if continuation else requests.after_signing_in(encoded))
        if continuation:
            response.set_cookie(continuation[1])
        return response
    async with ctx.services.database.transaction() as session:
        outcome = await authorize.begin(session, server, target, encoded, ctx.signed_in, pushed_request)
    return await authorize_responses.respond(ctx, target.client, outcome)


async def _save_long(request: AnyRequest, encoded: bytes) -> tuple[str, Cookie] | None:
    """Store a long request like a pushed one; returns the address and the cookie to continue with, None where it need not be stored.

    In addresses it would be percent-encoded twice, and proxies refuse such long headers: nginx accepts 4 KB in a response. A limit
    prevents that such requests fill the database.
    """
    server, origin = services.of(request), authorization_server.origin_of(request)
    if not par.LEAST_KEPT < len(encoded) <= par.MOST_BYTES or requests.reference(encoded):
        return None
    target = await requests.target(server, encoded, await server.now(), origin)
    if target.client.is_first_party or requests.must_be_pushed(server, target.client) or requests.NONE in requests.prompts(encoded):
        return None
    if await request_limits.room_in(server, "kept_requests", origin.address):
        return None
    browser = par_cookie.secret(request)
    async with server.database.transaction() as session:
        location = await par.resume(session, target.client, PushedAuthorizationRequest(encoded, clock.now()), browser)
    return location, par_cookie.cookie(server.settings, browser)


def _own_address(request: AnyRequest) -> str:
    """The address of a stored request: it does not contain the request's parameters, so it can be used unchanged."""
    return f"{requests.PATH}?{request.scope['query_string'].decode('latin-1')}"


def _to_sign_in(request: AnyRequest, reason: SignInRequired | PasswordChangeRequired, next_path: str) -> Response[str]:
    encoded_path = quote(next_path)
    if isinstance(reason, PasswordChangeRequired):
        return authorize_responses.away(request, f"/password?next={encoded_path}")
    return authorize_responses.away(request, f"/login?next={encoded_path}" + ("&ended=1" if reason.ended else ""))


def on_oauth_error(request: AnyRequest, error: OAuthError) -> Response[str] | Response[bytes]:
    """Show the person, or the program, what is wrong with a request; never redirects (security.md 7)."""
    if errors.wants_page(request):
        return authorize_responses.refusal_page(request, error)
    return _without_cors(MACHINES[OAuthError](request, error))


def on_refusal(request: AnyRequest, error: LatchpinError) -> Response[str] | Response[bytes]:
    """Show an error that Latchpin raises, such as an unreachable database."""
    if errors.wants_page(request):
        return errors.on_refusal(request, error)
    return _without_cors(MACHINES[LatchpinError](request, error))


def _without_cors(response: Response[bytes]) -> Response[bytes]:
    for name in CORS:
        response.headers.pop(name, None)
    return response


HANDLERS = endpoint.routes(AuthorizationPages(handle=_handle, resume=_resume, headers=render.HEADERS))
EXCEPTION_HANDLERS: ExceptionHandlersMap = {**errors.HANDLERS, OAuthError: on_oauth_error, LatchpinError: on_refusal}
