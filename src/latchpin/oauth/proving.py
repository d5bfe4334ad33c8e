"""A client's proof of its key at our endpoints (RFC 9449 sections 5 and 8): tokens that it gets are bound to that key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from latchpin.audit import Origin
from latchpin.identity.dpop import Fault, Proof
from latchpin.identity.proofs import REPLAYED
from latchpin.identity.roles import CredentialKind
from latchpin.identity.verified import Reason, Refused
from latchpin.kit import context
from latchpin.oauth.clients import Client
from latchpin.oauth.errors import OAuthError
from latchpin.oauth.params import Params
from latchpin.oauth.server import AnyRequest, AuthorizationServer
from latchpin.storage.models import OAuthGrant

NONCE_HEADER = "DPoP-Nonce"
_EXPOSED = {"Access-Control-Expose-Headers": NONCE_HEADER}


def judge(request: AnyRequest, serving: AuthorizationServer) -> Proof | Fault | None:
    """Judge the request's DPoP header, where it has one; whether it is used for the first time is for `settle`.

    Raises OAuthError `use_dpop_nonce`. Ask before the client is proved: what is asked for once more must not have used anything up.
    """
    presented = context.of(request.scope).seen.get(b"dpop")
    if presented is None:
        return None
    judged = serving.proofs.judge(presented, request.method, request.scope["raw_path"].decode("latin-1"))
    if isinstance(judged, Fault) and judged.reason is Reason.PROOF_NONCE:
        raise OAuthError("use_dpop_nonce", judged.detail, headers={NONCE_HEADER: serving.proofs.nonce, **_EXPOSED})
    return judged


async def settle(serving: AuthorizationServer, client: Client, judged: Proof | Fault | None, came_from: Origin) -> str | None:
    """Return the thumbprint of the key that a client proved, None where it proved none and need not; uses the proof up.

    Raises OAuthError `invalid_dpop_proof`, and Throttled where an address is refused too often. Notes refusals with the client's name.
    """
    if judged is None:
        if client.dpop_bound:
            judged = Fault(Reason.PROOF_MISSING, "there is none, and this client must send one (dpop_bound_access_tokens)")
        else:
            return None
    if isinstance(judged, Proof):
        if await serving.proofs.first_use(judged):
            return judged.jkt
        judged = REPLAYED
    raise await _refused(serving, client, judged, came_from)


async def bound_ahead(
    serving: AuthorizationServer, client: Client, params: Params, judged: Proof | Fault | None, came_from: Origin
) -> Params:
    """Return the parameters of a request that is sent ahead, its code bound to the key that was proved with it (section 10.1).

    Raises OAuthError where a proof does not count, or `dpop_jkt` names another key. Without a proof nothing is changed.
    """
    if judged is None:
        return params
    jkt, named = await settle(serving, client, judged, came_from), params.get("dpop_jkt")
    if named not in (None, jkt):
        raise await _refused(serving, client, Fault(Reason.PROOF_OTHER_KEY, "it is of another key than dpop_jkt names"), came_from)
    return replace(params, values=params.values | {"dpop_jkt": str(jkt)})


async def refusal_of(
    serving: AuthorizationServer, client: Client, bound: str | None, proved: str | None, came_from: Origin
) -> OAuthError | None:
    """Return the refusal where a code or refresh token is bound to another key than the client proved, else None; raises Throttled.

    Ask before anything of it is used up: who holds it without its key is a thief, and must not be able to spoil it.
    """
    if bound is None or bound == proved:
        return None
    if proved is None:
        return await _refused(serving, client, Fault(Reason.PROOF_MISSING, "there is none, and what was sent is bound to a key"), came_from)
    fault = Fault(Reason.PROOF_OTHER_KEY, "it is of another key than what was sent is bound to")
    return await _refused(serving, client, fault, came_from, error="invalid_grant")


def bind(client: Client, grant: OAuthGrant, jkt: str | None) -> None:
    """Bind the refresh tokens of a public client's grant to the key that it proved (section 5), from this answer on and for good.

    Those of a confidential client are bound to its credential, so that it may change its keys.
    """
    if client.is_public and grant.dpop_jkt is None:
        grant.dpop_jkt = jkt


async def _refused(
    serving: AuthorizationServer, client: Client, fault: Fault, came_from: Origin, *, error: str = "invalid_dpop_proof"
) -> OAuthError:
    """Note why a client's proof does not count, and return the refusal; raises Throttled."""
    noted = Refused(fault.reason, client.organization_id, id=client.pk, name=client.name, kind=CredentialKind.CLIENT)
    await serving.note_refusal(noted, came_from)
    return OAuthError(error, f"the DPoP proof was not accepted: {fault.detail}")


def answer_headers(serving: AuthorizationServer, judged: Proof | Fault | None) -> Mapping[str, str]:
    """Return the headers of a sound answer: the next nonce, where the client needs another (section 8.2)."""
    nonce = serving.proofs.next_nonce(judged) if isinstance(judged, Proof) else None
    return {} if nonce is None else {NONCE_HEADER: nonce, **_EXPOSED}
