"""The userinfo endpoint (OpenID Connect Core section 5.3): who signed in, for an app that was granted `openid`."""

from __future__ import annotations

from dataclasses import replace

from litestar import Response, get, post, route
from litestar.enums import HttpMethod

from latchpin.identity.roles import CredentialKind
from latchpin.identity.scopes import OPENID
from latchpin.identity.standing import Standing
from latchpin.identity.tokens import identity_claims
from latchpin.identity.verified import Reason, Refused
from latchpin.kit import context, rate_limit
from latchpin.oauth import params, server
from latchpin.oauth.endpoints.answers import json_answer, preflight
from latchpin.oauth.errors import OAuthError, invalid_request
from latchpin.oauth.server import AnyRequest, AuthorizationServer

PATH = "/api/oauth/userinfo"
_RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
_EXPOSED = {"Access-Control-Expose-Headers": "WWW-Authenticate"}


@get(PATH)
async def userinfo(request: AnyRequest) -> Response[bytes]:
    """Tell who the user of an access token is."""
    return await _answer(request)


@post(PATH, status_code=200)
async def userinfo_by_post(request: AnyRequest) -> Response[bytes]:
    """Tell the same; the token comes in the header here too, never in the form (RFC 9700 section 4.3.2)."""
    body = await request.body()
    if body and params.form(request.headers.get("content-type", ""), body).get("access_token") is not None:
        raise invalid_request("send the access token in the Authorization header")
    return await _answer(request)


@route(PATH, http_method=[HttpMethod.OPTIONS])
async def userinfo_preflight() -> Response[bytes]:
    """Let other sites' pages ask."""
    return preflight("GET, POST")


async def _answer(request: AnyRequest) -> Response[bytes]:
    serving = server.of(request)
    words, stands = await _sound(request, serving)
    if OPENID not in words:
        raise _refusal(serving, "insufficient_scope", "the scope openid is needed", status=403)
    limit, seconds = serving.settings.rate_limit, serving.settings.rate_limit_window_seconds
    key, detail = f"grant:{stands.grant_id}", "too many requests with this grant"
    await rate_limit.require(serving.counter, key, seconds=seconds, most=limit, detail=detail)
    told = identity_claims(replace(stands, granted=stands.granted & words))
    return json_answer({"sub": stands.subject, **told}, headers=_EXPOSED)


async def _sound(request: AnyRequest, serving: AuthorizationServer) -> tuple[frozenset[str], Standing]:
    """Return the scopes of the request's sound access token, and where its grant stands; raises OAuthError, Throttled."""
    if params.parse(request.scope["query_string"]).get("access_token") is not None:
        raise invalid_request("send the access token in the Authorization header")
    header = context.of(request.scope).seen.get(b"authorization", b"")
    scheme, _, token = header.partition(b" ")
    if scheme.lower() != b"bearer" or not token:
        raise _refusal(serving, None, "send an access token as Authorization: Bearer")
    came_from, generation = server.origin(request), await serving.now()
    found = await serving.tokens.read(token.strip(), generation)
    if not isinstance(found, Refused):
        claims, stands = found
        audience = claims.get("aud")
        if stands.audiences.intersection(audience if isinstance(audience, list) else [audience]):
            return frozenset(str(claims.get("scope", "")).split()), stands
        who = stands.principal
        found = Refused(
            Reason.WRONG_AUDIENCE,
            who.organization_id,
            who.user_id or None,
            who.email,
            stands.grant_id,
            stands.client_name,
            CredentialKind.ACCESS_TOKEN,
        )
    await serving.note_refusal(found, came_from)
    raise _refusal(serving, "invalid_token", "the access token is expired, revoked, or not for this endpoint")


def _refusal(serving: AuthorizationServer, error: str | None, description: str, *, status: int = 401) -> OAuthError:
    """Make a refusal in the form of RFC 6750 section 3; no `error` in the header where no token was sent."""
    told = f', error="{error}", error_description="{description}"' if error else ""
    metadata = serving.issuer + _RESOURCE_METADATA
    challenge = f'Bearer realm="latchpin"{told}, scope="{OPENID}", resource_metadata="{metadata}"'
    return OAuthError(error or "invalid_token", description, status=status, headers={"WWW-Authenticate": challenge, **_EXPOSED})
