"""The parts of the OpenAPI document that routes share: credentials, headers, and refusals."""

from __future__ import annotations

from typing import Any

import msgspec

from latchpin.api.problems import Problem
from latchpin.identity import sessions
from latchpin.settings import Settings

RATE_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Window-Seconds", "RateLimit-Policy", "RateLimit")
PROBLEM_NAMES = {
    400: "BadRequest",
    401: "NotAuthenticated",
    403: "NotAllowed",
    404: "NotFound",
    409: "Conflict",
    413: "TooLarge",
    415: "UnsupportedContentType",
    422: "RefusedEntry",
    429: "TooManyRequests",
    500: "ServerError",
    503: "Unavailable",
}
_ID = "8726d9f4bf2436-7"
_SAMPLES: dict[int, tuple[str, Problem]] = {
    400: (
        "The request cannot be read: a parameter of the wrong kind or out of range, or a body that is not JSON.",
        Problem(
            type="https://latchpin.example/errors/bad-request",
            title="Bad request",
            status=400,
            detail="pageIndex: Enter a whole number of at least 1.",
            instance="/api/v1/agent/all",
            error_code="bad_request",
            errors=[{"field": "pageIndex", "message": "Enter a whole number of at least 1."}],
            request_id=_ID,
        ),
    ),
    401: (
        "No credential, or one that is not accepted. The document does not say why; the audit log does.",
        Problem(
            type="https://latchpin.example/errors/unauthenticated",
            title="Not authenticated",
            status=401,
            detail="Send an API key in the header `Authorization: ApiKey <key>`.",
            instance="/api/v1/agent/all",
            error_code="unauthenticated",
            request_id=_ID,
        ),
    ),
    403: (
        "The credential lacks the scope (`errorCode` is `insufficient_scope`, `scope` what is needed), or its user the right.",
        Problem(
            type="https://latchpin.example/errors/insufficient-scope",
            title="Not allowed",
            status=403,
            detail="This credential does not carry the scope agents:read.",
            instance="/api/v1/agent/all",
            error_code="insufficient_scope",
            scope="agents:read",
            request_id=_ID,
        ),
    ),
    404: (
        "No such thing, or none that the caller may see.",
        Problem(
            type="https://latchpin.example/errors/agent-not-found",
            title="Agent not found",
            status=404,
            detail="Agent 7 does not exist, or you have no access to it.",
            instance="/api/v1/agent/7",
            error_code="agent-not-found",
            request_id=_ID,
        ),
    ),
    409: (
        "Not possible in the present state of the thing.",
        Problem(
            type="https://latchpin.example/errors/conflict",
            title="Conflict",
            status=409,
            detail="The last active administrator cannot be disabled. Make another user an administrator first.",
            instance="/api/v1/admin/users/1/disable",
            error_code="conflict",
            request_id=_ID,
        ),
    ),
    413: (
        "The body is larger than the server takes.",
        Problem(
            type="https://latchpin.example/errors/request-too-large",
            title="Request too large",
            status=413,
            detail="The request body is too large.",
            instance="/api/v1/admin/agents",
            error_code="request_too_large",
            request_id=_ID,
        ),
    ),
    415: (
        "The body is not JSON by its Content-Type.",
        Problem(
            type="https://latchpin.example/errors/unsupported-content-type",
            title="Unsupported content type",
            status=415,
            detail="Send the body as JSON, with `Content-Type: application/json`.",
            instance="/api/v1/admin/agents",
            error_code="unsupported_content_type",
            request_id=_ID,
        ),
    ),
    422: (
        "The entry was understood and refused; nothing was changed. `errors` names the fields, and line and column of a definition.",
        Problem(
            type="https://latchpin.example/errors/invalid",
            title="Refused entry",
            status=422,
            detail="One entry was refused; nothing was changed. email: Enter an e-mail address such as name@example.com.",
            instance="/api/v1/admin/users",
            error_code="invalid",
            errors=[{"field": "email", "message": "Enter an e-mail address such as name@example.com."}],
            request_id=_ID,
        ),
    ),
    429: (
        "Too many requests with this credential. Wait as Retry-After says.",
        Problem(
            type="https://latchpin.example/errors/throttled",
            title="Too many requests",
            status=429,
            detail="This credential may make 100 requests in 60 seconds. Wait as Retry-After says.",
            instance="/api/v1/agent/all",
            error_code="throttled",
            request_id=_ID,
        ),
    ),
    500: (
        "The server failed. Tell your administrator the request id.",
        Problem(
            type="https://latchpin.example/errors/server-error",
            title="Server error",
            status=500,
            detail="The server failed on this request. Tell your administrator the request id.",
            instance="/api/v1/agent/all",
            error_code="server_error",
            request_id=_ID,
        ),
    ),
    503: (
        "The database cannot be reached; nothing was changed. Try again in a moment.",
        Problem(
            type="https://latchpin.example/errors/unavailable",
            title="Temporarily unavailable",
            status=503,
            detail="The database cannot be reached. Nothing was changed; try again in a moment.",
            instance="/api/v1/agent/all",
            error_code="unavailable",
            request_id=_ID,
        ),
    ),
}


def security_schemes(settings: Settings) -> dict[str, Any]:
    """Return the credentials that the API knows."""
    return {
        "ApiKey": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "An API key, sent as `Authorization: ApiKey <key>`. An administrator issues one in the Control Center: Users, "
            "Manage API keys, New API key. In the explorer, paste the key alone.",
        },
        "Bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An OAuth access token, where this server issues them; an API key is not a bearer token.",
        },
        "Session": {
            "type": "apiKey",
            "in": "cookie",
            "name": sessions.cookie_name(settings),
            "description": "A browser signed in to the Control Center. Changes must come from this server's own pages.",
        },
    }


def headers() -> dict[str, Any]:
    """Return the headers of answers."""
    return {
        "X-RateLimit-Limit": _header("Requests that the credential may make in a window.", 100, "integer"),
        "X-RateLimit-Window-Seconds": _header("Length of the window in seconds.", 60, "integer"),
        "RateLimit-Policy": _header("The same by the IETF draft: `q` requests in `w` seconds.", '"default";q=100;w=60'),
        "RateLimit": _header("What is left (`r` requests) until the window ends (`t` seconds).", '"default";r=99;t=60'),
        "Retry-After": _header("Whole seconds to wait before the next try.", 12, "integer"),
        "WWW-Authenticate": _header("How to authenticate, or the scope that is needed.", 'ApiKey realm="latchpin"'),
        "X-Request-ID": _header("The request's id, by which logs and the audit log know it.", _ID),
    }


def problem_responses() -> dict[str, Any]:
    """Return every refusal, by the name that routes refer to it with."""
    return {PROBLEM_NAMES[status]: _refusal(status, *sample) for status, sample in _SAMPLES.items()}


def header_references(*names: str) -> dict[str, Any]:
    """Return references to headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, "X-Request-ID")}


def _refusal(status: int, description: str, sample: Problem) -> dict[str, Any]:
    more = {401: ("WWW-Authenticate",), 403: ("WWW-Authenticate",), 429: ("Retry-After", *RATE_HEADERS), 503: ("Retry-After",)}
    return {
        "description": description,
        "headers": header_references(*more.get(status, ())),
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "example": msgspec.to_builtins(sample)}
        },
    }


def _header(description: str, example: object, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}, "example": example}
