"""Revocation by the app itself (RFC 7009): of a refresh token with its whole grant, or of one access token."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.identity import credentials, grants
from latchpin.identity.active_grant import ActiveGrant
from latchpin.kit import clock
from latchpin.oauth.clients import Client
from latchpin.storage import subjects
from latchpin.storage.generation import invalidate
from latchpin.storage.models import OAuthGrant, RefreshToken, RevokedToken

_LEEWAY = timedelta(minutes=2)  # longer than any verifier's clock may be late


async def of_refresh_token(session: AsyncSession, client: Client, token: str, *, by: Actor) -> bool:
    """End the grant of a refresh token with its access tokens (section 2.1); False where it is not the client's, or had ended.

    A spent or expired token ends it too: the app wants to be signed out, and a refresh may be on its way at the same time.
    """
    query = select(OAuthGrant.id).join(RefreshToken, RefreshToken.grant_id == OAuthGrant.id)
    grant_id = await session.scalar(
        query.where(RefreshToken.digest == credentials.token_digest(token), OAuthGrant.oauth_client_id == client.pk)
    )
    return grant_id is not None and await grants.end(session, grant_id, reason="revoked by the app", by=by)


async def of_access_token(session: AsyncSession, active: ActiveGrant, *, jti: str, expires: float, by: Actor) -> None:
    """Revoke one access token, which must have been verified and be its client's: the next request with it is refused everywhere.

    `expires` is the token's own, in seconds since the epoch.
    """
    # The grant's row is held, so that two who revoke the same token come one after the other.
    await session.execute(select(OAuthGrant.id).where(OAuthGrant.id == active.grant_id).with_for_update(key_share=True))
    if await session.get(RevokedToken, jti) is None:
        session.add(RevokedToken(jti=jti, grant_id=active.grant_id, expires_at=datetime.fromtimestamp(expires, UTC) + _LEEWAY))
        invalidate(session, subjects.grant(active.grant_id))
        record(session, events.TokenRevoked(target_id=active.grant_id, target_name=active.client_name), by)


async def purge_expired(session: AsyncSession) -> None:
    """Remove revoked tokens that have expired."""
    await session.execute(delete(RevokedToken).where(RevokedToken.expires_at < clock.now()))
