"""`authorization_code` with PKCE (OAuth 2.1 section 4.1.3): a code is traded for tokens, once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin, events, record
from latchpin.identity import credentials, grants, standing
from latchpin.identity.scopes import OFFLINE
from latchpin.identity.standing import Standing
from latchpin.kit import clock
from latchpin.oauth import issue, pkce, resources
from latchpin.oauth.clients import Client
from latchpin.oauth.errors import OAuthError, invalid_grant
from latchpin.oauth.issue import Answer, Wanted
from latchpin.oauth.params import Params
from latchpin.oauth.server import AuthorizationServer, acting
from latchpin.storage.models import AuthorizationCode, OAuthClient, OAuthGrant

NAME = "authorization_code"
MOST_TRIES = 3
_REFUSED = "the code is unknown, used, expired, or not this client's"


@dataclass(frozen=True, slots=True)
class _Redeemed:
    code: AuthorizationCode
    grant: OAuthGrant
    client: OAuthClient


async def redeem(server: AuthorizationServer, client: Client, params: Params, came_from: Origin) -> Answer | OAuthError:
    """Trade a code for tokens; a refresh token comes along where `offline_access` was granted."""
    code, verifier = params.need("code"), params.get("code_verifier")
    await server.now()
    async with server.database.transaction() as session:
        found = await _take(session, client, params, code, verifier, came_from)
        if isinstance(found, OAuthError):
            return found  # what was noted of it is committed
        stands = await standing.of_grant(session, found.grant.id, server.settings)
        if not isinstance(stands, Standing):
            return invalid_grant(_REFUSED)
        wanted = resources.narrowed(params.resources, found.grant.resource, standing.own_audiences(server.settings))
        refresh = None
        if OFFLINE in stands.granted and "refresh_token" in client.grant_types:
            refresh, _ = await issue.new_refresh_token(session, server, found.grant)
        grants.begin(session, found.grant, found.client, by=issue.acting_for(stands, acting(client, came_from)))
        found.client.last_used = clock.now()
        return issue.answer(server, stands, Wanted(stands.granted, wanted, found.code.nonce), refresh=refresh)


async def _take(
    session: AsyncSession, client: Client, params: Params, code: str, verifier: str | None, came_from: Origin
) -> _Redeemed | OAuthError:
    """Find the code, check all that it is bound to, and use it up by one conditional update; else note what has to be noted."""
    row = await session.execute(
        select(AuthorizationCode, OAuthGrant, OAuthClient)
        .join(OAuthGrant, OAuthGrant.id == AuthorizationCode.grant_id)
        .join(OAuthClient, OAuthClient.id == OAuthGrant.oauth_client_id)
        .where(AuthorizationCode.digest == credentials.token_digest(code))
        .with_for_update(of=AuthorizationCode)
    )
    found = row.one_or_none()
    if found is None or found[1].oauth_client_id != client.pk:
        return invalid_grant(_REFUSED)
    kept, grant, owner = found
    sent = params.get("redirect_uri")
    if sent is not None and sent != kept.redirect_uri:  # optional for OAuth 2.1 clients (section 10.2), bound where it is sent
        return invalid_grant("redirect_uri differs from the one that the code was sent to")
    if verifier is None or not pkce.matches(verifier, kept.code_challenge):
        if kept.used is None:
            kept.tries += 1
            if kept.tries >= MOST_TRIES:  # not open to unlimited guesses (security.md 25)
                kept.used = clock.now()
        return invalid_grant("code_verifier does not match")  # revokes nothing: whoever stole a code has no verifier (section 7.5.3)
    if kept.used is not None and grant.begun is not None:
        # Section 4.1.3: the code leaked together with its verifier, so what it was traded for is taken back.
        by = acting(client, came_from)
        record(session, events.TokenReplayed(target_id=grant.id, target_name=owner.name, reason="code used twice"), by)
        await grants.end(session, grant.id, reason="its code was used twice", by=by)
        return invalid_grant(_REFUSED)
    if kept.used is not None or kept.expires <= clock.now():
        return invalid_grant(_REFUSED)
    taken = await session.execute(
        update(AuthorizationCode)
        .where(AuthorizationCode.digest == kept.digest, AuthorizationCode.used.is_(None))
        .values(used=clock.now())
        .returning(AuthorizationCode.digest)
    )
    return _Redeemed(kept, grant, owner) if taken.one_or_none() is not None else invalid_grant(_REFUSED)
