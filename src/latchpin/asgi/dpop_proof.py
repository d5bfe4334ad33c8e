"""Proof of possession at the API (RFC 9449 section 7): required for tokens that are bound to a key, and only for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latchpin.asgi.authorization_header import ParsedAuthorization
from latchpin.errors import BadProof, BadToken
from latchpin.identity import dpop
from latchpin.identity.dpop import Proof, ProofError
from latchpin.identity.proofs import ProofVerifier, TokenBinding
from latchpin.identity.verified import RejectionReason, Verified
from latchpin.kit.context import RequestContext

NONCE_HEADER = b"dpop-nonce"
_OF_TOKEN = frozenset({RejectionReason.BOUND, RejectionReason.UNBOUND})


@dataclass(frozen=True, slots=True)
class ProofRejected:
    """The refusal of a valid token, with the error for the caller; `reason` is None where only the nonce is missing or too old."""

    error: BadToken
    reason: RejectionReason | None


def verify(
    proofs: ProofVerifier,
    verified: Verified,
    authorization: ParsedAuthorization,
    scope: Any,  # noqa: ANN401  the server's dictionary
    request: RequestContext,
) -> Proof | ProofRejected:
    """Check the proof for a token that is bound or was sent as DPoP; the caller still has to check that the proof is used only once.

    Adds a new nonce to the response where the client needs one.
    """
    request.scheme = dpop.SCHEME
    binding = TokenBinding(authorization.is_dpop, verified.jkt)
    path = scope["raw_path"].decode("latin-1")
    result = proofs.verify_for_token(authorization.bearer or b"", binding, request.request_headers.get(b"dpop"), scope["method"], path)
    if isinstance(result, ProofError):
        if result.reason is RejectionReason.PROOF_NONCE:
            request.headers.append((NONCE_HEADER, proofs.nonce.encode()))
        return proof_rejected(result)
    if (nonce := proofs.next_nonce(result)) is not None:
        request.headers.append((NONCE_HEADER, nonce.encode()))
    return result


def proof_rejected(error: ProofError) -> ProofRejected:
    """Return the refusal with the error that tells the caller what is wrong."""
    if error.reason in _OF_TOKEN:
        return ProofRejected(BadToken(f"The access token was not accepted: {error.detail}."), error.reason)
    if error.reason is RejectionReason.PROOF_NONCE:
        return ProofRejected(BadProof(f"The DPoP proof lacks a nonce of ours: {error.detail}.", code="use_dpop_nonce"), None)
    return ProofRejected(BadProof(f"The DPoP proof was not accepted: {error.detail}."), error.reason)
