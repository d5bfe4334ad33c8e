"""The Control Center as an OAuth client: signing in ends with the authorization code flow with PKCE, as for any other app.

It is a first-party client, so there is no consent step. A sealed cookie keeps state and verifier during the redirects; the tokens of
the flow never leave the server: the grant is bound to the browser session, and ends with it. Page scripts get a short-lived access
token for that session (`POST /session/token`).
"""

from __future__ import annotations

import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from litestar.datastructures import Cookie

from latchpin import services
from latchpin.errors import Conflict
from latchpin.identity import active_grant, tokens
from latchpin.identity.active_grant import ActiveGrant
from latchpin.identity.scopes import ALL
from latchpin.identity.tokens import AccessToken
from latchpin.kit import clock, cookie_names, same_origin, sealing
from latchpin.oauth import authorization_request, first_party_grants, pkce
from latchpin.oauth.clients import CALLBACK, CONTROL_CENTER
from latchpin.oauth.errors import OAuthError
from latchpin.oauth.grants import authorization_code
from latchpin.oauth.params import Params
from latchpin.services import AnyRequest
from latchpin.settings import Settings
from latchpin.web import cookies, page_context
from latchpin.web.page_context import PageContext

SCOPE = "openid profile email " + " ".join(sorted(scope.value for scope in ALL))
_FLOW_SECONDS = 600
_ABOUT = "control center flow"
_NO_FLOW = "This sign-in was not begun here, or took too long. Sign in again."


class FlowLost(Conflict):
    """The authorization response does not match a flow that this browser has begun."""

    code = "sign_in_interrupted"


class FlowSuperseded(FlowLost):
    """The response is ours, but another tab of this browser has begun or finished a flow since: a signed-in user goes on (`resume`)."""


@dataclass(frozen=True, slots=True)
class AuthorizationRedirect:
    """Where to send the browser, and the cookie that it has to send back."""

    location: str
    cookie: Cookie


@dataclass(frozen=True, slots=True)
class _LoginState:
    """The sealed content of `state`: the page to go to, and whether this is the second try."""

    next_path: str
    again: bool


def begin(request: AnyRequest, next_path: str, *, again: bool = False) -> AuthorizationRedirect:
    """Begin the flow that ends at one of our pages, `next_path`; call it for a browser that is signed in. `again` marks a second try."""
    server = services.of(request)
    key = server.secrets.derive("control-center")
    token, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    # The page to go to can be a whole authorization request, which is too long for a cookie: `state` holds it, sealed.
    payload = json.dumps({"next_path": next_path, "again": again}).encode()
    state = f"{token}.{urlsafe_b64encode(sealing.seal(key, payload, token)).decode()}"
    query = {
        "client_id": CONTROL_CENTER,
        "response_type": "code",
        "redirect_uri": _origin(request) + CALLBACK,
        "scope": SCOPE,
        "state": state,
        "code_challenge": pkce.challenge_of(verifier),
        "code_challenge_method": pkce.METHOD,
    }
    flow = {"state": token, "verifier": verifier, "until": clock.timestamp() + _FLOW_SECONDS}
    sealed = sealing.seal(key, json.dumps(flow).encode(), _ABOUT)
    return AuthorizationRedirect(
        f"{authorization_request.PATH}?{urlencode(query, quote_via=quote)}", _cookie(server.settings, sealed.hex(), _FLOW_SECONDS)
    )


async def finish(request: AnyRequest) -> str:
    """Handle the authorization response: exchange the code for the session's grant; returns the page to go to.

    Raises FlowLost where the response is from another issuer (RFC 9207), and FlowSuperseded where state or code do not match the flow
    that this browser began.
    """
    server = services.of(request)
    flow = _flow(request)
    query = request.query_params
    (state_token, _, _), issuer = query.get("state", "").partition("."), query.get("iss", "")
    if issuer != server.issuer:
        raise FlowLost(_NO_FLOW)
    if flow is None or not hmac.compare_digest(state_token.encode(), flow["state"].encode()):
        raise FlowSuperseded(_NO_FLOW)
    form = Params(
        {
            "code": query.get("code", ""),
            "code_verifier": flow["verifier"],
            "redirect_uri": _origin(request) + CALLBACK,
        }
    )
    client = await server.clients.find(CONTROL_CENTER, await server.now())
    outcome = None
    if client and form.get("code"):
        async with server.database.transaction() as session:
            outcome = await authorization_code.redeem(server, session, client, form, page_context.origin_of(request))
    if outcome is None or isinstance(outcome, OAuthError):
        raise FlowSuperseded("The sign-in could not be finished. Sign in again.")
    return _login_state(request).next_path


async def resume(request: AnyRequest) -> AuthorizationRedirect | None:
    """Return where a signed-in browser goes on after a superseded response; None where nobody is signed in.

    The code of that response is not redeemed: an attacker who planted it (login CSRF) can only send the browser to a page of ours. A
    session that has no grant yet, because the other tab was closed too early, begins the flow once more, but only once.
    """
    try:
        ctx = await page_context.require_user_with_any_password(request)
    except page_context.SignInRequired:
        return None
    login_state = _login_state(request)
    async with ctx.services.database.read() as session:
        has_grant = await first_party_grants.control_center_grant(session, ctx.signed_in.session_id) is not None
    if has_grant or login_state.again:
        return AuthorizationRedirect(login_state.next_path, no_cookie(ctx.services.settings))
    return begin(request, login_state.next_path, again=True)


async def token_for(ctx: PageContext) -> AccessToken:
    """Return a short-lived access token of the session's own grant, for the scripts of our pages; raises Conflict where there is none."""
    server = services.of(ctx.request)
    await server.now()
    async with server.database.read() as session:
        grant_id = await first_party_grants.control_center_grant(session, ctx.signed_in.session_id)
        active = await active_grant.by_id(session, grant_id, server.settings) if grant_id is not None else None
    if not isinstance(active, ActiveGrant):
        raise Conflict("This session has no token. Sign out and in again.", code="no_session_token")
    return tokens.access_token(server.ring, server.settings, active, scope=(scope.value for scope in ALL))


def no_cookie(settings: Settings) -> Cookie:
    """The cookie that deletes the flow's cookie."""
    return _cookie(settings, "", 0)


def _login_state(request: AnyRequest) -> _LoginState:
    token, _, encoded = request.query_params.get("state", "").partition(".")
    try:
        sealed = urlsafe_b64decode(encoded)
        return _LoginState(**json.loads(sealing.unseal(services.of(request).secrets.derive("control-center"), sealed, token)))
    except (ValueError, TypeError, sealing.DecryptionError):  # TypeError: sealed by another version
        return _LoginState("/", again=False)


def _flow(request: AnyRequest) -> dict[str, str] | None:
    server = services.of(request)
    try:
        sealed = bytes.fromhex(request.cookies.get(_name(server.settings), "")[:4000])
        flow = json.loads(sealing.unseal(server.secrets.derive("control-center"), sealed, _ABOUT))
    except (ValueError, sealing.DecryptionError):
        return None
    return flow if flow["until"] > clock.timestamp() else None


def _origin(request: AnyRequest) -> str:
    """Return our origin as the browser sees it: the public address, or the other name of loopback where the request used that."""
    host = request.headers.get("host", "")
    origins = (origin.decode() for origin in same_origin.own_origins(services.of(request).settings))
    return next((origin for origin in origins if origin.partition("://")[2] == host), services.of(request).settings.public_url)


def _name(settings: Settings) -> str:
    return cookie_names.of(settings, "flow")


def _cookie(settings: Settings, text: str, seconds: int) -> Cookie:
    return cookies.lasting(settings, _name(settings), text, seconds)
