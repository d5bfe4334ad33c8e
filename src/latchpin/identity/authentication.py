"""From the credential of a request to a principal: one question for API keys and access tokens, and one look at what is known already."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from latchpin.identity.api_key_verifier import ApiKeyVerifier
from latchpin.identity.bearer import AccessTokenVerifier
from latchpin.identity.roles import CredentialKind
from latchpin.identity.verified import RejectedCredential, RejectionReason, Verified, refusal_of
from latchpin.storage.generation import Generation


@dataclass(slots=True)
class RequestCredential:
    """What a request brings: an API key, or what says that it is an access token."""

    kind: CredentialKind
    secret: bytes = field(repr=False)


class Verifiers(Protocol):
    """What this needs of a deployment."""

    @property
    def generation(self) -> Generation:
        """The number that rises with every change that can narrow somebody's right."""

    @property
    def keys(self) -> ApiKeyVerifier:
        """Verifies API keys."""

    @property
    def tokens(self) -> AccessTokenVerifier:
        """Verifies access tokens."""


async def authenticate(verifiers: Verifiers, credential: RequestCredential, address: str | None) -> Verified | RejectedCredential:
    """Return the credential where it is sound at this moment and from this address, else why it is not. Raises Unavailable.

    The generation is read before anything is looked up, which strict revocation rests on. Junk costs no question to the database.
    """
    store = verifiers.keys if credential.kind is CredentialKind.API_KEY else verifiers.tokens
    generation = verifiers.generation.current_nowait()
    if generation is None:
        if malformed := store.malformed(credential.secret):
            return malformed
        generation = await verifiers.generation.current()
    result = store.cached(credential.secret, generation) or await store.look_up(credential.secret, generation)
    if isinstance(result, Verified) and result.networks and not result.admits(address):
        return refusal_of(result.principal, RejectionReason.WRONG_NETWORK)
    return result
