"""The layer in front of the API that turns a header into a principal, or refuses.

Malformed credentials cost no database work. Unknown, malformed, revoked, expired, wrong-network credentials and those of disabled users
get the same response; the audit trail gets the true reason. A credential verified in the current generation costs no database work either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from latchpin.asgi import authorization_header, dpop_proof, refusals
from latchpin.asgi.authorization_header import AUTHORIZATION, ParsedAuthorization
from latchpin.asgi.dpop_proof import ProofRejected
from latchpin.asgi.rate_limit import CALLER, RateLimiter
from latchpin.audit import Origin
from latchpin.errors import BadToken, Denied, LatchpinError, Unauthenticated
from latchpin.identity import dpop, sessions
from latchpin.identity.authentication import RequestCredential, authenticate
from latchpin.identity.dpop import Proof
from latchpin.identity.proofs import REPLAYED
from latchpin.identity.roles import CredentialKind
from latchpin.identity.sessions import SignedInUser
from latchpin.identity.verified import RejectedCredential, RejectionReason, Verified, refusal_of
from latchpin.kit import context, same_origin
from latchpin.kit.rate_limit import ClientGone, count_refusal
from latchpin.services import Services

PRINCIPAL = "latchpin_principal"
SIGNED_IN = "latchpin_signed_in"
_GUARDED = "/api/v1"
_NO_ROUTE = "(no such route)"


class AuthenticationMiddleware:
    """Authenticates everything below /api/v1, and renders the errors that the layers inside it raise."""

    def __init__(self, app: ASGIApp, services: Services, limiter: RateLimiter) -> None:
        self._app = app
        self._services = services
        self._settings = settings = services.settings
        self._limiter = limiter
        self._own_origins = same_origin.own_origins(settings)
        self._cookie = sessions.cookie_name(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its caller, or answer it with a problem document."""
        if scope["type"] != ScopeType.HTTP or not scope["path"].startswith(_GUARDED):
            await self._app(scope, receive, send)
            return
        request = context.of(scope)
        try:
            try:
                authorization: ParsedAuthorization = scope.get(AUTHORIZATION) or authorization_header.read(  # type: ignore[assignment]
                    request.request_headers, scope["query_string"], self._cookie
                )
            except (
                Unauthenticated,
                authorization_header.TwoCredentials,
            ) as error:  # a credential in a wrong place: recorded like any other refused one
                await self._note(_rejection_of(error), request)
                raise
            if authorization.api_key is None and authorization.bearer is None:
                scope[CALLER] = await self._signed_in(authorization, scope, request)  # type: ignore[literal-required]
                await self._app(scope, receive, send)
                return
            caller = await self._caller(authorization, scope, request)
            scope[CALLER] = caller  # type: ignore[literal-required]
            try:
                await self._app(scope, receive, send)
            finally:
                if caller.is_admitted:
                    self._services.activity.used(caller.verified, scope["method"], scope.get("path_template") or _NO_ROUTE, request)
        except LatchpinError as error:
            await refusals.send_refusal(error, scope, send, self._limiter, self._settings.public_url)
        except ClientGone:
            return

    async def _caller(
        self,
        authorization: ParsedAuthorization,
        scope: Any,  # noqa: ANN401  the server's dictionary
        request: context.RequestContext,
    ) -> _CredentialCaller:
        """Return the caller whose valid credential the request presents; raises Unauthenticated, Denied, Throttled, Unavailable."""
        if authorization.api_key is not None:
            credential = RequestCredential(CredentialKind.API_KEY, authorization.api_key)
        else:
            credential = RequestCredential(CredentialKind.ACCESS_TOKEN, authorization.bearer or b"")
            if authorization.is_dpop:
                request.scheme = dpop.SCHEME
        verified = await self.authenticate(credential, request)
        if authorization.origin is not None and authorization.api_key is not None and authorization.origin not in self._own_origins:
            await self._note(refusal_of(verified.principal, RejectionReason.IN_BROWSER), request)
            raise authorization_header.InBrowser
        proof: Proof | None = None
        if verified.jkt is not None or authorization.is_dpop:
            proof_result = dpop_proof.verify(self._services.proofs, verified, authorization, scope, request)
            if isinstance(proof_result, ProofRejected):
                raise await self._reject_proof(proof_result, verified, request)
            proof = proof_result
        return _CredentialCaller(self, scope, request, credential, verified, proof)

    async def use_up(self, proof: Proof, verified: Verified, request: context.RequestContext) -> None:
        """Mark a proof as used; raises BadToken where it was used before."""
        if not await self._services.proofs.first_use(proof):
            raise await self._reject_proof(dpop_proof.proof_rejected(REPLAYED), verified, request)

    async def _reject_proof(self, rejection: ProofRejected, verified: Verified, request: context.RequestContext) -> BadToken:
        """Record why a valid token is refused, and return the error to raise."""
        if rejection.reason is not None:
            await self._note(refusal_of(verified.principal, rejection.reason), request)
        return rejection.error

    async def authenticate(self, credential: RequestCredential, request: context.RequestContext) -> Verified:
        """Return a valid credential, verified; else record the true reason and raise Unauthenticated, or BadToken for a token."""
        result = await authenticate(self._services, credential, request.address)
        if isinstance(result, RejectedCredential):
            await self._note(result, request)
            raise authorization_header.rejection(credential.kind)
        return result

    async def _signed_in(
        self,
        authorization: ParsedAuthorization,
        scope: Any,  # noqa: ANN401  the server's dictionary
        request: context.RequestContext,
    ) -> _SessionCaller:
        """Return the user of the session cookie; other sites cannot use it (SameSite, and the origin is checked here)."""
        if authorization.session is None:
            await self._count_refusal(request)
            raise Unauthenticated(authorization_header.HOW_TO)
        async with self._services.database.read() as session:
            signed_in = await sessions.find(session, authorization.session, self._settings)
        if signed_in is None:
            await self._count_refusal(request)
            raise Unauthenticated("The browser session has ended. Sign in again in the Control Center.")
        if not same_origin.may_change(scope["method"], request.request_headers, self._own_origins):
            raise Denied("This request did not come from the Control Center's own pages.", code="cross_site")
        if signed_in.must_change_password:
            raise Denied("Choose a new password in the Control Center first.", code="password_change_required")
        return _SessionCaller(scope, signed_in)

    async def _note(self, refused: RejectedCredential, request: context.RequestContext) -> None:
        """Record a refused credential with its true reason, for the audit trail; raises Throttled where an address has too many."""
        self._services.activity.refused(refused, Origin(request.address, request.user_agent, request.request_id))
        await self._count_refusal(request)

    async def _count_refusal(self, request: context.RequestContext) -> None:
        """Count refusals by address, to slow guessing down; raises Throttled. Requests with valid credentials are never counted here."""
        await count_refusal(self._services.counter, request.address, self._settings.bad_key_limit)


class _CredentialCaller:
    """The caller of a request with an API key or an access token; implements `rate_limit.Caller`."""

    __slots__ = ("_credential", "_middleware", "_proof", "_request", "_scope", "is_admitted", "limiter_key", "rate_limit", "verified")

    def __init__(
        self,
        middleware: AuthenticationMiddleware,
        scope: Any,  # noqa: ANN401  the server's dictionary
        request: context.RequestContext,
        credential: RequestCredential,
        verified: Verified,
        proof: Proof | None,
    ) -> None:
        self._middleware, self._scope, self._request, self._credential, self._proof = middleware, scope, request, credential, proof
        self.verified = verified
        self.limiter_key, self.rate_limit = verified.limiter_key, verified.rate_limit
        self.is_admitted = False

    async def admit(self, *, waited: bool) -> None:
        """Give the route its principal; only a request within its rate limit uses a DPoP proof up."""
        if waited:  # the credential may have become invalid meanwhile
            self.verified = await self._middleware.authenticate(self._credential, self._request)
        if self._proof is not None:
            await self._middleware.use_up(self._proof, self.verified, self._request)
        self._scope[PRINCIPAL] = self.verified.principal
        self.is_admitted = True


@dataclass(frozen=True, slots=True)
class _SessionCaller:
    """The caller of a request from our own pages; implements `rate_limit.Caller`."""

    scope: Any
    signed_in: SignedInUser
    rate_limit: int | None = None

    @property
    def limiter_key(self) -> str:
        """The key of the session, which has a rate limit of its own."""
        return f"session:{self.signed_in.session_id}"

    async def admit(self, *, waited: bool) -> None:  # noqa: ARG002  of the protocol
        """Give the route its principal."""
        self.scope[PRINCIPAL] = self.signed_in.principal
        self.scope[SIGNED_IN] = self.signed_in


def _rejection_of(error: LatchpinError) -> RejectedCredential:
    """Return the rejection of a credential that was refused before it was read."""
    if isinstance(error, authorization_header.TwoCredentials):
        return RejectedCredential(RejectionReason.TWO)
    if isinstance(error, authorization_header.TokenInAddress):
        return RejectedCredential(RejectionReason.MISPLACED_TOKEN, kind=CredentialKind.ACCESS_TOKEN)
    return RejectedCredential(RejectionReason.MISPLACED)
