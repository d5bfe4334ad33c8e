"""Check Latchpin's access tokens in your own API, offline, with the issuer's address alone.

    verifier = Verifier("https://latchpin.example", audience="https://api.partner.example")
    token = verifier.verify(text)          # raises InvalidToken
    token.require_scope("agents:read")     # raises InsufficientScope

Needs joserfc and httpx besides the standard library, and nothing else of Latchpin: this package can be copied out.
"""

from __future__ import annotations

from latchpin.verify.errors import (
    InsufficientScope,
    InvalidProof,
    InvalidRequest,
    InvalidToken,
    IssuerUnreachable,
    MissingToken,
    VerificationError,
)
from latchpin.verify.introspection import Introspector
from latchpin.verify.middleware import RequireToken
from latchpin.verify.proof import Proof, Proofs
from latchpin.verify.token import SpaceRole, Token
from latchpin.verify.verifier import Verifier

__all__ = [
    "InsufficientScope",
    "Introspector",
    "InvalidProof",
    "InvalidRequest",
    "InvalidToken",
    "IssuerUnreachable",
    "MissingToken",
    "Proof",
    "Proofs",
    "RequireToken",
    "SpaceRole",
    "Token",
    "VerificationError",
    "Verifier",
]
