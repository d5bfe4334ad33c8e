"""Turns exceptions into problem documents for everything below /api; pages render their own errors."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers.base import BaseRouteHandler
from litestar.params import ParameterKwarg
from litestar.types import ExceptionHandlersMap

from latchpin import services
from latchpin.api import validation_messages
from latchpin.asgi import problems
from latchpin.errors import FieldProblem, Invalid, LatchpinError
from latchpin.identity.access import InsufficientScope
from latchpin.kit import context, methods
from latchpin.kit.logger import Logger

_log = Logger(__name__)
_DETAILS = {
    404: "There is nothing at this address. The addresses are listed at /api-docs.",
    405: "This address does not take this method. See /api-docs.",
    413: "The request body is too large.",
    415: "Send the body as JSON, with `Content-Type: application/json`.",
}
_UNREADABLE = "The request cannot be read. Its form is described at /api-docs."
_NEEDED = re.compile(r"Missing required (\w+) parameter '([^']*)'")
_UNDERSCORE = re.compile(r"_([a-z])")
_SERVER_ERROR = 500
_MOST_TOLD = 3


def on_refusal(request: Request[Any, Any, Any], error: LatchpinError) -> Response[bytes]:
    """Render an error that Latchpin raises."""
    if isinstance(error, Invalid):
        error.problems = tuple(_on_the_wire(problem) for problem in error.problems)
        error.detail = _with_problems(error)
    request_context = context.of(request.scope)
    if isinstance(error, InsufficientScope):
        request_context.lacking = error.needed  # for the audit trail
    public_url = services.of(request).settings.public_url
    response = problems.of_error(
        error, instance=request.scope["path"], public_url=public_url, request_id=request_context.request_id, scheme=request_context.scheme
    )
    return _render(response)


def on_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Render an error of the framework: no such route, wrong method, an invalid parameter."""
    if error.status_code >= _SERVER_ERROR:
        return on_failure(request, error)
    field_problems = _fields(request, error) if isinstance(error, ValidationException) else []
    detail = _DETAILS.get(error.status_code, _UNREADABLE)
    if len(field_problems) == 1:
        detail = f"{field_problems[0].field}: {field_problems[0].message}"
    elif field_problems:
        detail = f"{len(field_problems)} parameters cannot be read: {', '.join(problem.field for problem in field_problems)}. See `errors`."
    # The framework lists OPTIONS too, which is also refused.
    allowed = [(b"allow", value.encode()) for value in methods.allow(error.headers, but="OPTIONS").values()]
    return _problem(request, error.status_code, detail, field_problems, allowed)


def on_failure(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Render an unexpected error: the caller gets the request's id, the log gets the details."""
    request_context = context.of(request.scope)
    _log.error("request.failed", request_id=request_context.request_id, path=request.scope["path"], exc_info=error)
    return _problem(request, _SERVER_ERROR, problems.FAILED)


def _problem(
    request: Request[Any, Any, Any],
    status: int,
    detail: str,
    field_problems: list[FieldProblem] | None = None,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> Response[bytes]:
    return _render(
        problems.render(
            status,
            detail,
            code="not_found" if status == 404 else None,  # noqa: PLR2004
            instance=request.scope["path"],
            public_url=services.of(request).settings.public_url,
            request_id=context.of(request.scope).request_id,
            problems=field_problems or (),
            headers=headers or (),
        )
    )


def _render(response: problems.ProblemResponse) -> Response[bytes]:
    headers: dict[str, str] = {}
    for name, value in response.headers:
        if name != b"content-length":
            existing = headers.get(name.decode("latin-1"))
            headers[name.decode("latin-1")] = value.decode("latin-1") if existing is None else f"{existing}, {value.decode('latin-1')}"
    return Response(response.body, status_code=response.status, headers=headers, media_type=problems.CONTENT_TYPE.decode())


def _fields(request: Request[Any, Any, Any], error: ValidationException) -> list[FieldProblem]:
    if needed := _NEEDED.search(error.detail):
        return [FieldProblem(needed[2], "This parameter is needed.")]
    extra = error.extra if isinstance(error.extra, list) else []
    return [
        FieldProblem(
            _wire_name(request.route_handler, str(item.get("key", "request"))), validation_messages.of(str(item.get("message", "")))
        )
        for item in extra
        if isinstance(item, dict)
    ]


def _wire_name(handler: BaseRouteHandler, name: str) -> str:
    """Return the name that a handler's argument has in a request."""
    field = handler.parsed_fn_signature.parameters.get(name)
    declared = field.kwarg_definition if field else None
    return (declared.name if isinstance(declared, ParameterKwarg) else None) or camel(name)


def _on_the_wire(problem: FieldProblem) -> FieldProblem:
    """Give a field its JSON name; a position inside a text document keeps the document's names, also below a field."""
    name, dot, below = problem.field.partition(".")
    return problem if problem.line is not None else replace(problem, field=f"{camel(name)}{dot}{below}")


def _with_problems(error: Invalid) -> str:
    """Return the detail with the problems added, for the many programs that show only the detail."""
    untold = [problem for problem in error.problems if problem.line is None and problem.message not in error.detail]
    return " ".join([error.detail, *(f"{problem.field}: {problem.message}" for problem in untold[:_MOST_TOLD])])


def camel(name: str) -> str:
    """Write a Python name in camelCase, as JSON has it."""
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name)


HANDLERS: ExceptionHandlersMap = {LatchpinError: on_refusal, HTTPException: on_http, Exception: on_failure}
