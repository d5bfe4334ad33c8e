"""The userinfo endpoint (OpenID Connect Core section 5.3): who signed in, for an app that was granted `openid`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

from litestar import Response, get, post, route
from litestar.enums import HttpMethod

from latchpin.audit import Origin
from latchpin.identity import bearer, dpop
from latchpin.identity.active_grant import ActiveGrant
from latchpin.identity.dpop import Proof, ProofError
from latchpin.identity.proofs import REPLAYED, TokenBinding
from latchpin.identity.scopes import OPENID
from latchpin.identity.tokens import identity_claims
from latchpin.identity.verified import RejectedCredential, RejectionReason
from latchpin.kit import context, rate_limit
from latchpin.oauth import authorization_server, dpop_binding, params
from latchpin.oauth.authorization_server import AnyRequest, AuthorizationServer
from latchpin.oauth.endpoints.responses import json_response, preflight
from latchpin.oauth.errors import OAuthError, invalid_request

PATH = "/api/oauth/userinfo"
_RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
_EXPOSED = {"Access-Control-Expose-Headers": "WWW-Authenticate, DPoP-Nonce"}
_SCHEMES = {b"bearer": "Bearer", b"dpop": dpop.SCHEME}
_ALGORITHMS = f'algs="{" ".join(dpop.ALGORITHMS)}"'


@get(PATH)
async def userinfo(request: AnyRequest) -> Response[bytes]:
    """Return claims about the user of an access token."""
    return await _response(request)


@post(PATH, status_code=200)
async def userinfo_by_post(request: AnyRequest) -> Response[bytes]:
    """Return the same; the token is sent in the header here too, never in the form (RFC 9700 section 4.3.2)."""
    body = await request.body()
    if body and params.form(request.headers.get("content-type", ""), body).get("access_token") is not None:
        raise invalid_request("send the access token in the Authorization header")
    return await _response(request)


@route(PATH, http_method=[HttpMethod.OPTIONS])
async def userinfo_preflight() -> Response[bytes]:
    """Let other sites' pages ask."""
    return preflight("GET, POST")


async def _response(request: AnyRequest) -> Response[bytes]:
    server = authorization_server.of(request)
    scheme, token = _token(request, server)
    claims_and_grant = await _verify(server, scheme, token, authorization_server.origin_of(request))
    proof = await _verify_proof(request, server, scheme, token, claims_and_grant)
    words, active = frozenset(str(claims_and_grant[0].get("scope", "")).split()), claims_and_grant[1]
    if OPENID not in words:
        limiter_key = f"grant:{active.grant_id}"
        server.activity.used_at(f"GET {PATH}", active.principal, limiter_key, authorization_server.origin_of(request), lacking=OPENID)
        raise _refusal(server, "insufficient_scope", "the scope openid is needed", scheme=scheme, status=403)
    limit, seconds = server.settings.rate_limit, server.settings.rate_limit_window_seconds
    key, detail = f"grant:{active.grant_id}", "too many requests with this grant"
    await rate_limit.require(server.counter, key, seconds=seconds, most=limit, detail=detail)
    if proof is not None and not await server.proofs.first_use(proof):
        await _proof_rejection(server, REPLAYED, active, authorization_server.origin_of(request))
    server.activity.used_at(f"GET {PATH}", active.principal, key, authorization_server.origin_of(request))
    claims = identity_claims(replace(active, granted=active.granted & words))
    return json_response({"sub": active.subject, **claims}, headers={**dpop_binding.response_headers(server, proof), **_EXPOSED})


def _token(request: AnyRequest, server: AuthorizationServer) -> tuple[str, bytes]:
    """Return the scheme and the token of the request; raises OAuthError for none, or one elsewhere than in the header."""
    if params.parse(request.scope["query_string"]).get("access_token") is not None:
        raise invalid_request("send the access token in the Authorization header")
    scheme_name, _, token = context.of(request.scope).request_headers.get(b"authorization", b"").partition(b" ")
    scheme = _SCHEMES.get(scheme_name.lower())
    if scheme is None or not token:
        raise _refusal(server, None, "send an access token as Authorization: Bearer")
    return scheme, token.strip()


async def _verify(server: AuthorizationServer, scheme: str, token: bytes, origin: Origin) -> tuple[dict[str, Any], ActiveGrant]:
    """Return the claims of the request's valid access token, and the state of its grant; raises OAuthError, Throttled."""
    result = await server.tokens.read(token, await server.now())
    if not isinstance(result, RejectedCredential):
        claims, active = result
        audience = claims.get("aud")
        if active.audiences.intersection(audience if isinstance(audience, list) else [audience]):
            return result
        result = bearer.rejected(RejectionReason.WRONG_AUDIENCE, active)
    await server.note_refusal(result, origin)
    raise _refusal(server, "invalid_token", "the access token is expired, revoked, or not for this endpoint", scheme=scheme)


async def _verify_proof(
    request: AnyRequest, server: AuthorizationServer, scheme: str, token: bytes, claims_and_grant: tuple[dict[str, Any], ActiveGrant]
) -> Proof | None:
    """Return the proof for a bound token, its first use not yet checked, or None for a bearer token; raises OAuthError, Throttled."""
    bound = TokenBinding(scheme == dpop.SCHEME, bearer.thumbprint(claims_and_grant[0]))
    if not bound.is_dpop and bound.jkt is None:
        return None
    request_context = context.of(request.scope)
    proof = server.proofs.verify_for_token(
        token, bound, request_context.request_headers.get(b"dpop"), request_context.method, request.scope["raw_path"].decode("latin-1")
    )
    if isinstance(proof, ProofError):
        await _proof_rejection(server, proof, claims_and_grant[1], authorization_server.origin_of(request))
    return proof


async def _proof_rejection(server: AuthorizationServer, proof_error: ProofError, active: ActiveGrant, origin: Origin) -> NoReturn:
    """Refuse a valid token because of its proof, as the API's authentication does (RFC 9449 section 7.1)."""
    if proof_error.reason is RejectionReason.PROOF_NONCE:
        refusal = _refusal(server, "use_dpop_nonce", proof_error.detail, scheme=dpop.SCHEME)
        refusal.headers[dpop_binding.NONCE_HEADER] = server.proofs.nonce
        raise refusal
    await server.note_refusal(bearer.rejected(proof_error.reason, active), origin)
    error = "invalid_token" if proof_error.reason in (RejectionReason.BOUND, RejectionReason.UNBOUND) else "invalid_dpop_proof"
    raise _refusal(server, error, proof_error.detail, scheme=dpop.SCHEME)


def _refusal(server: AuthorizationServer, error: str | None, description: str, *, scheme: str = "Bearer", status: int = 401) -> OAuthError:
    """Make a refusal in the form of RFC 6750 section 3; no `error` in the header where no token was sent."""
    error_params = f', error="{error}", error_description="{description}"' if error else ""
    metadata = server.issuer + _RESOURCE_METADATA
    challenge = f'{scheme} realm="latchpin"{error_params}, scope="{OPENID}", resource_metadata="{metadata}"'
    if error is None:
        challenge += f', DPoP realm="latchpin", {_ALGORITHMS}'
    elif scheme == dpop.SCHEME:
        challenge += f", {_ALGORITHMS}"
    return OAuthError(error or "invalid_token", description, status=status, headers={"WWW-Authenticate": challenge, **_EXPOSED})
