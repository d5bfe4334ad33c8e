"""Building the token endpoint's response (RFC 6749 section 5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin import secret_forms
from latchpin.audit import Actor
from latchpin.identity import activity, credentials, dpop, tokens
from latchpin.identity.active_grant import ActiveGrant
from latchpin.identity.scopes import OPENID
from latchpin.kit import clock
from latchpin.oauth.authorization_server import AuthorizationServer
from latchpin.storage.models import OAuthGrant, RefreshToken

REFRESH_PREFIX = secret_forms.REFRESH_TOKEN.prefix
_rows: Table = RefreshToken.__table__  # type: ignore[assignment]  # a Table, which SQLAlchemy types as less than it is
_ADD = insert(_rows).returning(_rows.c.id)  # built once: that takes longer than running it
TokenResponse = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """The content of one response: scopes and resources of the access token, and the nonce of the request for the ID token.

    With `jkt` the access token is bound to the key of that thumbprint (RFC 9449 section 5).
    """

    scope: Iterable[str]
    resource: Sequence[str] = ()
    nonce: str | None = None
    jkt: str | None = None


def token_response(
    server: AuthorizationServer, active: ActiveGrant, token_request: TokenRequest, *, refresh: str | None = None
) -> TokenResponse:
    """Sign the tokens of one response, with an ID token for the scope `openid`."""
    access = tokens.access_token(
        server.ring, server.settings, active, scope=token_request.scope, resource=token_request.resource, jkt=token_request.jkt
    )
    response: TokenResponse = {
        "access_token": access.token,
        "token_type": "Bearer" if token_request.jkt is None else dpop.SCHEME,
        "expires_in": access.expires_in,
        "scope": access.scope,
    }
    if refresh is not None:
        response["refresh_token"] = refresh
    if OPENID in token_request.scope:
        response["id_token"] = tokens.id_token(server.ring, server.settings, active, nonce=token_request.nonce, access=access.token)
    return response


async def new_refresh_token(session: AsyncSession, server: AuthorizationServer, grant: OAuthGrant) -> tuple[str, int]:
    """Make the next refresh token of a grant; it expires when it is idle, and ends with its grant.

    Returns the text, which is nowhere else, and the row's id.
    """
    text, at = REFRESH_PREFIX + credentials.new_token(), clock.now()
    row = {
        "digest": credentials.token_digest(text),
        "grant_id": grant.id,
        "created_at": at,
        "expires_at": min(at + timedelta(days=server.settings.refresh_idle_days), grant.expires_at),
    }
    return text, (await session.execute(_ADD, row)).scalar_one()


def actor(active: ActiveGrant, by: Actor) -> Actor:
    """Return the audit trail's view of an app that acts for a grant's user."""
    return activity.actor(active.principal, by.origin)
