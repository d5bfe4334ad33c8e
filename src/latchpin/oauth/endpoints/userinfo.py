"""The userinfo endpoint (OpenID Connect Core section 5.3): who signed in, for an app that was granted `openid`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

from litestar import Response, get, post, route
from litestar.enums import HttpMethod

from latchpin.audit import Origin
from latchpin.identity import bearer, dpop
from latchpin.identity.dpop import Fault, Proof
from latchpin.identity.proofs import REPLAYED, Bound
from latchpin.identity.scopes import OPENID
from latchpin.identity.standing import Standing
from latchpin.identity.tokens import identity_claims
from latchpin.identity.verified import Reason, Refused
from latchpin.kit import context, rate_limit
from latchpin.oauth import params, proving, server
from latchpin.oauth.endpoints.answers import json_answer, preflight
from latchpin.oauth.errors import OAuthError, invalid_request
from latchpin.oauth.server import AnyRequest, AuthorizationServer

PATH = "/api/oauth/userinfo"
_RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
_EXPOSED = {"Access-Control-Expose-Headers": "WWW-Authenticate, DPoP-Nonce"}
_SCHEMES = {b"bearer": "Bearer", b"dpop": dpop.SCHEME}
_ALGORITHMS = f'algs="{" ".join(dpop.ALGORITHMS)}"'


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
    scheme, token = _presented(request, serving)
    found = await _sound(serving, scheme, token, server.origin(request))
    proof = await _proved(request, serving, scheme, token, found)
    words, stands = frozenset(str(found[0].get("scope", "")).split()), found[1]
    if OPENID not in words:
        caller = f"grant:{stands.grant_id}"
        serving.activity.used_at(f"GET {PATH}", stands.principal, caller, server.origin(request), lacking=OPENID)
        raise _refusal(serving, "insufficient_scope", "the scope openid is needed", scheme=scheme, status=403)
    limit, seconds = serving.settings.rate_limit, serving.settings.rate_limit_window_seconds
    key, detail = f"grant:{stands.grant_id}", "too many requests with this grant"
    await rate_limit.require(serving.counter, key, seconds=seconds, most=limit, detail=detail)
    if proof is not None and not await serving.proofs.first_use(proof):
        await _unproved(serving, REPLAYED, stands, server.origin(request))
    serving.activity.used_at(f"GET {PATH}", stands.principal, key, server.origin(request))
    told = identity_claims(replace(stands, granted=stands.granted & words))
    return json_answer({"sub": stands.subject, **told}, headers={**proving.answer_headers(serving, proof), **_EXPOSED})


def _presented(request: AnyRequest, serving: AuthorizationServer) -> tuple[str, bytes]:
    """Return the scheme and the token of the request; raises OAuthError for none, or one elsewhere than in the header."""
    if params.parse(request.scope["query_string"]).get("access_token") is not None:
        raise invalid_request("send the access token in the Authorization header")
    named, _, token = context.of(request.scope).seen.get(b"authorization", b"").partition(b" ")
    scheme = _SCHEMES.get(named.lower())
    if scheme is None or not token:
        raise _refusal(serving, None, "send an access token as Authorization: Bearer")
    return scheme, token.strip()


async def _sound(serving: AuthorizationServer, scheme: str, token: bytes, came_from: Origin) -> tuple[dict[str, Any], Standing]:
    """Return the claims of the request's sound access token, and where its grant stands; raises OAuthError, Throttled."""
    found = await serving.tokens.read(token, await serving.now())
    if not isinstance(found, Refused):
        claims, stands = found
        audience = claims.get("aud")
        if stands.audiences.intersection(audience if isinstance(audience, list) else [audience]):
            return found
        found = bearer.refused(Reason.WRONG_AUDIENCE, stands)
    await serving.note_refusal(found, came_from)
    raise _refusal(serving, "invalid_token", "the access token is expired, revoked, or not for this endpoint", scheme=scheme)


async def _proved(
    request: AnyRequest, serving: AuthorizationServer, scheme: str, token: bytes, found: tuple[dict[str, Any], Standing]
) -> Proof | None:
    """Return the proof beside a bound token, whose first use is still to be asked, or None for another; raises OAuthError, Throttled."""
    bound = Bound(scheme == dpop.SCHEME, bearer.thumbprint(found[0]))
    if not bound.is_dpop and bound.jkt is None:
        return None
    known = context.of(request.scope)
    judged = serving.proofs.judge_token(token, bound, known.seen.get(b"dpop"), known.method, request.scope["raw_path"].decode("latin-1"))
    if isinstance(judged, Fault):
        await _unproved(serving, judged, found[1], server.origin(request))
    return judged


async def _unproved(serving: AuthorizationServer, fault: Fault, stands: Standing, came_from: Origin) -> NoReturn:
    """Refuse a sound token for its proof, as the API's gate does (RFC 9449 section 7.1)."""
    if fault.reason is Reason.PROOF_NONCE:
        refusal = _refusal(serving, "use_dpop_nonce", fault.detail, scheme=dpop.SCHEME)
        refusal.headers[proving.NONCE_HEADER] = serving.proofs.nonce
        raise refusal
    await serving.note_refusal(bearer.refused(fault.reason, stands), came_from)
    error = "invalid_token" if fault.reason in (Reason.BOUND, Reason.UNBOUND) else "invalid_dpop_proof"
    raise _refusal(serving, error, fault.detail, scheme=dpop.SCHEME)


def _refusal(serving: AuthorizationServer, error: str | None, description: str, *, scheme: str = "Bearer", status: int = 401) -> OAuthError:
    """Make a refusal in the form of RFC 6750 section 3; no `error` in the header where no token was sent."""
    told = f', error="{error}", error_description="{description}"' if error else ""
    metadata = serving.issuer + _RESOURCE_METADATA
    challenge = f'{scheme} realm="latchpin"{told}, scope="{OPENID}", resource_metadata="{metadata}"'
    if error is None:
        challenge += f', DPoP realm="latchpin", {_ALGORITHMS}'
    elif scheme == dpop.SCHEME:
        challenge += f", {_ALGORITHMS}"
    return OAuthError(error or "invalid_token", description, status=status, headers={"WWW-Authenticate": challenge, **_EXPOSED})
