"""What the authorization server works with: the part of `latchpin.services` that it knows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from litestar import Request

from latchpin.audit import Actor, Origin
from latchpin.identity.activity import Activity
from latchpin.identity.api_key_verifier import ApiKeyVerifier
from latchpin.identity.bearer import AccessTokenVerifier
from latchpin.identity.key_ring import KeyRing
from latchpin.identity.proofs import ProofVerifier
from latchpin.identity.roles import CredentialKind
from latchpin.identity.verified import RejectedCredential
from latchpin.kit import context, rate_limit
from latchpin.kit.cache import Cache
from latchpin.kit.rate_limit import InProcess, InRedis
from latchpin.oauth.client_keys import ClientKeys
from latchpin.oauth.clients import Client, ClientCache
from latchpin.settings import Settings
from latchpin.storage import Database
from latchpin.storage.generation import Generation
from latchpin.storage.secrets import Secrets

STATE = "latchpin_services"
AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationServer:
    """The deployment, as the authorization server needs it.

    `service_sids` remembers the `sid` of a client's own grant by the client's pk, `exchange_sids` that of a key's grant by key and
    client's pk.
    """

    settings: Settings
    secrets: Secrets
    database: Database
    generation: Generation
    ring: KeyRing
    clients: ClientCache
    tokens: AccessTokenVerifier
    activity: Activity
    counter: InProcess | InRedis
    keys: ApiKeyVerifier
    client_keys: ClientKeys
    proofs: ProofVerifier
    service_sids: Cache[int, str] = field(default_factory=lambda: Cache(math.inf))
    exchange_sids: Cache[tuple[int, int], str] = field(default_factory=lambda: Cache(math.inf))

    @property
    def issuer(self) -> str:
        """Our name in tokens and metadata: the public address, never what a request calls us (security.md 82)."""
        return self.settings.public_url

    async def now(self) -> int:
        """Return the present generation, and see that the signing keys are at hand; raises Unavailable."""
        generation = self.generation.current_nowait()
        if generation is None:
            generation = await self.generation.current()
        await self.ring.ready(generation)
        return generation

    async def note_refusal(self, rejected_credential: RejectedCredential, origin: Origin) -> None:
        """Note a refused credential with its true reason; raises Throttled where its address has too many, here and at the API."""
        self.activity.refused(rejected_credential, origin)
        await rate_limit.count_refusal(self.counter, origin.address, self.settings.bad_key_limit)


def of(request: AnyRequest) -> AuthorizationServer:
    """Return the authorization server of the application that the request came to."""
    server: AuthorizationServer = request.app.state[STATE]
    return server


def origin_of(request: AnyRequest) -> Origin:
    """Where the request came from, for the audit trail."""
    request_context = context.of(request.scope)
    return Origin(request_context.address, request_context.user_agent, request_context.request_id)


def actor(client: Client, origin: Origin) -> Actor:
    """Return the audit trail's view of a client that acts at an endpoint."""
    return Actor(client.client_id, None, client.organization_id, CredentialKind.CLIENT.value, client.pk, client.name, origin)
