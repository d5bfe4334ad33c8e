"""`refresh_token` (OAuth 2.1 section 4.3): rotated on every use; replay of a used one ends its family.

A client that refreshes twice at once, or did not get the response, gets the same response again for ten seconds. That response is
stored encrypted under a key derived from the used token, so the database alone cannot decrypt it, and only until the successor is
used. Every other replay ends the grant, and that is committed before the refusal is raised.
"""

from __future__ import annotations

import hmac
import json
from datetime import timedelta

from sqlalchemy import Table, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin, events, record
from latchpin.identity import active_grant, credentials, grants
from latchpin.identity.active_grant import ActiveGrant
from latchpin.identity.verified import RejectedCredential
from latchpin.kit import clock, sealing
from latchpin.oauth import dpop_binding, issue, resources, scope
from latchpin.oauth.authorization_server import AuthorizationServer, actor
from latchpin.oauth.clients import Client
from latchpin.oauth.errors import OAuthError, invalid_grant
from latchpin.oauth.issue import TokenRequest, TokenResponse
from latchpin.oauth.params import Params
from latchpin.storage.models import OAuthGrant, RefreshToken

NAME = "refresh_token"
PARAMETER = "refresh_token"
WINDOW = timedelta(seconds=10)
REFUSED = "Refresh token is invalid or expired"
REPLAYED = "Refresh token has already been used; re-authorize"
_LOCKED = (
    select(OAuthGrant)
    .where(OAuthGrant.id == select(RefreshToken.grant_id).where(RefreshToken.digest == bindparam("digest")).scalar_subquery())
    .with_for_update(key_share=True)
)
_TOKEN = select(RefreshToken).where(RefreshToken.digest == bindparam("digest"))
_rows: Table = RefreshToken.__table__  # type: ignore[assignment]  # a Table, which SQLAlchemy types as less than it is
_SPENT = (
    update(_rows)
    .where(_rows.c.id == bindparam("token_id"), _rows.c.used_at.is_(None))
    .values(used_at=bindparam("at"), successor_id=bindparam("successor"), token_request=bindparam("asks"), sealed=bindparam("answer"))
    .returning(_rows.c.id)
)
_PREDECESSOR = (
    update(_rows).where(_rows.c.grant_id == bindparam("family"), _rows.c.successor_id == bindparam("token_id")).values(sealed=None)
)


async def redeem(
    server: AuthorizationServer, session: AsyncSession, client: Client, params: Params, origin: Origin
) -> TokenResponse | OAuthError:
    """Exchange a refresh token for new tokens. `scope` narrows the access token only; the family keeps its own (RFC 6749 section 6)."""
    refresh_token = params.need(PARAMETER)
    digest = {"digest": credentials.token_digest(refresh_token)}
    # Those who refresh or revoke a family come one after the other (PostgreSQL; SQLite has one writer). The grant's row is the only
    # lock of a family, so nobody who waits for it holds another; what is read after it is the state that the one before left.
    grant = await session.scalar(_LOCKED, digest)
    token = await session.scalar(_TOKEN, digest) if grant is not None else None
    if grant is None or token is None:
        return invalid_grant(REFUSED)
    active = await active_grant.by_id(session, grant.id, server.settings)  # reads the grant again, too
    if grant.oauth_client_id != client.pk or grant.ended_at is not None:
        return invalid_grant(REFUSED)
    bound = grant.dpop_jkt if _is_bound(token) else None
    refusal = await dpop_binding.refusal_of(server, client, bound, params.jkt, origin)
    if refusal is not None or token.used_at is not None:  # without its key neither the token is spent nor the family ended
        return refusal or await _retry(session, params, refresh_token, token, grant, active, actor(client, origin))
    if token.expires_at <= clock.now() or not isinstance(active, ActiveGrant):
        return invalid_grant(REFUSED)
    token_request = TokenRequest(
        scope.for_token(params.get("scope"), active.granted),
        await resources.of_grant(session, params.resources, grant, server.settings),
        jkt=params.jkt,
    )
    request_fingerprint = _token_request(params, bound=bound)
    dpop_binding.bind(client, grant, params.jkt)
    text, successor = await issue.new_refresh_token(session, server, grant)
    response = issue.token_response(server, active, token_request, refresh=text)
    if not await _spend(
        session, token, request_fingerprint, successor, sealing.seal(_key(refresh_token), json.dumps(response).encode(), str(token.id))
    ):
        return invalid_grant(REFUSED)
    server.activity.app_used(client.pk, grant.id)
    by = issue.actor(active, actor(client, origin))
    record(session, events.GrantRefreshed(target_id=grant.id, target_name=active.client_name), by)
    return response


async def _spend(session: AsyncSession, token: RefreshToken, request_fingerprint: str, successor: int, sealed: bytes) -> bool:
    """Spend a token by one conditional update, and keep its answer for those who ask at the same time; False where it was spent."""
    parameters = {"token_id": token.id, "at": clock.now(), "successor": successor, "asks": request_fingerprint, "answer": sealed}
    if (await session.execute(_SPENT, parameters)).one_or_none() is None:
        return False
    # The client has this token, so it has the answer that it came in: the window behind it closes.
    await session.execute(_PREDECESSOR, {"family": token.grant_id, "token_id": token.id})
    return True


async def _retry(
    session: AsyncSession,
    params: Params,
    refresh_token: str,
    token: RefreshToken,
    grant: OAuthGrant,
    active: ActiveGrant | RejectedCredential,
    by: Actor,
) -> TokenResponse | OAuthError:
    """Handle a used token: the same response within the window, else the end of the family."""
    if token.sealed is not None and token.used_at is not None and clock.now() - token.used_at <= WINDOW:
        if token.token_request != _token_request(params, bound=grant.dpop_jkt if _is_bound(token) else None) or isinstance(
            active, RejectedCredential
        ):
            return invalid_grant(REFUSED)
        response: TokenResponse = json.loads(sealing.unseal(_key(refresh_token), token.sealed, str(token.id)))
        return response
    record(session, events.TokenReplayed(target_id=grant.id, target_name=by.credential_name, reason="refresh token used twice"), by)
    await grants.end(session, grant.id, reason="a spent refresh token was presented again", by=by)
    return invalid_grant(REPLAYED)


def _token_request(params: Params, *, bound: str | None) -> str:
    """Return what a request asks for besides the token itself, so that only the same request gets the same answer.

    With the key that the token itself was bound to: its family may be bound by the very request that spends it.
    """
    return json.dumps({"scope": params.get("scope"), "resource": params.resources, "jkt": params.jkt, "bound_to": bound})


def _is_bound(token: RefreshToken) -> bool:
    """Whether a token is bound where its family is.

    One that was spent before its family was bound is not: else a thief who refreshes with a key of their own is never found out, as the
    app that presents the same token would be refused for want of that key.
    """
    return token.token_request is None or json.loads(token.token_request)["bound_to"] is not None


def _key(refresh_token: str) -> bytes:
    """Derive the key that seals the answer; the database holds only another digest of the same token."""
    return hmac.digest(refresh_token.encode(), b"latchpin/refresh-answer", "sha256")


async def purge_expired(session: AsyncSession) -> None:
    """Remove encrypted responses whose window has ended, and tokens that expired a day ago."""
    at = clock.now()
    await session.execute(
        update(RefreshToken).where(RefreshToken.sealed.is_not(None), RefreshToken.used_at < at - WINDOW).values(sealed=None)
    )
    await session.execute(delete(RefreshToken).where(RefreshToken.expires_at < at - timedelta(days=1)))
