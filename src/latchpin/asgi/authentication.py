"""The layer in front of the API that turns a header into a principal, or refuses.

Junk costs no database work. Unknown, malformed, revoked, expired, wrong-network credentials and those of disabled users get one and the
same answer; the audit trail gets the true reason. What was verified under the present generation costs no database work either.
"""

from __future__ import annotations

from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from latchpin.asgi import authorization_header, cors, dpop_proof, problems
from latchpin.asgi.authorization_header import ParsedAuthorization
from latchpin.asgi.dpop_proof import ProofRejected
from latchpin.asgi.rate_limit import RateLimiter
from latchpin.audit import Origin
from latchpin.errors import BadToken, Denied, LatchpinError, Unauthenticated
from latchpin.identity import dpop, sessions
from latchpin.identity.authentication import RequestCredential, authenticate
from latchpin.identity.dpop import Proof
from latchpin.identity.proofs import REPLAYED
from latchpin.identity.roles import CredentialKind
from latchpin.identity.verified import RejectedCredential, RejectionReason, Verified, refusal_of
from latchpin.kit import client_subnet, context, same_origin
from latchpin.kit.rate_limit import ClientGone, count_refusal
from latchpin.services import Services

PRINCIPAL = "latchpin_principal"
SIGNED_IN = "latchpin_signed_in"
_BODYLESS = frozenset({"GET", "HEAD"})
_GUARDED = "/api/v1"
_NO_ROUTE = "(no such route)"


class AuthenticationMiddleware:
    """Authenticates everything below /api/v1 and limits its rate."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._settings = settings = services.settings
        self._limiter = RateLimiter(services.counter, settings)
        self._own_origins = same_origin.own_origins(settings)
        self._cookie = sessions.cookie_name(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through with its principal, or answer it with a problem document."""
        if scope["type"] != ScopeType.HTTP or not scope["path"].startswith(_GUARDED):
            await self._app(scope, receive, send)
            return
        request = context.of(scope)
        watched = receive if scope["method"] in _BODYLESS else None
        try:
            try:
                authorization = authorization_header.read(request.seen, scope["query_string"], self._cookie)
            except (
                Unauthenticated,
                authorization_header.TwoCredentials,
            ) as error:  # in a wrong place: noted like any other that is refused
                await self._note(_misused(error), request)
                raise
            if scope["method"] == "OPTIONS" and authorization.origin is not None:
                await self._preflight(request, send)
                return
            if authorization.api_key is None and authorization.bearer is None:
                await self._with_session(authorization, scope, request, watched)
                await self._app(scope, receive, send)
                return
            verified = await self._verified(authorization, scope, request, watched)
            scope[PRINCIPAL] = verified.principal  # type: ignore[literal-required]
            try:
                await self._app(scope, receive, send)
            finally:
                self._services.activity.used(verified, scope["method"], scope.get("path_template") or _NO_ROUTE, request)
        except LatchpinError as error:
            await self._answer(error, scope, request, send)
        except ClientGone:
            return

    async def _preflight(self, request: context.RequestContext, send: Send) -> None:
        """Answer a browser's question whether another site's page may call with a token (Fetch, CORS preflight). Cookies are never let."""
        await self._limiter.count(f"preflight:{client_subnet.of(request.address)}", None, request, None)
        await cors.answer_preflight(send)

    async def _verified(
        self,
        authorization: ParsedAuthorization,
        scope: Any,  # noqa: ANN401  the server's dictionary
        request: context.RequestContext,
        watched: Receive | None,
    ) -> Verified:
        """Return the sound credential of a request, counted against its limit; raises Unauthenticated, Denied, Throttled, Unavailable."""
        if authorization.api_key is not None:
            credential = RequestCredential(CredentialKind.API_KEY, authorization.api_key)
        else:
            credential = RequestCredential(CredentialKind.ACCESS_TOKEN, authorization.bearer or b"")
            if authorization.is_dpop:
                request.scheme = dpop.SCHEME
            if authorization.origin is not None:
                request.headers += cors.READABLE  # a token may be used by another site's page, and its script read the answer
        verified = await self._authenticated(credential, request)
        if authorization.origin is not None and authorization.api_key is not None and authorization.origin not in self._own_origins:
            await self._note(refusal_of(verified.principal, RejectionReason.IN_BROWSER), request)
            raise authorization_header.InBrowser
        proof: Proof | None = None
        if verified.jkt is not None or authorization.is_dpop:
            judged = dpop_proof.verify(self._services.proofs, verified, authorization, scope, request)
            if isinstance(judged, ProofRejected):
                raise await self._unproved(judged, verified, request)
            proof = judged
        request.limiter_key = verified.limiter_key
        if await self._limiter.count(verified.limiter_key, verified.rate_limit, request, watched):
            verified = await self._authenticated(credential, request)  # it waited, and what was true before may not be any more
        if proof is not None and not await self._services.proofs.first_use(proof):
            raise await self._unproved(dpop_proof.proof_rejected(REPLAYED), verified, request)
        return verified

    async def _unproved(self, rejection: ProofRejected, verified: Verified, request: context.RequestContext) -> BadToken:
        """Note why a sound token does not count, and return what to raise."""
        if rejection.reason is not None:
            await self._note(refusal_of(verified.principal, rejection.reason), request)
        return rejection.error

    async def _authenticated(self, credential: RequestCredential, request: context.RequestContext) -> Verified:
        """Return the credential where it is sound; else notes the true reason and raises Unauthenticated, or BadToken for a token."""
        result = await authenticate(self._services, credential, request.address)
        if isinstance(result, RejectedCredential):
            await self._note(result, request)
            raise authorization_header.rejection(credential.kind)
        return result

    async def _with_session(
        self,
        authorization: ParsedAuthorization,
        scope: Any,  # noqa: ANN401  the server's dictionary
        request: context.RequestContext,
        watched: Receive | None,
    ) -> None:
        """Admit a signed-in browser of our own pages; no other site may use the cookie (SameSite, and the origin checked here)."""
        if authorization.session is None:
            await self._count_refusal(request)
            raise Unauthenticated(authorization_header.HOW_TO)
        async with self._services.database.read() as session:
            signed_in = await sessions.find(session, authorization.session, self._settings)
        if signed_in is None:
            await self._count_refusal(request)
            raise Unauthenticated("The browser session has ended. Sign in again in the Control Center.")
        if not same_origin.may_change(scope["method"], request.seen, self._own_origins):
            raise Denied("This request did not come from the Control Center's own pages.", code="cross_site")
        if signed_in.must_change_password:
            raise Denied("Choose a new password in the Control Center first.", code="password_change_required")
        request.limiter_key = f"session:{signed_in.session_id}"
        await self._limiter.count(request.limiter_key, None, request, watched)
        scope[PRINCIPAL] = signed_in.principal
        scope[SIGNED_IN] = signed_in

    async def _note(self, refused: RejectedCredential, request: context.RequestContext) -> None:
        """Note a refused credential with its true reason, for the audit trail; raises Throttled where an address has too many."""
        self._services.activity.refused(refused, Origin(request.address, request.user_agent, request.request_id))
        await self._count_refusal(request)

    async def _count_refusal(self, request: context.RequestContext) -> None:
        """Slow the guessing of credentials by address; a good credential never comes here."""
        await count_refusal(self._services.counter, request.address, self._settings.bad_key_limit)

    async def _answer(self, error: LatchpinError, scope: Any, request: context.RequestContext, send: Send) -> None:  # noqa: ANN401  as above
        public_url = self._settings.public_url
        response = problems.of_error(
            error, instance=scope["path"], public_url=public_url, request_id=request.request_id, scheme=request.scheme
        )
        headers = response.headers
        if not self._limiter.has_told(request):
            headers = [*headers, *self._limiter.usual]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body, "more_body": False})


def _misused(error: LatchpinError) -> RejectedCredential:
    """Make the refusal of a credential that was not even read."""
    if isinstance(error, authorization_header.TwoCredentials):
        return RejectedCredential(RejectionReason.TWO)
    if isinstance(error, authorization_header.TokenInAddress):
        return RejectedCredential(RejectionReason.MISPLACED_TOKEN, kind=CredentialKind.ACCESS_TOKEN)
    return RejectedCredential(RejectionReason.MISPLACED)
