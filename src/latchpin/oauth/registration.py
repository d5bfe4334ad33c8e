"""Apps that register themselves (RFC 7591) and manage their own entry (RFC 7592).

They belong to no organization, get no client_credentials, and an entry that nobody used within a day is removed.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin import secret_forms
from latchpin.audit import Actor, Origin, events, record
from latchpin.audit.actor import anonymous
from latchpin.identity import credentials
from latchpin.identity.roles import CredentialKind
from latchpin.kit import clock
from latchpin.oauth import auth_methods, client_admin, client_metadata, client_secrets, client_versions, clients
from latchpin.oauth.errors import OAuthError
from latchpin.settings import Settings
from latchpin.storage import subjects
from latchpin.storage.generation import invalidate
from latchpin.storage.models import OAuthApproval, OAuthClient, OAuthClientSecret, OAuthGrant
from latchpin.storage.models.oauth_client import ClientSource, ClientStatus
from latchpin.storage.secrets import Secrets

TOKEN_PREFIX = secret_forms.REGISTRATION_TOKEN.prefix
UNUSED = timedelta(hours=24)
_REVOKED_KEPT = timedelta(days=30)
_NOT_SENT = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """A self-registered app with what is returned only once: `secret` where it just got one, `token` to manage its entry."""

    client: OAuthClient
    secret: str | None = field(repr=False)
    token: str = field(repr=False)


def may_register(settings: Settings, token: str | None) -> bool:
    """Whether a request may register, by the initial access token that it presents (RFC 7591 section 3); compared in constant time."""
    if settings.registration == "open":
        return True
    expected_token = settings.registration_token.encode()
    return settings.registration == "token" and hmac.compare_digest((token or "").encode("utf-8", "replace"), expected_token)


async def register(
    session: AsyncSession, metadata: Mapping[str, Any], *, settings: Settings, secrets: Secrets, origin: Origin
) -> RegisteredClient:
    """Register an app; raises OAuthError with the codes of RFC 7591 section 3.2.2, or 503 where there are too many."""
    parsed_metadata = client_metadata.parse_registration(metadata)
    count = select(func.count()).select_from(OAuthClient)
    count = count.where(OAuthClient.source == ClientSource.DYNAMIC, OAuthClient.status == ClientStatus.ACTIVE)
    if (await session.scalar(count) or 0) >= settings.registration_most:
        raise OAuthError("temporarily_unavailable", "too many apps have registered; unused ones leave after a day", status=503)
    token = TOKEN_PREFIX + credentials.new_token()
    by = anonymous(origin, parsed_metadata.name)
    client = OAuthClient(
        client_id=client_admin.new_client_id(),
        source=ClientSource.DYNAMIC,
        status=ClientStatus.ACTIVE,
        created_at=clock.now(),
        created_by_name="itself",
        registration_digest=credentials.token_digest(token),
        version=1,
        **parsed_metadata.values(),
    )
    session.add(client)
    await session.flush()
    changes = {"client_id": (None, client.client_id), "redirect_uris": (None, client.redirect_uris)}
    record(session, events.ClientCreated(target_id=client.id, target_name=client.name, changes=changes), by)
    return RegisteredClient(client, await _secret(session, client, secrets, by), token)


async def find(session: AsyncSession, client_id: str, token: str | None, *, lock: bool = True) -> OAuthClient | None:
    """Return the active self-registered app that a registration access token is for, or None.

    With `lock` it is unchanged until the commit (PostgreSQL).
    """
    query = select(OAuthClient).where(
        OAuthClient.client_id == client_id, OAuthClient.source == ClientSource.DYNAMIC, OAuthClient.status == ClientStatus.ACTIVE
    )
    client = await session.scalar(query.with_for_update() if lock else query)
    digest = client.registration_digest if client is not None else None
    is_right = hmac.compare_digest(digest or bytes(32), credentials.token_digest(token or ""))
    return client if digest is not None and is_right else None


async def change(
    session: AsyncSession, client: OAuthClient, metadata: Mapping[str, Any], *, secrets: Secrets, origin: Origin
) -> str | None:
    """Replace an app's metadata by what it sends now (RFC 7592 section 2.2); returns a secret where it needs one and has none.

    Raises OAuthError. A new version of the app needs approval and every user's consent again (client_versions).
    """
    metadata = client_metadata.without_empty(metadata)
    if metadata.get("client_id") != client.client_id:
        raise client_metadata.invalid("client_id must be there, and the registered one")
    if forbidden := next((name for name in _NOT_SENT if name in metadata), None):
        raise client_metadata.invalid(f"{forbidden} may not be sent (RFC 7592 section 2.2)")
    if "client_secret" in metadata and not await _is_own_secret(session, client, metadata["client_secret"], secrets):
        raise client_metadata.invalid("client_secret is not the present one; the server makes the secrets, so leave it out")
    values = client_metadata.parse_registration(metadata).values()
    changes: dict[str, tuple[events.Plain, events.Plain]] = {
        name: (getattr(client, name), value) for name, value in values.items() if getattr(client, name) != value
    }
    by = _actor(client, origin)
    if changes:
        if client_versions.is_another({name: getattr(client, name) for name in values}, values):
            client.version += 1
        for name, value in values.items():
            setattr(client, name, value)
        invalidate(session, subjects.client(client.id))
        record(session, events.ClientChanged(target_id=client.id, target_name=client.name, changes=changes), by)
    return await _secret(session, client, secrets, by)


async def remove(session: AsyncSession, client: OAuthClient, origin: Origin) -> None:
    """End an app's registration at its own request, with all of its grants (RFC 7592 section 2.3)."""
    await client_admin.revoke(session, client, by=_actor(client, origin))


async def purge_expired(session: AsyncSession) -> None:
    """Remove apps that came by registration or by a metadata document, and were not used within a day.

    Those that an organization decided about stay, and so does a revoked document's app: it could come back otherwise. Self-registered
    ones that were revoked go after 30 days.
    """
    at = clock.now()
    granted = exists().where(OAuthGrant.oauth_client_id == OAuthClient.id)  # a grant that is never activated is removed within the hour
    decided = exists().where(OAuthApproval.oauth_client_id == OAuthClient.id)
    unused = and_(
        OAuthClient.source.in_([ClientSource.DYNAMIC, ClientSource.DOCUMENT]),
        OAuthClient.status == ClientStatus.ACTIVE,
        OAuthClient.created_at < at - UNUSED,
        OAuthClient.last_used_at.is_(None),
        ~granted,
        ~decided,
    )
    revoked = and_(OAuthClient.source == ClientSource.DYNAMIC, OAuthClient.revoked_at < at - _REVOKED_KEPT)
    result = await session.execute(delete(OAuthClient).where(or_(unused, revoked)).returning(OAuthClient.id))
    if removed := result.scalars().all():
        invalidate(session, *map(subjects.client, removed))


async def _secret(session: AsyncSession, client: OAuthClient, secrets: Secrets, by: Actor) -> str | None:
    """Create the secret that the app's authentication method needs, where it has none; end the secrets of one that needs none."""
    if client.auth_method not in auth_methods.SECRET_METHODS:
        await session.execute(delete(OAuthClientSecret).where(OAuthClientSecret.oauth_client_id == client.id))
        return None
    if await client_admin.active_secrets(session, client):
        return None
    return await client_admin.add_secret(session, client, secrets, by)


async def _is_own_secret(session: AsyncSession, row: OAuthClient, secret: object, secrets: Secrets) -> bool:
    client = clients.from_row(row, await client_admin.active_secrets(session, row))
    return isinstance(secret, str) and client_secrets.matches(client, secret, secrets)


def _actor(client: OAuthClient, origin: Origin) -> Actor:
    return Actor(client.client_id, None, None, CredentialKind.CLIENT.value, client.id, client.name, origin)
