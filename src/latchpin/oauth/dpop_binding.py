"""A client's proof of its key at our endpoints (RFC 9449 sections 5 and 8): tokens that it gets are bound to that key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from latchpin.audit import Origin
from latchpin.identity.dpop import Proof, ProofError
from latchpin.identity.proofs import REPLAYED
from latchpin.identity.roles import CredentialKind
from latchpin.identity.verified import RejectedCredential, RejectionReason
from latchpin.kit import context
from latchpin.oauth.authorization_server import AnyRequest, AuthorizationServer
from latchpin.oauth.clients import Client
from latchpin.oauth.errors import OAuthError
from latchpin.oauth.params import Params
from latchpin.storage.models import OAuthGrant

NONCE_HEADER = "DPoP-Nonce"
_EXPOSED = {"Access-Control-Expose-Headers": NONCE_HEADER}


def verify(request: AnyRequest, server: AuthorizationServer) -> Proof | ProofError | None:
    """Verify the request's DPoP header, where it has one; `use_proof` checks whether it is used for the first time.

    Raises OAuthError `use_dpop_nonce`. Call it before client authentication: a request that must be repeated must not use anything up.
    """
    header = context.of(request.scope).request_headers.get(b"dpop")
    if header is None:
        return None
    proof = server.proofs.verify(header, request.method, request.scope["raw_path"].decode("latin-1"))
    if isinstance(proof, ProofError) and proof.reason is RejectionReason.PROOF_NONCE:
        raise OAuthError("use_dpop_nonce", proof.detail, headers={NONCE_HEADER: server.proofs.nonce, **_EXPOSED})
    return proof


async def use_proof(server: AuthorizationServer, client: Client, proof: Proof | ProofError | None, origin: Origin) -> str | None:
    """Return the thumbprint of the key of a client's proof, None where it sent none and need not; uses the proof up.

    Raises OAuthError `invalid_dpop_proof`, and Throttled where an address is refused too often. Notes refusals with the client's name.
    """
    if proof is None:
        if client.dpop_bound:
            proof = ProofError(RejectionReason.PROOF_MISSING, "there is none, and this client must send one (dpop_bound_access_tokens)")
        else:
            return None
    if isinstance(proof, Proof):
        if await server.proofs.first_use(proof):
            return proof.jkt
        proof = REPLAYED
    raise await _rejection(server, client, proof, origin)


async def bind_pushed(
    server: AuthorizationServer, client: Client, params: Params, proof: Proof | ProofError | None, origin: Origin
) -> Params:
    """Return the parameters of a pushed request, with its code bound to the key of its proof (section 10.1).

    Raises OAuthError where a proof is invalid, or `dpop_jkt` names another key. Without a proof nothing is changed.
    """
    if proof is None:
        return params
    jkt, dpop_jkt = await use_proof(server, client, proof, origin), params.get("dpop_jkt")
    if dpop_jkt not in (None, jkt):
        raise await _rejection(
            server, client, ProofError(RejectionReason.PROOF_OTHER_KEY, "it is of another key than dpop_jkt names"), origin
        )
    return replace(params, values=params.values | {"dpop_jkt": str(jkt)})


async def refusal_of(server: AuthorizationServer, client: Client, bound: str | None, jkt: str | None, origin: Origin) -> OAuthError | None:
    """Return the error where a code or refresh token is bound to another key than that of the proof, else None; raises Throttled.

    Call it before the code or token is used up: a thief without the key must not be able to invalidate it.
    """
    if bound is None or bound == jkt:
        return None
    if jkt is None:
        return await _rejection(
            server, client, ProofError(RejectionReason.PROOF_MISSING, "there is none, and what was sent is bound to a key"), origin
        )
    proof_error = ProofError(RejectionReason.PROOF_OTHER_KEY, "it is of another key than what was sent is bound to")
    return await _rejection(server, client, proof_error, origin, error="invalid_grant")


def bind(client: Client, grant: OAuthGrant, jkt: str | None) -> None:
    """Bind the refresh tokens of a public client's grant to the key of its proof (section 5), from this response on, permanently.

    Those of a confidential client are bound to its credential, so that it may change its keys.
    """
    if client.is_public and grant.dpop_jkt is None:
        grant.dpop_jkt = jkt


async def _rejection(
    server: AuthorizationServer, client: Client, proof_error: ProofError, origin: Origin, *, error: str = "invalid_dpop_proof"
) -> OAuthError:
    """Record why a client's proof is invalid, and return the error; raises Throttled."""
    rejected_credential = RejectedCredential(
        proof_error.reason, client.organization_id, id=client.pk, name=client.name, kind=CredentialKind.CLIENT
    )
    await server.note_refusal(rejected_credential, origin)
    return OAuthError(error, f"the DPoP proof was not accepted: {proof_error.detail}")


def response_headers(server: AuthorizationServer, proof: Proof | ProofError | None) -> Mapping[str, str]:
    """Return the headers of a successful response: the next nonce, where the client needs another (section 8.2)."""
    nonce = server.proofs.next_nonce(proof) if isinstance(proof, Proof) else None
    return {} if nonce is None else {NONCE_HEADER: nonce, **_EXPOSED}
