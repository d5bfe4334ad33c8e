"""Refusals about what a request asks for (404 to 503). Words between backticks are code, on the pages and in the reference alike."""

from __future__ import annotations

from latchpin.problem_types.model import ProblemType


def _missing(kind: str, instance: str, number: int | None = None) -> ProblemType:
    """Make the type for a kind of thing, in the words of `errors.Missing`."""
    name = kind[:1].upper() + kind[1:]
    article = "an" if kind[0] in "aeiouA" else "a"
    return ProblemType(
        f"{kind.replace(' ', '-').lower()}-not-found",
        404,
        f"{name} not found",
        f"There is no such {kind}, or the caller may not know that there is. Both look the same on purpose.",
        f"The id is wrong, it was deleted, or it is {article} {kind} of another Space or organization, out of this credential's reach.",
        "Check the id against the list that it came from, asked with the same credential. If it is not in there, ask an administrator for "
        "access.",
        f"{name}{f' {number}' if number else ''} does not exist, or you have no access to it.",
        instance,
        f"{name} not found",
    )


_THERE = (
    ProblemType(
        "not_found",
        404,
        "Address without a route",
        "The API has nothing at this address.",
        "The path is mistyped, belongs to another version, or an id in it cannot be one.",
        "Compare the path with `/api-docs`, which lists every route.",
        "There is nothing at this address. The addresses are listed at /api-docs.",
        "/api/v1/agents",
    ),
    _missing("agent", "/api/v1/agent/77", 77),
    _missing("version", "/api/v1/agent/77/version/9/restore", 9),
    _missing("space", "/api/v1/spaces/5", 5),
    _missing("user", "/api/v1/admin/users/7", 7),
    _missing("API key", "/api/v1/admin/keys/12", 12),
    _missing("session", "/api/v1/admin/users/7/sessions/31", 31),
    _missing("app", "/api/v1/admin/apps/4", 4),
    _missing("connected app", "/api/v1/admin/users/7/grants/4", 4),
    _missing("resource", "/api/v1/admin/resources/3", 3),
    _missing("audit record", "/api/v1/admin/audit/88", 88),
    _missing("organization", "/api/v1/admin/key-policy", 2),
    ProblemType(
        "method_not_allowed",
        405,
        "Method that the address does not take",
        "There is something at this address, and it does not take this HTTP method.",
        "For example POST where the route takes PUT. `OPTIONS` is answered only for web pages that ask whether they may call.",
        "The header `Allow` lists the methods that are taken; `/api-docs` says what each does.",
        "This address does not take this method. See /api-docs.",
        "/api/v1/agent/all",
    ),
)
_HOW = (
    ProblemType(
        "request_too_slow",
        408,
        "Body that took too long",
        "The body of the request did not arrive in time, so the request was given up. Nothing was changed.",
        "The connection is very slow, or the client announced a longer body than it sent.",
        "Check that `Content-Length` is right, and send the request again.",
        "The body did not arrive within 30 seconds.",
        "/api/v1/admin/agents",
    ),
    ProblemType(
        "conflict",
        409,
        "Not possible now",
        "The request is sound, but does not fit the present state of the thing. Nothing was changed.",
        "A rule protects something, such as the last administrator or a Space that still has agents; or somebody changed the thing at the "
        "same moment.",
        "`detail` says what is in the way. Read the thing again, clear that away, and repeat the request.",
        "The last active administrator cannot be disabled. Make another user an administrator first.",
        "/api/v1/admin/users/1/disable",
    ),
    ProblemType(
        "form_already_used",
        409,
        "Form that was sent before",
        "The same form has made a key already, and that key was shown then. No second one was made.",
        "The form was sent twice: a double click, or a page that was reloaded.",
        "Use the key that was shown. If it is lost, delete it and create a new one: a key is never shown again.",
        "This form was already sent, and the key it made was shown then. A lost key can only be deleted and replaced.",
        "/api/v1/admin/users/7/keys",
    ),
    ProblemType(
        "request_too_large",
        413,
        "Body that is too large",
        "The body of the request is larger than the server takes, so it was not read.",
        "The setting `LATCHPIN_MAX_BODY_BYTES` bounds it.",
        "Send less at once. If you operate the server and need more, raise the setting.",
        "The request body is too large.",
        "/api/v1/admin/agents",
    ),
    ProblemType(
        "unsupported_content_type",
        415,
        "Body that is not JSON",
        "The route takes JSON, and the request says that its body is something else.",
        "`Content-Type` is missing, or is that of a form or a text.",
        "Send the body as JSON, with `Content-Type: application/json`.",
        "Send the body as JSON, with `Content-Type: application/json`.",
        "/api/v1/admin/agents",
    ),
    ProblemType(
        "invalid",
        422,
        "Refused entry",
        "The input was understood and refused. Nothing was changed.",
        "A field lacks a value, holds one that is not allowed, or is not a field of this route.",
        "`errors` has one entry for each field, with what it takes. Put these right and send the request again.",
        "One entry was refused; nothing was changed. email: Enter an e-mail address such as name@example.com.",
        "/api/v1/admin/users",
        more={"errors": [{"field": "email", "message": "Enter an e-mail address such as name@example.com."}]},
    ),
    ProblemType(
        "invalid_definition",
        422,
        "Definition with mistakes",
        "The text is not a definition of an agent. Nothing was saved.",
        "It is not YAML, a field is misspelt or missing, or a value is of the wrong kind.",
        "`errors` gives the line and column of each mistake, in the order of the text, at most 100. Put these right and send the "
        "whole text again.",
        "The definition has 1 problem. Line 1, version: `version` is required.",
        "/api/v1/admin/agents",
        more={"errors": [{"field": "version", "message": "`version` is required", "line": 1, "column": 1}]},
    ),
    ProblemType(
        "throttled",
        429,
        "Too many requests",
        "The credential, or the address that the request came from, has used up what it may send in this stretch of time.",
        "More requests than the key's limit allows, or many refused credentials from one address. Sound keys are not affected by the "
        "latter.",
        "Wait for as many seconds as `Retry-After` says. `RateLimit` and `X-RateLimit-Limit` tell where you stand with every answer, so "
        "that a client can slow down by itself.",
        "This credential may make 100 requests in 60 seconds. Wait as Retry-After says.",
        "/api/v1/agent/all",
    ),
    ProblemType(
        "server_error",
        500,
        "Server error",
        "The server failed on this request. That is a fault of ours and not of the request. A change was made wholly or not at all.",
        "The log has the cause under `requestId`.",
        "Give `requestId` to whoever operates the server. Before you repeat a change, look whether it was made.",
        "The server failed on this request. Tell your administrator the request id.",
        "/api/v1/agent/all",
    ),
    ProblemType(
        "unavailable",
        503,
        "Not available for a moment",
        "Something that the answer depends on cannot be reached. Nothing was changed.",
        "The database is restarting, or this process is cut off from the others and refuses rather than trust old knowledge.",
        "Wait for as many seconds as `Retry-After` says, and send the same request again. If it lasts, `/health/ready` tells the operator.",
        "The database cannot be reached. Nothing was changed; try again in a moment.",
        "/api/v1/agent/all",
    ),
)
EVERY: tuple[ProblemType, ...] = (*_THERE, *_HOW)
