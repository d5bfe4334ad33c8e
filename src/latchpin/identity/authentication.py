"""From the credential of a request to a principal: one function for API keys and access tokens, with one lookup in the cache."""

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
    """The credential of a request: an API key or an access token."""

    kind: CredentialKind
    secret: bytes = field(repr=False)


class Verifiers(Protocol):
    """What this module needs from a deployment."""

    @property
    def generation(self) -> Generation:
        """The number that rises with every change that can restrict somebody's rights."""

    @property
    def keys(self) -> ApiKeyVerifier:
        """Verifies API keys."""

    @property
    def tokens(self) -> AccessTokenVerifier:
        """Verifies access tokens."""


async def authenticate(verifiers: Verifiers, credential: RequestCredential, address: str | None) -> Verified | RejectedCredential:
    """Return the credential where it is valid now and from this address, else why it is not. Raises Unavailable.

    The generation is read before anything is looked up: strict revocation depends on that. Malformed text causes no query.
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
