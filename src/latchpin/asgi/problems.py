"""Refusals as problem documents (RFC 9457, with the members of RFC 7807).

One table maps each kind of error to its status; `problem_types` explains each type. A document says what happened and what to do
next; it never contains a stack trace, SQL, a path of the server or a credential.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from latchpin import errors, problem_types
from latchpin.errors import FieldProblem, LatchpinError
from latchpin.identity import dpop
from latchpin.identity.scopes import ALL, serialize

CONTENT_TYPE = b"application/problem+json"
_STATUS: tuple[tuple[type[LatchpinError], int], ...] = (
    (errors.Malformed, 400),
    (errors.Invalid, 422),
    (errors.Unauthenticated, 401),
    (errors.Denied, 403),
    (errors.Missing, 404),
    (errors.Conflict, 409),
    (errors.TimedOut, 408),
    (errors.Throttled, 429),
    (errors.Unavailable, 503),
)
SLUGS = {
    400: "bad-request",
    405: "method-not-allowed",
    408: "request-too-slow",
    413: "request-too-large",
    414: "address-too-long",
    415: "unsupported-content-type",
    431: "cookies-too-long",
    500: "server-error",
}
FAILED = "The server failed on this request. Tell your administrator the request id."
RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
_ALGORITHMS = f'algs="{" ".join(dpop.ALGORITHMS)}"'


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The document. `error_code` is for programs; `errors` names the invalid fields."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    error_code: str | None = None
    scope: str | None = None
    errors: list[dict[str, Any]] = msgspec.field(default_factory=list)
    run_id: int | None = None
    request_id: str | None = None


class ProblemResponse(msgspec.Struct, frozen=True):
    """A rendered response: status, headers, body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def status_of(error: LatchpinError) -> int:
    """Return the HTTP status of an error."""
    return next(status for kind, status in _STATUS if isinstance(error, kind))


def challenges(public_url: str, scope: str, *, error: str | None = None, scheme: str = "Bearer") -> list[tuple[bytes, bytes]]:
    """Return the headers that say how to authenticate (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9728 section 5.1).

    `error` is the error code for the token that was sent with `scheme`; without one, all schemes are offered.
    """
    place = f'scope="{scope}", resource_metadata="{public_url}{RESOURCE_METADATA}"'
    if error is None:
        values = [f'Bearer realm="latchpin", {place}, ApiKey realm="latchpin"', f'DPoP realm="latchpin", {_ALGORITHMS}']
    else:
        values = [f'{scheme} realm="latchpin", error="{error}", {place}' + (f", {_ALGORITHMS}" if scheme == dpop.SCHEME else "")]
    return [(b"www-authenticate", each.encode()) for each in values]


def of_error(error: LatchpinError, *, instance: str, public_url: str, request_id: str | None, scheme: str = "Bearer") -> ProblemResponse:
    """Render an error that Latchpin raises; `scheme` is that of the request's token."""
    headers: list[tuple[bytes, bytes]] = []
    status = status_of(error)
    scope = getattr(error, "needed", None)
    if scope:
        headers += challenges(public_url, scope, error="insufficient_scope", scheme=scheme)
    elif status == 401:  # noqa: PLR2004
        error_code = error.code if isinstance(error, errors.BadToken) else None
        headers += challenges(public_url, serialize(ALL), error=error_code, scheme=scheme)
    if isinstance(error, errors.Throttled):
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if isinstance(error, errors.Unavailable):
        headers.append((b"retry-after", b"2"))
    problems = error.problems if isinstance(error, errors.Invalid) else ()
    title = f"{error.kind[:1].upper()}{error.kind[1:]} not found" if isinstance(error, errors.Missing) else None
    return render(
        status,
        error.detail,
        code=error.code,
        title=title,
        instance=instance,
        public_url=public_url,
        request_id=request_id,
        scope=scope,
        problems=problems,
        headers=headers,
        run_id=getattr(error, "run_id", None),
    )


def render(  # noqa: PLR0913  the members of the document
    status: int,
    detail: str,
    *,
    instance: str,
    public_url: str,
    code: str | None = None,
    title: str | None = None,
    request_id: str | None = None,
    scope: str | None = None,
    problems: Sequence[FieldProblem] = (),
    headers: Sequence[tuple[bytes, bytes]] = (),
    run_id: int | None = None,
) -> ProblemResponse:
    """Render any problem document; `instance` is the request's path without the query, which might contain a secret."""
    slug = problem_types.slug_of(code or SLUGS.get(status) or "error")
    body = Problem(
        type=problem_types.address_of(public_url, slug),
        title=title or problem_types.TITLES.get(status, problem_types.REFUSED),
        status=status,
        detail=detail,
        instance=instance,
        error_code=code or slug.replace("-", "_"),
        scope=scope,
        errors=[_field(problem) for problem in problems],
        run_id=run_id,
        request_id=request_id,
    )
    encoded = msgspec.json.encode(body)
    base = [
        (b"content-type", CONTENT_TYPE),
        (b"content-length", str(len(encoded)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    return ProblemResponse(status, [*base, *headers], encoded)


def _field(problem: FieldProblem) -> dict[str, Any]:
    members: Mapping[str, Any] = {
        "field": problem.field,
        "message": problem.message,
        "line": problem.line,
        "column": problem.column,
    }
    return {name: value for name, value in members.items() if value is not None}
