"""The services that the authorization server uses: its part of `latchpin.services`."""

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
    """The services of the deployment that the authorization server needs.

    `service_sids` caches the `sid` of a client's own grant by the client's pk, `exchange_sids` that of a key's grant by key and
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
        """Our name in tokens and metadata: the public address, never a request's Host header (security.md 82)."""
        return self.settings.public_url

    async def now(self) -> int:
        """Return the present generation, and make sure that the signing keys are loaded; raises Unavailable."""
        generation = self.generation.current_nowait()
        if generation is None:
            generation = await self.generation.current()
        await self.ring.ready(generation)
        return generation

    async def note_refusal(self, rejected_credential: RejectedCredential, origin: Origin) -> None:
        """Record a refused credential with its actual reason; raises Throttled where its address has too many, here and at the API."""
        self.activity.refused(rejected_credential, origin)
        await rate_limit.count_refusal(self.counter, origin.address, self.settings.bad_key_limit)


def of(request: AnyRequest) -> AuthorizationServer:
    """Return the authorization server of the request's application."""
    server: AuthorizationServer = request.app.state[STATE]
    return server


def origin_of(request: AnyRequest) -> Origin:
    """Return the origin of a request, for the audit log."""
    request_context = context.of(request.scope)
    return Origin(request_context.address, request_context.user_agent, request_context.request_id)


def actor(client: Client, origin: Origin) -> Actor:
    """Return a client as an actor of the audit log."""
    return Actor(client.client_id, None, client.organization_id, CredentialKind.CLIENT.value, client.pk, client.name, origin)
