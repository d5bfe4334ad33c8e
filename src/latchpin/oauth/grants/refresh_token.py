"""`refresh_token` (OAuth 2.1 section 4.3): rotated on every use; a spent one that comes back ends its family.

A client that asks twice at once, or never got the answer, is helped for ten seconds: it gets the very same answer again. That answer is
kept sealed under a key derived from the token it was traded for, so the database alone cannot open it, and only until the successor is
used. Every other replay ends the grant, and that is committed before the refusal is raised.
"""

from __future__ import annotations

import hmac
import json
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin, events, record
from latchpin.identity import credentials, grants, standing
from latchpin.identity.standing import Standing
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


async def redeem(server: AuthorizationServer, client: Client, params: Params, came_from: Origin) -> Answer | OAuthError:
    """Trade a refresh token for new tokens. `scope` narrows the access token only; the family keeps its own (RFC 6749 section 6)."""
    presented = params.need("refresh_token")
    await server.now()
    async with server.database.transaction() as session:
        row = await _find(session, presented)
        if row is None or row[1].oauth_client_id != client.pk:
            return invalid_grant(REFUSED)
        token, grant, owner = row
        if grant.ended is not None or token.expires <= clock.now():
            return invalid_grant(REFUSED)
        if token.spent is not None:
            return await _again(session, client, params, presented, token, grant, came_from)
        stands = await standing.of_grant(session, grant.id, server.settings)
        if not isinstance(stands, Standing):
            return invalid_grant(REFUSED)
        wanted = Wanted(
            scope.narrowed(params.get("scope"), stands.granted),
            resources.narrowed(params.resources, grant.resource, standing.own_audiences(server.settings)),
        )
        text, successor = await issue.new_refresh_token(session, server, grant)
        taken = await session.execute(
            update(RefreshToken)
            .where(RefreshToken.id == token.id, RefreshToken.spent.is_(None))
            .values(spent=clock.now(), successor_id=successor.id, asked=_asked(params))
            .returning(RefreshToken.id)
        )
        if taken.one_or_none() is None:
            return invalid_grant(REFUSED)
        # The client has this token, so it has the answer that it came in: the window behind it closes.
        await session.execute(update(RefreshToken).where(RefreshToken.successor_id == token.id).values(sealed=None))
        made = issue.answer(server, stands, wanted, refresh=text)
        sealed = sealing.seal(_key(presented), json.dumps(made).encode(), str(token.id))
        await session.execute(update(RefreshToken).where(RefreshToken.id == token.id).values(sealed=sealed))
        grant.last_used = owner.last_used = clock.now()
        by = issue.acting_for(stands, acting(client, came_from))
        record(session, events.GrantRefreshed(target_id=grant.id, target_name=owner.name), by)
        return made


async def _find(session: AsyncSession, presented: str) -> tuple[RefreshToken, OAuthGrant, OAuthClient] | None:
    """Return the token with its grant and client, locked (PostgreSQL), so that those who come together come one after the other."""
    found = await session.execute(
        select(RefreshToken, OAuthGrant, OAuthClient)
        .join(OAuthGrant, OAuthGrant.id == RefreshToken.grant_id)
        .join(OAuthClient, OAuthClient.id == OAuthGrant.oauth_client_id)
        .where(RefreshToken.digest == credentials.token_digest(presented))
        .with_for_update(of=(RefreshToken, OAuthGrant))
        .execution_options(populate_existing=True)
    )
    row = found.one_or_none()
    return None if row is None else (row[0], row[1], row[2])


async def _again(
    session: AsyncSession,
    client: Client,
    params: Params,
    presented: str,
    token: RefreshToken,
    grant: OAuthGrant,
    came_from: Origin,
) -> Answer | OAuthError:
    """Judge a spent token: the same answer within the window, else the end of the family."""
    if token.sealed is not None and token.spent is not None and clock.now() - token.spent <= WINDOW:
        if token.asked != _asked(params):
            return invalid_grant(REFUSED)
        again: Answer = json.loads(sealing.open_(_key(presented), token.sealed, str(token.id)))
        return again
    by = acting(client, came_from)
    record(session, events.TokenReplayed(target_id=grant.id, target_name=client.name, reason="refresh token used twice"), by)
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
