"""Verifies DPoP proofs for a deployment: with a nonce that it issued, and each proof once (RFC 9449 sections 8, 9 and 11.1).

A nonce is not stored: it is a MAC of the present five minutes under a key that all processes derive, so all have the same.
A used proof is stored where every process sees it (`used_proofs`).
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from latchpin.identity import dpop
from latchpin.identity.dpop import Proof, ProofError, ProofRequirements
from latchpin.identity.used_proofs import UsedProofs
from latchpin.identity.verified import RejectionReason
from latchpin.kit import clock
from latchpin.settings import Settings
from latchpin.storage import Database
from latchpin.storage.secrets import Secrets

NONCE_SECONDS = 300
# A proof is valid for a minute after its `iat`, by the clock of the node that checks it; another node's may be a minute behind.
REPLAY_SECONDS = 2 * dpop.WINDOW_SECONDS
_HOW_TO = "send it as Authorization: DPoP, with a proof of that key in the header DPoP (RFC 9449)"
REPLAYED = ProofError(RejectionReason.PROOF_REPLAYED, "it was used before; make another one, with another jti, for each request")


@dataclass(frozen=True, slots=True)
class TokenBinding:
    """The scheme with which a token was sent, and the thumbprint of the key that it is bound to."""

    is_dpop: bool
    jkt: str | None


class ProofVerifier:
    """Verifies proofs for one process; `used` must be run, so that it removes expired ones."""

    def __init__(self, database: Database, secrets: Secrets, settings: Settings) -> None:
        self.used = UsedProofs(database)
        self._key = secrets.derive("dpop-nonce")
        self._public_url = settings.public_url
        self._wants_nonce = settings.dpop_nonce == "required"

    def verify(self, presented: bytes, method: str, path: str) -> Proof | ProofError:
        """Verify a DPoP header of a request for a bound token. A proof is valid once: call `first_use` after all other checks.

        `path` is as it was sent, still escaped; it belongs to our public address, never to the request's Host header.
        """
        return self._verify(presented, ProofRequirements(method, self._public_url + path), None)

    def verify_for_token(self, token: bytes, bound: TokenBinding, presented: bytes | None, method: str, path: str) -> Proof | ProofError:
        """Verify the DPoP header of a request with a valid token that is bound, or was sent as bound (section 7.1). Else like `verify`."""
        if not bound.is_dpop:
            return ProofError(RejectionReason.BOUND, f"it is bound to a key of its client; {_HOW_TO}")
        if bound.jkt is None:
            return ProofError(
                RejectionReason.UNBOUND, "it is bound to no key; send it as Authorization: Bearer, or get one with a DPoP proof"
            )
        if presented is None:
            return ProofError(RejectionReason.PROOF_MISSING, f"there is none; {_HOW_TO}")
        return self._verify(presented, ProofRequirements(method, self._public_url + path, token), bound.jkt)

    def _verify(self, presented: bytes, requirements: ProofRequirements, jkt: str | None) -> Proof | ProofError:
        """Check the nonce last, so that only the holder of the key is asked to use another."""
        proof = dpop.verify(presented, requirements)
        if isinstance(proof, ProofError):
            return proof
        if jkt is not None and proof.jkt != jkt:
            return ProofError(RejectionReason.PROOF_OTHER_KEY, "it is of another key than the access token is bound to")
        if self._wants_nonce and proof.nonce not in self._nonces():
            return ProofError(RejectionReason.PROOF_NONCE, "make the proof again, with the nonce in the header DPoP-Nonce")
        return proof

    async def first_use(self, proof: Proof) -> bool:
        """Mark a proof as used; False where it was used before, in this or another process. Raises Unavailable."""
        digest = sha256(f"proof|{proof.jkt}|{proof.jti}".encode(errors="surrogatepass")).digest()
        until = datetime.fromtimestamp(proof.iat, UTC) + timedelta(seconds=REPLAY_SECONDS)
        return await self.used.take(digest, until=until)

    @property
    def nonce(self) -> str:
        """The nonce to issue now; it is accepted for five to ten minutes."""
        return self._of_step(self._step())

    def next_nonce(self, proof: Proof) -> str | None:
        """Return the nonce for the next proof where it differs from this one's, else None (section 8.2)."""
        return self.nonce if self._wants_nonce and proof.nonce != self.nonce else None

    def _nonces(self) -> tuple[str, str]:
        step = self._step()
        return self._of_step(step), self._of_step(step - 1)

    def _step(self) -> int:
        return int(clock.timestamp() // NONCE_SECONDS)

    def _of_step(self, step: int) -> str:
        return base64.urlsafe_b64encode(hmac.digest(self._key, str(step).encode(), "sha256")[:18]).decode()
