"""Errors of a request or of its caller (400 to 403). Words between backticks are code, both on the pages and in the reference."""

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
        "run_in_progress",
        400,
        "Run that is in progress",
        "A run cannot be deleted while it waits or is executed. Nothing was deleted.",
        "The run has not ended.",
        "Stop it, wait until its status is a final one, and delete it then.",
        "The run is in progress. Stop it first, and delete it when it has ended.",
        "/api/v1/agent/77/run/512",
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
_AUTHENTICATION = (
    ProblemType(
        "unauthenticated",
        401,
        "Authentication required",
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
        "blocked, or the token was made for another API or by another issuer. Or it is bound to a key of its client and was sent as "
        "`Bearer`, or is bound to none and was sent as `DPoP`; then `detail` says so.",
        "Refresh the token (`grant_type=refresh_token` at `/api/oauth/token`) and repeat the request once. If refreshing is refused too, "
        "send the user through authorization again.",
        "The access token was not accepted. Refresh it (grant_type=refresh_token at /api/oauth/token), or send the user through "
        "authorization again; an administrator sees the reason in the audit log.",
        "/api/v1/agent/all",
    ),
    ProblemType(
        "invalid_dpop_proof",
        401,
        "DPoP proof that does not count",
        "The access token is bound to a key of the client, and the proof that the client holds this key is missing or not sound (RFC 9449 "
        "section 7.1).",
        "The header `DPoP` is missing, was made for another method, address or token, is too old, was used before, or is signed with "
        "another key than the one that the token is bound to. A clock that is off by more than a minute is the usual cause.",
        "Send the token as `Authorization: DPoP <token>`, with a fresh proof in `DPoP` for each request. `detail` says what is wrong.",
        "The DPoP proof was not accepted: htm must be GET.",
        "/api/v1/agent/all",
    ),
    ProblemType(
        "use_dpop_nonce",
        401,
        "DPoP proof without our nonce",
        "The proof lacks the nonce that this server asks for, or holds an old one (RFC 9449 section 9). The token itself may be sound.",
        "The server sends a new nonce from time to time, so that proofs cannot be made in advance.",
        "Make another proof with the nonce of the header `DPoP-Nonce` of this answer, and send the same request again.",
        "The DPoP proof lacks a nonce of ours: make the proof again, with the nonce in the header DPoP-Nonce.",
        "/api/v1/agent/all",
    ),
)
_AUTHORIZATION = (
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
        "The browser session is older than the setting `LATCHPIN_REAUTH_MINUTES` allows for such a change.",
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
CREDENTIAL_TYPES: tuple[ProblemType, ...] = (*_REQUEST, *_AUTHENTICATION, *_AUTHORIZATION)
