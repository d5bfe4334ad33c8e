"""The texts of every type, in the order of their status. Words between backticks are code, on the pages and in the reference alike."""

from __future__ import annotations

from latchpin.problem_types.model import ProblemType

_HEADER = "`Authorization: ApiKey <key>`"

_REQUEST = (
    ProblemType(
        "error",
        400,
        "Request refused",
        "The request was refused before it came to a route, for a reason that has no code of its own.",
        "The HTTP server behind the API refused it. The status says of which kind the refusal is.",
        "Read `detail` and the status, and compare the request with `/api-docs`. If it looks right, give `requestId` to an administrator.",
        "The request cannot be read. Its form is described at /api-docs.",
    ),
    ProblemType(
        "bad_request",
        400,
        "Request that cannot be read",
        "The request is not what the route takes: a parameter is missing, of the wrong kind or out of range, or the body is not JSON.",
        "A number that is no number, a page below 1, an unknown value of a list, a body cut short, or an address with a NUL character.",
        "`errors` names the parameters and says what each takes. Put these right: the same request is refused again.",
        "pageIndex: Enter a whole number of at least 1.",
        "/api/v1/agent/all",
        more={"errors": [{"field": "pageIndex", "message": "Enter a whole number of at least 1."}]},
    ),
    ProblemType(
        "two_credentials",
        400,
        "More than one credential",
        "The request carries two credentials, and it would be a guess which of them is meant.",
        "An API key and an access token were sent together, or one of them together with a browser's session cookie or in the address too.",
        f"Send exactly one, in the header: {_HEADER} or `Authorization: Bearer <token>`. A credential that stood in an address is in "
        "logs: have it revoked.",
        "The request carries a browser session as well as a key or token. Send one credential only.",
        "/api/v1/agent/all",
    ),
)
_WHO = (
    ProblemType(
        "unauthenticated",
        401,
        "No credential that counts",
        "The API does not know who is calling. The document never says why a credential does not count; the audit log does.",
        "No credential was sent, or in a wrong place (an address, a cookie, `X-API-Key`), or the key is mistyped, expired, revoked, used "
        "from a network that it is not bound to, or of a user who is disabled. For our own pages: the browser session has ended.",
        f"Send the whole key as {_HEADER}. If it is refused all the same, ask an administrator to look it up in the audit log by "
        "`requestId`, and to issue another one. Do not repeat the request unchanged: refusals are counted by address.",
        "Send an API key in the header `Authorization: ApiKey <key>`. An administrator issues one in the Control Center: Users, Manage "
        "API keys, New API key. Apps send an OAuth access token as `Authorization: Bearer <token>`.",
        "/api/v1/agent/all",
    ),
    ProblemType(
        "invalid_token",
        401,
        "Access token that does not count",
        "The access token was not accepted (RFC 6750 section 3.1). The document does not say for which reason; the audit log does.",
        "It has run out (tokens live for minutes), its user withdrew the app, signed out, lost a role or was disabled, the app was "
        "blocked, or the token was made for another API or by another issuer.",
        "Refresh the token (`grant_type=refresh_token` at `/api/oauth/token`) and repeat the request once. If refreshing is refused too, "
        "send the user through authorization again.",
        "The access token was not accepted. Refresh it (grant_type=refresh_token at /api/oauth/token), or send the user through "
        "authorization again; an administrator sees the reason in the audit log.",
        "/api/v1/agent/all",
    ),
)
_MAY = (
    ProblemType(
        "denied",
        403,
        "Not allowed",
        "The API knows who is calling, and this caller may not do this. Nothing was changed.",
        "The user's role in the Space is too low, or the route is for administrators of the organization.",
        "`detail` names the role that is needed. Ask an administrator for it, or have another user do this. Another credential of the same "
        "user does not help.",
        "This needs the role editor in the Space; yours is viewer. Ask an administrator.",
        "/api/v1/agent/77/archive",
    ),
    ProblemType(
        "insufficient_scope",
        403,
        "Scope that the credential lacks",
        "The credential is sound, but was made for less than this route asks for (RFC 6750 section 3.1).",
        "The API key has a narrower access, or the app's user granted fewer scopes. A scope gives nothing that its user may not do.",
        "`scope` says which one is needed, as does the header `WWW-Authenticate`. Use a key whose access includes it, which an "
        "administrator issues; an app asks its user for the scope in a new authorization request.",
        "This credential does not carry the scope agents:read. Use a key whose access includes it, which an administrator issues under "
        "Users, Manage API keys; an app asks its user for the scope.",
        "/api/v1/agent/all",
        more={"scope": "agents:read"},
    ),
    ProblemType(
        "credential_not_allowed",
        403,
        "Route for signed-in people",
        "No API key and no app opens this route, whatever its scopes: administration is for people who have signed in.",
        "A script called a route below `/api/v1/admin`.",
        "Do it in the Control Center, or on the server with the command line `latchpin`.",
        "An API key or an app cannot do this: administration is for signed-in administrators in the Control Center.",
        "/api/v1/admin/users",
    ),
    ProblemType(
        "key_in_browser",
        403,
        "API key sent by a web page",
        "A web page sent the key. Keys do not belong in code that everybody who opens the page can read.",
        "The request has the `Origin` header of a page that is not part of this Control Center.",
        "Call the API from your server, or register an app, whose users sign in and get tokens of their own. "
        "Have the key revoked: whoever opened the page could copy it.",
        "An API key was sent from a web page. Keys do not belong in client-side code, where everybody can read them: call the API from "
        "your server, and have this key revoked.",
        "/api/v1/agent/all",
    ),
    ProblemType(
        "cross_site",
        403,
        "Request of another site's page",
        "A browser sent this change together with a session of the Control Center, and not from one of our own pages.",
        "Another site's page tried to act for the person (cross-site request forgery), or the Control Center is opened under another "
        "address than its public one.",
        "Repeat it on the Control Center's own page. If you operate it: `LATCHPIN_PUBLIC_URL` must be the address in the browser. Programs "
        "use an API key or a token, not a browser's cookie.",
        "This request did not come from the Control Center's own pages.",
        "/api/v1/admin/users",
    ),
    ProblemType(
        "proof_needed",
        403,
        "Password needed again",
        "Changes to keys, users and policy ask for the password when it was last given too long ago.",
        "The browser session is older than the setting `LATCHPIN_PROOF_MINUTES` allows for such a change.",
        "Open any such page in the Control Center and give the password; then repeat the request in the same session.",
        "Give your password again in the Control Center first: the last time is too long ago.",
        "/api/v1/admin/users/7/keys",
    ),
    ProblemType(
        "password_change_required",
        403,
        "Temporary password",
        "The person signed in with a temporary password. Nothing opens before they have chosen one of their own.",
        "An administrator made the user, or gave them a new password.",
        "Sign in to the Control Center and choose a password there.",
        "Choose a new password in the Control Center first.",
        "/api/v1/agent/all",
    ),
)


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
EVERY: tuple[ProblemType, ...] = (*_REQUEST, *_WHO, *_MAY, *_THERE, *_HOW)
