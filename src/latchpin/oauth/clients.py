"""OAuth clients as the endpoints see them: looked up once until it changes, so that a request costs no query."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin
from latchpin.identity.verified import CACHE_SECONDS
from latchpin.kit import clock, same_origin
from latchpin.kit.cache import Cache, Holds
from latchpin.settings import Settings
from latchpin.storage import Database, subjects
from latchpin.storage.generation import invalidate
from latchpin.storage.models import OAuthClient, OAuthClientSecret
from latchpin.storage.models.oauth_client import ClientSource, ClientStatus

CONTROL_CENTER = "latchpin-control-center"
COMMAND_LINE = "latchpin-cli"
KEY_EXCHANGE = "latchpin-key-exchange"  # the holder of an API key needs no app to exchange it for a token
CALLBACK = "/oauth/callback"  # where the Control Center's own flow ends


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """One active secret: its keyed digest and its expiry, in seconds since the epoch."""

    digest: bytes = field(repr=False)
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class Client:
    """An active client. `pk` is its row's id, `version` rises when what a user consented to has changed."""

    pk: int
    client_id: str
    organization_id: int | None
    source: ClientSource
    name: str
    auth_method: str
    application_type: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    grant_types: frozenset[str]
    scopes: frozenset[str]
    jwks: dict[str, Any] | None
    jwks_uri: str | None
    client_uri: str | None
    resource_id: int | None
    require_pushed: bool
    dpop_bound: bool
    version: int
    fresh_until: float | None
    secrets: tuple[ClientSecret, ...] = ()

    @property
    def is_public(self) -> bool:
        """Whether it cannot keep a secret (RFC 6749 section 2.1)."""
        return self.auth_method == "none"

    @property
    def is_first_party(self) -> bool:
        """Whether it is part of this product and needs no consent."""
        return self.source is ClientSource.FIRST_PARTY

    def is_trusted_by(self, organization_id: int) -> bool:
        """Whether an administrator of the organization registered it, or it is our own; other entries are unverified."""
        return self.is_first_party or (self.organization_id is not None and self.organization_id == organization_id)


def from_row(row: OAuthClient, secrets: list[OAuthClientSecret]) -> Client:
    """Return the client of its database rows."""
    return Client(
        pk=row.id,
        client_id=row.client_id,
        organization_id=row.organization_id,
        source=row.source,
        name=row.name,
        auth_method=row.auth_method,
        application_type=row.application_type,
        redirect_uris=tuple(json.loads(row.redirect_uris)),
        post_logout_redirect_uris=tuple(json.loads(row.post_logout_redirect_uris)),
        grant_types=frozenset(row.grant_types.split()),
        scopes=frozenset(row.scopes.split()),
        jwks=json.loads(row.jwks) if row.jwks else None,
        jwks_uri=row.jwks_uri,
        client_uri=row.client_uri,
        resource_id=row.resource_id,
        require_pushed=row.require_pushed,
        dpop_bound=row.dpop_bound,
        version=row.version,
        fresh_until=row.fresh_until.timestamp() if row.fresh_until else None,
        secrets=tuple(ClientSecret(each.digest, each.expires_at.timestamp() if each.expires_at else None) for each in secrets),
    )


async def load(session: AsyncSession, client_id: str) -> Client | None:
    """Return an active client from the database, or None for an unknown or revoked one."""
    row = await session.scalar(select(OAuthClient).where(OAuthClient.client_id == client_id, OAuthClient.status == ClientStatus.ACTIVE))
    if row is None:
        return None
    secrets = await session.scalars(select(OAuthClientSecret).where(OAuthClientSecret.oauth_client_id == row.id))
    return from_row(row, list(secrets.all()))


class MetadataDocuments(Protocol):
    """Handles clients that are described by a metadata document (latchpin.oauth.documents)."""

    def is_one(self, client_id: str) -> bool:
        """Whether a client_id names a document."""

    async def refresh(self, client_id: str, origin: Origin) -> None:
        """Update the client in the database from its document where that is due; raises OAuthError, Throttled, Unavailable."""


class ClientCache:
    """The cache of clients in one process, each until it changes."""

    def __init__(self, database: Database, documents: MetadataDocuments | None = None, holds: Holds | None = None) -> None:
        self._database = database
        self._documents = documents
        self._cache = Cache[str, Client](CACHE_SECONDS, holds=holds)

    async def find(self, client_id: str, generation: int, origin: Origin | None = None) -> Client | None:
        """Return an active client, or None; `generation` must have been read before this call. Raises Unavailable.

        Unknown ones are looked up each time: they take no memory. A client_id that is the URL of a metadata document
        is fetched where that is due, on behalf of who `origin` says; raises OAuthError that says what is wrong with it, and Throttled.
        """
        cached, started_at = self._cache.get(client_id, generation), clock.monotonic()
        if cached is not None and (cached.fresh_until is None or clock.timestamp() < cached.fresh_until):
            return cached
        client = await self._load(client_id)
        if self._documents is not None and self._documents.is_one(client_id):
            if client is None or (client.fresh_until or 0) <= clock.timestamp():
                await self._documents.refresh(client_id, origin or Origin())
                client = await self._load(client_id)  # again, since the fetch may be older than the generation
        elif client is not None and client.source is ClientSource.DOCUMENT:
            client = None  # the deployment does not accept documents any more
        if client is None:
            self._cache.discard(client_id)
            return None
        self._cache.put(client_id, client, generation, since=started_at, slots=(subjects.client(client.pk).slot,))
        return client

    async def _load(self, client_id: str) -> Client | None:
        async with self._database.read() as session:
            return await load(session, client_id)


async def prepare(session: AsyncSession, settings: Settings) -> None:
    """Create the product's own clients where they are missing, and set the present public address in the Control Center's."""
    first_party = {
        CONTROL_CENTER: ("Latchpin Control Center", "authorization_code"),
        COMMAND_LINE: (
            "Latchpin command line",
            "urn:ietf:params:oauth:grant-type:device_code refresh_token",
        ),
        KEY_EXCHANGE: ("Latchpin API key exchange", "urn:ietf:params:oauth:grant-type:token-exchange"),
    }
    addresses = json.dumps(sorted(origin.decode() + CALLBACK for origin in same_origin.own_origins(settings)))
    rows = await session.scalars(select(OAuthClient).where(OAuthClient.client_id.in_(first_party)).with_for_update())
    existing = {row.client_id: row for row in rows.all()}
    for client_id, (name, grant_types) in first_party.items():
        redirect_uris = addresses if client_id == CONTROL_CENTER else "[]"
        if client_id in existing:
            if existing[client_id].redirect_uris != redirect_uris:
                existing[client_id].redirect_uris = redirect_uris
                invalidate(session, subjects.client(existing[client_id].id))
        else:
            session.add(
                OAuthClient(
                    client_id=client_id,
                    source=ClientSource.FIRST_PARTY,
                    name=name,
                    redirect_uris=redirect_uris,
                    grant_types=grant_types,
                    application_type="native" if client_id == COMMAND_LINE else "web",
                    created_at=clock.now(),
                    created_by_name="Latchpin",
                )
            )
