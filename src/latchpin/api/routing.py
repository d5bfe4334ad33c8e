"""What every API route shares: its declared permission, its caller, and the services behind it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from litestar import Litestar, Request
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from latchpin import services
from latchpin.api import parameters
from latchpin.asgi.authentication import PRINCIPAL, SIGNED_IN
from latchpin.asgi.problems import Problem
from latchpin.audit import Actor, Origin
from latchpin.errors import Denied, Unauthenticated
from latchpin.identity import access, activity, sessions
from latchpin.identity.principal import Principal
from latchpin.identity.roles import CredentialKind, Permission
from latchpin.identity.sessions import SignedInUser
from latchpin.kit import context
from latchpin.storage import Database

PERMISSION = "permission"
REAUTH = "requires_reauth"
INT32 = 2**31 - 1
_ERRORS = {
    400: "The request cannot be read: a parameter of the wrong kind or out of range.",
    401: "No credential, or one that is not accepted; the document does not say why.",
    403: "The credential lacks the scope, or its user the right.",
    408: "What was waited for has not ended in time; it goes on.",
    404: "No such thing, or none that the caller may see.",
    409: "Not possible in the present state.",
    422: "The entry was understood and refused; `errors` names the fields.",
    429: "Too many requests; wait as Retry-After says.",
    503: "The database cannot be reached; nothing was changed.",
}


class CamelStruct(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """Base of all JSON structs: camelCase names in JSON, Python names in the code."""


def database(request: Request[Any, Any, Any]) -> Database:
    """Return the database of the application that the request came to."""
    return services.of(request).database


def principal(request: Request[Any, Any, Any]) -> Principal:
    """Return the caller; AuthenticationMiddleware refuses requests that have none."""
    current_principal: Principal = request.scope[PRINCIPAL]  # type: ignore[literal-required]
    return current_principal


def actor(request: Request[Any, Any, Any]) -> Actor:
    """Return the caller and the origin of the request, for the audit trail."""
    request_context = context.of(request.scope)
    return activity.actor(principal(request), Origin(request_context.address, request_context.user_agent, request_context.request_id))


def requires(permission: Permission, *, reauth: bool = False) -> dict[str, Any]:
    """Declare a route's permission: `@get(..., opt=requires(roles.AGENTS_READ))`. `reauth` also requires a recent password."""
    return {PERMISSION: permission, REAUTH: reauth}


async def admit(request: Request[Any, Any, Any]) -> None:
    """Refuse a caller who may not use the route, then a repeated parameter; runs before anything else of the request is read.

    A `before_request` hook rather than a guard: Litestar copies the whole route handler for every call of a guard, which costs as
    much as all of authentication.
    """
    await require_permission(request)
    await parameters.require_each_once(request)


async def require_permission(request: Request[Any, Any, Any]) -> None:
    """Raise Denied for a caller whose credential or group does not permit the route, or whose password was given too long ago."""
    opt = request.route_handler.opt
    if PERMISSION not in opt:  # every route declares one; what is left is the framework's own answer to OPTIONS
        raise MethodNotAllowedException(headers={"Allow": ", ".join(_methods(request))})
    principal: Principal = request.scope[PRINCIPAL]  # type: ignore[literal-required]
    access.allow(principal, opt[PERMISSION])
    if opt[REAUTH] and principal.credential.kind is CredentialKind.SESSION:
        signed_in: SignedInUser = request.scope[SIGNED_IN]  # type: ignore[literal-required]
        if not signed_in.is_fresh(services.of(request).settings):
            raise Denied("Give your password again in the Control Center first: the last time is too long ago.", code="proof_needed")


async def read_body(request: Request[Any, Any, Any]) -> bytes:
    """Return the request's body. It can arrive slowly, so a browser session is looked up and authorized again afterwards.

    An API key is not checked again: it has to be valid when the request begins. Raises Unauthenticated, Denied.
    """
    body = await request.body()
    if principal(request).credential.kind is CredentialKind.SESSION:
        server = services.of(request)
        token = request.cookies.get(sessions.cookie_name(server.settings), "")
        async with server.database.read() as session:
            signed_in = await sessions.find(session, token, server.settings)
        if signed_in is None or signed_in.must_change_password:
            raise Unauthenticated("The browser session has ended. Sign in again in the Control Center.")
        request.scope[PRINCIPAL] = signed_in.principal  # type: ignore[literal-required]
        request.scope[SIGNED_IN] = signed_in  # type: ignore[literal-required]
        await require_permission(request)
    return body


def _methods(request: Request[Any, Any, Any]) -> set[str]:
    path = request.scope["path_template"]
    return {method for path_template, handler in api_handlers(request.app) if path_template == path for method in handler.http_methods}


class UndeclaredPermission(Exception):
    """An API route does not declare who may use it; the application does not start."""


def api_handlers(app: Litestar) -> Iterable[tuple[str, HTTPRouteHandler]]:
    """Return (path, handler) of every route below /api/v1, except the answers to OPTIONS that Litestar adds."""
    for route in app.routes:
        if not route.path.startswith("/api/v1"):
            continue
        for handler in getattr(route, "route_handlers", ()):
            if handler.http_methods != {"OPTIONS"}:
                yield route.path_format, handler


def require_declared_permissions(app: Litestar) -> None:
    """Raise UndeclaredPermission unless every API route declares its permission."""
    silent = [path for path, handler in api_handlers(app) if not isinstance(handler.opt.get(PERMISSION), Permission)]
    if silent:
        message = f"routes without a declared permission: {', '.join(sorted(silent))}"
        raise UndeclaredPermission(message)


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """Describe a route's error responses for the OpenAPI document: those of every route, and `statuses`."""
    return {
        status: ResponseSpec(Problem, generate_examples=False, description=_ERRORS[status], media_type="application/problem+json")
        for status in sorted({400, 401, 403, 429, 503, *statuses})
    }
