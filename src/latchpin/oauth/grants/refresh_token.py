"""`refresh_token` (OAuth 2.1 section 4.3): rotated on every use; a spent one that comes back ends its family.

A client that asks twice at once, or never got the answer, is helped for ten seconds: it gets the very same answer again. That answer is
kept sealed under a key derived from the token it was traded for, so the database alone cannot open it, and only until the successor is
used. Every other replay ends the grant, and that is committed before the refusal is raised.
"""

from __future__ import annotations

import hmac
import json
from datetime import timedelta

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin, events, record
from latchpin.identity import credentials, grants, standing
from latchpin.identity.standing import Standing
from latchpin.identity.verified import Refused
from latchpin.kit import clock, sealing
from latchpin.oauth import issue, resources, scope
from latchpin.oauth.clients import Client
from latchpin.oauth.errors import OAuthError, invalid_grant
from latchpin.oauth.issue import Answer, Wanted
from latchpin.oauth.params import Params
from latchpin.oauth.server import AuthorizationServer, acting
from latchpin.storage.models import OAuthClient, OAuthGrant, RefreshToken

NAME = "refresh_token"
WINDOW = timedelta(seconds=10)
REFUSED = "Refresh token is invalid or expired"
REPLAYED = "Refresh token has already been used; re-authorize"
_FAMILY = (
    select(OAuthGrant, OAuthClient)
    .join(OAuthClient, OAuthClient.id == OAuthGrant.oauth_client_id)
    .where(OAuthGrant.id == select(RefreshToken.grant_id).where(RefreshToken.digest == bindparam("digest")).scalar_subquery())
    .with_for_update(of=OAuthGrant, key_share=True)
)
_TOKEN = select(RefreshToken).where(RefreshToken.digest == bindparam("digest"))


async def redeem(server: AuthorizationServer, client: Client, params: Params, came_from: Origin) -> Answer | OAuthError:
    """Trade a refresh token for new tokens. `scope` narrows the access token only; the family keeps its own (RFC 6749 section 6)."""
    presented = params.need("refresh_token")
    await server.now()
    async with server.database.transaction() as session:
        family = await _lock(session, presented)
        if family is None or family[0].oauth_client_id != client.pk or family[0].ended is not None:
            return invalid_grant(REFUSED)
        grant, owner = family
        token = await session.scalar(_TOKEN, {"digest": credentials.token_digest(presented)})
        if token is None:
            return invalid_grant(REFUSED)
        stands = await standing.of_grant(session, grant.id, server.settings)
        if token.spent is not None:
            return await _again(session, params, presented, token, grant, stands, acting(client, came_from))
        if token.expires <= clock.now() or not isinstance(stands, Standing):
            return invalid_grant(REFUSED)
        wanted = Wanted(
            scope.narrowed(params.get("scope"), stands.granted),
            await resources.of_grant(session, params.resources, grant, server.settings),
        )
        text, successor = await issue.new_refresh_token(session, server, grant)
        made = issue.answer(server, stands, wanted, refresh=text)
        if not await _spend(session, token, params, successor, sealing.seal(_key(presented), json.dumps(made).encode(), str(token.id))):
            return invalid_grant(REFUSED)
        grant.last_used = clock.now()
        server.activity.client_used(client.pk)
        by = issue.acting_for(stands, acting(client, came_from))
        record(session, events.GrantRefreshed(target_id=grant.id, target_name=owner.name), by)
        return made


async def _lock(session: AsyncSession, presented: str) -> tuple[OAuthGrant, OAuthClient] | None:
    """Return the grant of a refresh token, with its client, locked: those who refresh or revoke a family come one after the other.

    The grant's row is the only lock of a family, so nobody who waits for it holds another (PostgreSQL; SQLite has one writer).
    """
    found = await session.execute(_FAMILY, {"digest": credentials.token_digest(presented)})
    row = found.one_or_none()
    return None if row is None else (row[0], row[1])


async def _spend(session: AsyncSession, token: RefreshToken, params: Params, successor: RefreshToken, sealed: bytes) -> bool:
    """Spend a token by one conditional update, and keep its answer for those who ask at the same time; False where it was spent."""
    taken = await session.execute(
        update(RefreshToken)
        .where(RefreshToken.id == token.id, RefreshToken.spent.is_(None))
        .values(spent=clock.now(), successor_id=successor.id, asked=_asked(params), sealed=sealed)
        .returning(RefreshToken.id)
        .execution_options(synchronize_session=False)
    )
    if taken.one_or_none() is None:
        return False
    # The client has this token, so it has the answer that it came in: the window behind it closes.
    await session.execute(
        update(RefreshToken)
        .where(RefreshToken.grant_id == token.grant_id, RefreshToken.successor_id == token.id)
        .values(sealed=None)
        .execution_options(synchronize_session=False)
    )
    return True


async def _again(
    session: AsyncSession,
    params: Params,
    presented: str,
    token: RefreshToken,
    grant: OAuthGrant,
    stands: Standing | Refused,
    by: Actor,
) -> Answer | OAuthError:
    """Judge a spent token: the same answer within the window, else the end of the family."""
    if token.sealed is not None and token.spent is not None and clock.now() - token.spent <= WINDOW:
        if token.asked != _asked(params) or isinstance(stands, Refused):
            return invalid_grant(REFUSED)
        again: Answer = json.loads(sealing.open_(_key(presented), token.sealed, str(token.id)))
        return again
    record(session, events.TokenReplayed(target_id=grant.id, target_name=by.credential_name, reason="refresh token used twice"), by)
    await grants.end(session, grant.id, reason="a spent refresh token was presented again", by=by)
    return invalid_grant(REPLAYED)


def _asked(params: Params) -> str:
    """Return what a request asks for besides the token itself, so that only the same request gets the same answer."""
    return json.dumps([params.get("scope"), list(params.resources)])


def _key(presented: str) -> bytes:
    """Derive the key that seals the answer; the database holds only another digest of the same token."""
    return hmac.digest(presented.encode(), b"latchpin/refresh-answer", "sha256")


async def sweep(session: AsyncSession) -> None:
    """Drop sealed answers whose window is over, and tokens that ran out a day ago."""
    at = clock.now()
    await session.execute(
        update(RefreshToken).where(RefreshToken.sealed.is_not(None), RefreshToken.spent < at - WINDOW).values(sealed=None)
    )
    await session.execute(delete(RefreshToken).where(RefreshToken.expires < at - timedelta(days=1)))
