"""How OAuth endpoints answer: JSON that nobody stores, errors in the words of RFC 6749 section 5.2, and CORS where scripts may ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from latchpin.errors import LatchpinError, Throttled, Unavailable
from latchpin.kit import context, cors, methods
from latchpin.kit.logger import Logger
from latchpin.oauth.authorization_server import AnyRequest
from latchpin.oauth.errors import OAuthError
from latchpin.oauth.params import MOST_BODY_BYTES

_log = Logger(__name__)
NO_STORE: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
CORS: Mapping[str, str] = {"Access-Control-Allow-Origin": "*"}
_OURS = "/api/oauth/"
_SERVER_ERROR = 500
_HINTS = {
    404: "there is no such endpoint",
    405: "this endpoint does not take this method",
    413: f"the body may have {MOST_BODY_BYTES} bytes at most",
}


def json_response(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response[bytes]:  # noqa: ANN401  any JSON
    """Make a JSON answer that no cache keeps; browsers' scripts may read it."""
    response_headers = {**NO_STORE, **CORS, **(headers or {})}
    return Response(msgspec.json.encode(body), status_code=status, headers=response_headers, media_type="application/json")


def cacheable_json(body: Any, *, seconds: int) -> Response[bytes]:  # noqa: ANN401  any JSON
    """Make a JSON answer that everybody may keep for a while: metadata and keys."""
    return json_response(body, headers={"Cache-Control": f"public, max-age={seconds}", "Pragma": ""})


def preflight(methods: str) -> Response[bytes]:
    """Answer a browser's question whether another site's page may ask (Fetch, CORS preflight)."""
    headers = {
        **CORS,
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": cors.REQUEST_HEADERS,
        "Access-Control-Max-Age": cors.PREFLIGHT_SECONDS,
    }
    return Response(b"", status_code=204, headers=headers, media_type=None)


def on_oauth_error(_request: AnyRequest, error: OAuthError) -> Response[bytes]:
    """Render a refusal."""
    body = {"error": error.error, "error_description": error.description}
    return json_response(body, status=error.status, headers=error.headers)


def on_refusal(_request: AnyRequest, error: LatchpinError) -> Response[bytes]:
    """Render a refusal of the product in OAuth's words."""
    if isinstance(error, Throttled):
        return _error(429, "slow_down", error.detail, {"Retry-After": str(error.retry_after)})
    if isinstance(error, Unavailable):
        return _error(503, "temporarily_unavailable", error.detail, {"Retry-After": "2"})
    return _error(400, "invalid_request", error.detail)


def on_http(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Render a refusal of the framework: a wrong method, a body too large."""
    if error.status_code >= _SERVER_ERROR:
        return on_failure(request, error)
    headers = methods.allow(error.headers)
    return _error(error.status_code, "invalid_request", _HINTS.get(error.status_code, "the request cannot be read"), headers)


def on_failure(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Render an unexpected error: the caller gets the request's id, the log gets the rest."""
    request_context = context.of(request.scope)
    _log.error("request.failed", request_id=request_context.request_id, path=request.scope["path"], exc_info=error)
    return _error(_SERVER_ERROR, "server_error", f"the server failed on request {request_context.request_id}")


def _error(status: int, code: str, description: str, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    return json_response({"error": code, "error_description": description}, status=status, headers=headers)


HANDLERS: ExceptionHandlersMap = {
    OAuthError: on_oauth_error,
    LatchpinError: on_refusal,
    HTTPException: on_http,
    Exception: on_failure,
}


def beside(others: ExceptionHandlersMap) -> dict[Any, Any]:
    """Join handlers of other surfaces with ours, by address: a wrong method below /api/oauth never comes to a route of ours."""

    def choose(kind: Any, other: Any) -> Any:  # noqa: ANN401  Litestar's handlers are of many types
        ours: Any = HANDLERS.get(kind, other)
        return lambda request, error: (ours if request.scope["path"].startswith(_OURS) else other)(request, error)

    return {kind: choose(kind, other) for kind, other in others.items()}
