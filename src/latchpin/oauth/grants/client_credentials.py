"""`client_credentials` (RFC 6749 section 4.4): a confidential client acts on its own behalf, with what an administrator assigned.

Its principal is a service of its organization, never a user: `sub` is the client_id, which no user's `sub` can be (RFC 9068 section 5).
All tokens of a client belong to one grant, so issuing one writes nothing.
"""

from __future__ import annotations

import asyncio

from sqlalchemy import select

from latchpin.audit import Origin
from latchpin.identity import active_grant, grants
from latchpin.identity.active_grant import ActiveGrant
from latchpin.identity.grants import NewGrant
from latchpin.identity.scopes import ALL
from latchpin.oauth import issue, resources, scope
from latchpin.oauth.authorization_server import AuthorizationServer, actor
from latchpin.oauth.clients import Client
from latchpin.oauth.errors import OAuthError, invalid_grant, invalid_request, invalid_scope, unauthorized_client
from latchpin.oauth.issue import TokenRequest, TokenResponse
from latchpin.oauth.params import Params
from latchpin.storage.models import OAuthClient, OAuthGrant
from latchpin.storage.models.oauth_grant import GrantKind

NAME = "client_credentials"
_API = frozenset(each.value for each in ALL)


async def redeem(server: AuthorizationServer, client: Client, params: Params, origin: Origin) -> TokenResponse | OAuthError:
    """Issue a token for the client itself; without `scope` all that was assigned. No refresh token (section 4.4.3)."""
    if client.is_public or client.organization_id is None:
        return unauthorized_client("client_credentials is for confidential clients that an administrator registered")
    assigned = client.scopes & _API
    if not assigned:
        return invalid_scope("no scope was assigned to this client by an administrator")
    token_scopes = scope.requested_scopes(params.get("scope"), assigned, offline=False)
    generation = await server.now()
    active = await _service(server, client, generation, origin)
    if not isinstance(active, ActiveGrant):
        return active
    if params.resources:
        async with server.database.read() as session:
            await resources.validate(session, params.resources, client.organization_id, server.settings)
    server.activity.app_used(client.pk)
    # OpenSSL signs without holding Python up, so this core serves others meanwhile.
    return await asyncio.to_thread(issue.token_response, server, active, TokenRequest(token_scopes, params.resources, jkt=params.jkt))


async def _service(server: AuthorizationServer, client: Client, generation: int, origin: Origin) -> ActiveGrant | OAuthError:
    """Return the state of the client's own grant; creates the grant with the client's first token."""
    sid = server.service_sids.get(client.pk)
    if sid is not None:
        cached_grant = await server.tokens.active_grant(sid, generation)
        if isinstance(cached_grant, ActiveGrant):
            return cached_grant
    if client.organization_id is None:
        return invalid_request("the client belongs to no organization")
    async with server.database.transaction() as session:
        row = await session.get(OAuthClient, client.pk, with_for_update={"key_share": True})  # one grant, also if many ask first
        grant = await session.scalar(
            select(OAuthGrant).where(
                OAuthGrant.oauth_client_id == client.pk, OAuthGrant.kind == GrantKind.SERVICE, OAuthGrant.ended_at.is_(None)
            )
        )
        if row is None:
            return invalid_grant("the client is gone")
        if grant is None:
            new = NewGrant(client=row, organization_id=client.organization_id, kind=GrantKind.SERVICE, scopes=" ".join(sorted(_API)))
            grant = await grants.create(session, new, server.settings)
            grants.activate(session, grant, row, by=actor(client, origin))
        active = await active_grant.by_id(session, grant.id, server.settings)
    if not isinstance(active, ActiveGrant):
        return invalid_grant("the client's own right has ended")
    server.service_sids.put(client.pk, active.sid)
    return active
