"""From exceptions to problem documents, for everything below /api; pages render their own."""

from __future__ import annotations

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from latchpin.api import problems
from latchpin.api.routing import services
from latchpin.errors import FieldProblem, LatchpinError
from latchpin.kit import context

_log = structlog.get_logger(__name__)
_DETAILS = {
    404: "There is nothing at this address. The addresses are listed at /api-docs.",
    405: "This address does not take this method. See /api-docs.",
    413: "The request body is too large.",
}


def _render(answer: problems.Answer) -> Response[bytes]:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers if name != b"content-length"}
    return Response(answer.body, status_code=answer.status, headers=headers, media_type=problems.CONTENT_TYPE.decode())


def on_refusal(request: Request[Any, Any, Any], error: LatchpinError) -> Response[bytes]:
    """Render a refusal of the product."""
    return _render(
        problems.of_error(
            error,
            instance=request.scope["path"],
            public_url=services(request).settings.public_url,
            request_id=context.of(request.scope).request_id,
        ),
    )


def on_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Render a refusal of the framework: no such route, wrong method, a parameter that does not validate."""
    found = _fields(error) if isinstance(error, ValidationException) else []
    detail = _DETAILS.get(error.status_code) or (found[0].message if len(found) == 1 else "The request cannot be read; see `errors`.")
    if not found and error.status_code not in _DETAILS:
        detail = "The request cannot be read." if error.status_code < 500 else "The server failed."  # noqa: PLR2004
    headers = [(name.encode(), value.encode()) for name, value in (error.headers or {}).items() if name.lower() == "allow"]
    return _render(
        problems.render(
            error.status_code,
            detail,
            instance=request.scope["path"],
            public_url=services(request).settings.public_url,
            request_id=context.of(request.scope).request_id,
            problems=found,
            headers=headers,
        ),
    )


def on_failure(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Render what nobody expected: the caller gets the request's id, the log gets the rest."""
    known = context.of(request.scope)
    _log.error("request.failed", request_id=known.request_id, path=request.scope["path"], exc_info=error)
    return _render(
        problems.render(
            500,
            problems.FAILED,
            instance=request.scope["path"],
            public_url=services(request).settings.public_url,
            request_id=known.request_id,
        ),
    )


def _fields(error: ValidationException) -> list[FieldProblem]:
    extra = error.extra if isinstance(error.extra, list) else []
    return [
        FieldProblem(str(item.get("key", "request")), _sentence(str(item.get("message", "is not valid")), str(item.get("key", ""))))
        for item in extra
        if isinstance(item, dict)
    ]


def _sentence(message: str, key: str) -> str:
    text = f"{key}: {message[:1].lower()}{message[1:]}" if key else message
    return text if text.endswith(".") else text + "."


HANDLERS: ExceptionHandlersMap = {LatchpinError: on_refusal, HTTPException: on_http, Exception: on_failure}
