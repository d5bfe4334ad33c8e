"""The parts of the OpenAPI document that routes share: credentials, headers, and errors."""

from __future__ import annotations

from typing import Any

from latchpin import problem_types
from latchpin.identity import sessions
from latchpin.settings import Settings

RATE_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Window-Seconds", "RateLimit-Policy", "RateLimit")
PROBLEM_NAMES = {
    400: "BadRequest",
    401: "NotAuthenticated",
    403: "NotAllowed",
    404: "NotFound",
    408: "TookTooLong",
    409: "Conflict",
    413: "TooLarge",
    415: "UnsupportedContentType",
    422: "RefusedEntry",
    429: "TooManyRequests",
    500: "ServerError",
    503: "Unavailable",
}
# By status: its general description, and the problem type of its example.
_REFUSALS = {
    400: ("The request cannot be read: a parameter of the wrong kind or out of range, or a body that is not JSON.", "bad-request"),
    401: ("No credential, or one that is not accepted. The document does not say why; the audit log does.", "unauthenticated"),
    403: (
        "The credential lacks the scope (`errorCode` is `insufficient_scope`, `scope` what is needed), or its user the right.",
        "insufficient-scope",
    ),
    404: ("No such thing, or none that the caller may see.", "agent-not-found"),
    408: ("What was waited for has not ended in time. It goes on; `runId` names it.", "run-timeout"),
    409: ("Not possible in the present state of the thing.", "conflict"),
    413: ("The body is larger than the server takes.", "request-too-large"),
    415: ("The body is not JSON by its Content-Type.", "unsupported-content-type"),
    422: (
        "The entry was understood and refused; nothing was changed. `errors` names the fields, and line and column of a definition.",
        "invalid",
    ),
    429: ("Too many requests with this credential. Wait as Retry-After says.", "throttled"),
    500: ("The server failed. Tell your administrator the request id.", "server-error"),
    503: ("The database cannot be reached; nothing was changed. Try again in a moment.", "unavailable"),
}
_SERVER = "https://latchpin.example"


def security_schemes(settings: Settings) -> dict[str, Any]:
    """Return the credentials that the API accepts."""
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
            "description": "An OAuth access token, where this server issues them; an API key is not a bearer token. One that is bound to "
            "a key (RFC 9449) goes into `Authorization: DPoP`, with a proof in the header `DPoP`.",
        },
        "Session": {
            "type": "apiKey",
            "in": "cookie",
            "name": sessions.cookie_name(settings),
            "description": "A browser signed in to the Control Center. Changes must come from this server's own pages.",
        },
    }


def headers() -> dict[str, Any]:
    """Return the response headers."""
    return {
        "X-RateLimit-Limit": _header("Requests that the credential may make in a window.", 100, "integer"),
        "X-RateLimit-Window-Seconds": _header("Length of the window in seconds.", 60, "integer"),
        "RateLimit-Policy": _header("The same by the IETF draft: `q` requests in `w` seconds.", '"default";q=100;w=60'),
        "RateLimit": _header("What is left (`r` requests) until the window ends (`t` seconds).", '"default";r=99;t=60'),
        "Retry-After": _header("Whole seconds to wait before the next try.", 12, "integer"),
        "WWW-Authenticate": _header("How to authenticate, or the scope that is needed.", 'ApiKey realm="latchpin"'),
        "X-Request-ID": _header("The request's id, by which logs and the audit log know it.", problem_types.SAMPLE_REQUEST),
    }


def problem_responses() -> dict[str, Any]:
    """Return every error response, by the name that routes refer to."""
    return {PROBLEM_NAMES[status]: _refusal(status, *refusal) for status, refusal in _REFUSALS.items()}


def header_references(*names: str) -> dict[str, Any]:
    """Return references to headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, "X-Request-ID")}


def _refusal(status: int, description: str, slug: str) -> dict[str, Any]:
    more = {401: ("WWW-Authenticate",), 403: ("WWW-Authenticate",), 429: ("Retry-After", *RATE_HEADERS), 503: ("Retry-After",)}
    return {
        "description": description,
        "headers": header_references(*more.get(status, ())),
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": problem_types.get(slug).example(_SERVER),
            }
        },
    }


def _header(description: str, example: object, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}, "example": example}
