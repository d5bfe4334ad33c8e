"""Authorization codes: 256 random bits, kept as a digest, for one minute and one use (RFC 6749 section 4.1.2, security.md 22)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import credentials
from latchpin.kit import clock
from latchpin.storage.models import AuthorizationCode, OAuthGrant

LIFETIME = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class CodeBinding:
    """What the redemption of a code must match, besides its grant; `nonce` is for the ID token, and matched by the client."""

    redirect_uri: str
    code_challenge: str
    nonce: str | None = None
    dpop_jkt: str | None = None


async def issue(session: AsyncSession, grant: OAuthGrant, bound: CodeBinding) -> str:
    """Create a code for a grant that is not activated; the code is only in the return value."""
    code = credentials.new_token()
    session.add(
        AuthorizationCode(
            digest=credentials.token_digest(code),
            grant_id=grant.id,
            redirect_uri=bound.redirect_uri,
            code_challenge=bound.code_challenge,
            nonce=bound.nonce,
            dpop_jkt=bound.dpop_jkt,
            expires_at=clock.now() + LIFETIME,
        )
    )
    await session.flush()
    return code


async def purge_expired(session: AsyncSession) -> None:
    """Remove codes a day after they expired; from then on they are the same as unknown ones."""
    await session.execute(delete(AuthorizationCode).where(AuthorizationCode.expires_at < clock.now() - timedelta(days=1)))
