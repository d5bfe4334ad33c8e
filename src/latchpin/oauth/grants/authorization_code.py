"""`authorization_code` with PKCE (OAuth 2.1 section 4.1.3): a code is exchanged for tokens, once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin, events, record
from latchpin.identity import active_grant, credentials, grants
from latchpin.identity.active_grant import ActiveGrant
from latchpin.identity.scopes import OFFLINE
from latchpin.kit import clock
from latchpin.oauth import dpop_binding, issue, pkce, resources
from latchpin.oauth.authorization_server import AuthorizationServer, actor
from latchpin.oauth.clients import Client
from latchpin.oauth.errors import OAuthError, invalid_grant
from latchpin.oauth.issue import TokenRequest, TokenResponse
from latchpin.oauth.params import Params
from latchpin.storage.models import AuthorizationCode, BrowserSession, OAuthClient, OAuthGrant

NAME = "authorization_code"
PARAMETER = "code"
MOST_TRIES = 3
_REFUSED = "the code is unknown, used, expired, or not this client's"


@dataclass(frozen=True, slots=True)
class _RedeemedCode:
    """A code with its grant, both locked and read after earlier transactions have finished."""

    code: AuthorizationCode
    grant: OAuthGrant
    client: OAuthClient
    session_lives: bool


async def redeem(
    server: AuthorizationServer, session: AsyncSession, client: Client, params: Params, origin: Origin
) -> TokenResponse | OAuthError:
    """Exchange a code for tokens, with a refresh token where `offline_access` was granted."""
    code, verifier = params.need(PARAMETER), params.get("code_verifier")
    redeemed_code = await _find(session, code)
    if redeemed_code is None or redeemed_code.grant.oauth_client_id != client.pk:
        return invalid_grant(_REFUSED)
    if refusal := await dpop_binding.refusal_of(server, client, redeemed_code.code.dpop_jkt, params.jkt, origin):
        return refusal  # the code is left as it is: whoever stole it has no key
    if refusal := await _refusal(session, redeemed_code, params, verifier, actor(client, origin)):
        return refusal  # what was noted of it is committed
    active = await active_grant.by_id(session, redeemed_code.grant.id, server.settings)
    if not isinstance(active, ActiveGrant):
        return invalid_grant(_REFUSED)
    token_resources = await resources.of_grant(session, params.resources, redeemed_code.grant, server.settings)
    if not await _use_up(session, redeemed_code.code):
        return invalid_grant(_REFUSED)
    refresh = None
    if OFFLINE in active.granted and "refresh_token" in client.grant_types:
        refresh, _ = await issue.new_refresh_token(session, server, redeemed_code.grant)
    dpop_binding.bind(client, redeemed_code.grant, params.jkt)
    grants.activate(session, redeemed_code.grant, redeemed_code.client, by=issue.actor(active, actor(client, origin)))
    server.activity.app_used(client.pk)
    return issue.token_response(
        server, active, TokenRequest(active.granted, token_resources, redeemed_code.code.nonce, params.jkt), refresh=refresh
    )


async def _find(session: AsyncSession, code: str) -> _RedeemedCode | None:
    result = await session.execute(
        select(AuthorizationCode, OAuthGrant, OAuthClient)
        .join(OAuthGrant, OAuthGrant.id == AuthorizationCode.grant_id)
        .join(OAuthClient, OAuthClient.id == OAuthGrant.oauth_client_id)
        .where(AuthorizationCode.digest == credentials.token_digest(code))
        .with_for_update(of=(AuthorizationCode, OAuthGrant), key_share=True)
    )
    row = result.one_or_none()
    if row is None:
        return None
    stored_code, grant, client = row
    session_query = select(BrowserSession.id).where(
        BrowserSession.id == grant.browser_session_id, BrowserSession.ended_at.is_(None), BrowserSession.expires_at > clock.now()
    )
    return _RedeemedCode(stored_code, grant, client, await session.scalar(session_query) is not None)


async def _refusal(
    session: AsyncSession, redeemed_code: _RedeemedCode, params: Params, verifier: str | None, by: Actor
) -> OAuthError | None:
    """Check all that the code is bound to; records and returns the error, if any."""
    stored_code, redirect_uri = redeemed_code.code, params.get("redirect_uri")
    if (
        redirect_uri is not None and redirect_uri != stored_code.redirect_uri
    ):  # optional for OAuth 2.1 clients (section 10.2), bound where it is sent
        return invalid_grant("redirect_uri differs from the one that the code was sent to")
    if verifier is None or not pkce.matches(verifier, stored_code.code_challenge):
        if stored_code.used_at is None:
            stored_code.tries += 1
            if stored_code.tries >= MOST_TRIES:  # not open to unlimited guesses (security.md 25)
                stored_code.used_at = clock.now()
        return invalid_grant("code_verifier does not match")  # revokes nothing: whoever stole a code has no verifier (section 7.5.3)
    if stored_code.used_at is not None and redeemed_code.grant.activated_at is not None:
        # Section 4.1.3: the code leaked together with its verifier, so its tokens are revoked.
        record(
            session,
            events.TokenReplayed(target_id=redeemed_code.grant.id, target_name=redeemed_code.client.name, reason="code used twice"),
            by,
        )
        await grants.end(session, redeemed_code.grant.id, reason="its code was used twice", by=by)
        return invalid_grant(_REFUSED)
    if stored_code.used_at is not None or stored_code.expires_at <= clock.now():
        return invalid_grant(_REFUSED)
    if not redeemed_code.session_lives:  # after sign-out nothing more is granted, offline access included
        return invalid_grant(_REFUSED)
    return None


async def _use_up(session: AsyncSession, code: AuthorizationCode) -> bool:
    """Use a code up by one conditional update, whose row decides who was first."""
    result = await session.execute(
        update(AuthorizationCode)
        .where(AuthorizationCode.digest == code.digest, AuthorizationCode.used_at.is_(None))
        .values(used_at=clock.now())
        .returning(AuthorizationCode.digest)
    )
    return result.one_or_none() is not None
