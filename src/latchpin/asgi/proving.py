"""Proof of possession at the gate (RFC 9449 section 7): asked of tokens that are bound to a key, and of those only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latchpin.asgi.presented import Presented
from latchpin.errors import BadProof, BadToken
from latchpin.identity import dpop
from latchpin.identity.dpop import Fault, Proof
from latchpin.identity.proofs import Bound, Proofs
from latchpin.identity.verified import Reason, Verified
from latchpin.kit.context import RequestContext

NONCE_HEADER = b"dpop-nonce"
_OF_TOKEN = frozenset({Reason.BOUND, Reason.UNBOUND})


@dataclass(frozen=True, slots=True)
class Unproved:
    """A sound token that does not count, with what the caller is told; no `reason` where nothing is wrong but the nonce's age."""

    error: BadToken
    reason: Reason | None


def judge(proofs: Proofs, verified: Verified, found: Presented, scope: Any, request: RequestContext) -> Proof | Unproved:  # noqa: ANN401
    """Check what comes with a token that is bound or says so; whether a proof is used for the first time is still to be asked.

    Puts a nonce into the answer where the client needs another.
    """
    request.scheme = dpop.SCHEME
    bound = Bound(found.is_dpop, verified.jkt)
    path = scope["raw_path"].decode("latin-1")
    judged = proofs.judge_token(found.bearer or b"", bound, request.seen.get(b"dpop"), scope["method"], path)
    if isinstance(judged, Fault):
        if judged.reason is Reason.PROOF_NONCE:
            request.headers.append((NONCE_HEADER, proofs.nonce.encode()))
        return unproved(judged)
    if (nonce := proofs.next_nonce(judged)) is not None:
        request.headers.append((NONCE_HEADER, nonce.encode()))
    return judged


def unproved(fault: Fault) -> Unproved:
    """Say to the caller what is wrong."""
    if fault.reason in _OF_TOKEN:
        return Unproved(BadToken(f"The access token was not accepted: {fault.detail}."), fault.reason)
    if fault.reason is Reason.PROOF_NONCE:
        return Unproved(BadProof(f"The DPoP proof lacks a nonce of ours: {fault.detail}.", code="use_dpop_nonce"), None)
    return Unproved(BadProof(f"The DPoP proof was not accepted: {fault.detail}."), fault.reason)
