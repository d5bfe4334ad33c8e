"""Token exchange (RFC 8693): an API key is exchanged for a short-lived access token with the same or fewer scopes.

So that browsers, edge code and other people's programs never hold the key: a server of the key's owner hands them the token. The key
proves itself, so no app has to be registered. All tokens of a key belong to one grant, which is active only while the key is.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select

from latchpin.audit import Origin
from latchpin.identity import active_grant, grants, scopes
from latchpin.identity.active_grant import ActiveGrant
from latchpin.identity.activity import actor
from latchpin.identity.grants import NewGrant
from latchpin.identity.principal import Principal
from latchpin.identity.verified import RejectionReason, Verified, refusal_of
from latchpin.kit import same_origin
from latchpin.oauth import client_admin, issue, resources, scope
from latchpin.oauth.authorization_server import AuthorizationServer
from latchpin.oauth.clients import KEY_EXCHANGE, Client
from latchpin.oauth.errors import OAuthError, invalid_grant, invalid_request, invalid_scope, unauthorized_client
from latchpin.oauth.issue import TokenRequest, TokenResponse
from latchpin.oauth.params import Params
from latchpin.storage.models import ApiKey, OAuthClient, OAuthGrant
from latchpin.storage.models.oauth_grant import GrantKind

NAME = client_admin.EXCHANGE
API_KEY = "urn:latchpin:params:oauth:token-type:api_key"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  the name of a kind of token
_REFUSED = (
    "the API key was not accepted: check that it was copied whole, has not expired or been revoked, and is used from an allowed network"
)


def with_client(params: Params, authorization: str | None) -> Params:
    """Return the parameters with the product's own client in them, where the request names none: the key alone authenticates the caller."""
    if authorization is not None or {"client_id", "client_secret", "client_assertion"} & params.values.keys():
        return params
    return replace(params, values={**params.values, "client_id": KEY_EXCHANGE})


async def redeem(server: AuthorizationServer, client: Client, params: Params, origin: Origin) -> TokenResponse | OAuthError:
    """Exchange an API key for an access token (section 2.1); without `scope` for all that the key may."""
    _check_kinds(params)
    generation = await server.now()
    key = await _verified_key(server, params, generation, origin)
    principal = key.principal
    if client.organization_id not in (None, principal.organization_id):
        return unauthorized_client("the key belongs to another organization than this app")
    allowed = frozenset(each.value for each in principal.scopes)
    token_scopes = scope.for_token(params.get("scope"), allowed & client.scopes if client.scopes else allowed)
    if not token_scopes:
        return invalid_scope("the key has no scope that this app may have")
    token_resources = (*params.resources, *([params.values["audience"]] if params.get("audience") else []))
    if token_resources:
        async with server.database.read() as session:
            await resources.validate(session, token_resources, principal.organization_id, server.settings)
    active = await _grant(server, client, principal, generation, origin)
    if not isinstance(active, ActiveGrant):
        return active
    server.activity.app_used(client.pk, active.grant_id)
    server.activity.used_at("POST /api/oauth/token", principal, key.limiter_key, origin)
    return {
        **issue.token_response(server, active, TokenRequest(token_scopes, token_resources, jkt=params.jkt)),
        "issued_token_type": ACCESS_TOKEN,
    }


def _check_kinds(params: Params) -> None:
    if params.need("subject_token_type") != API_KEY:
        raise invalid_request(f"subject_token_type must be {API_KEY}")
    if params.get("requested_token_type") not in (None, ACCESS_TOKEN):
        raise invalid_request(f"requested_token_type must be {ACCESS_TOKEN}")
    if params.get("actor_token") is not None:
        raise invalid_request("actor_token is not supported: nobody acts for somebody else here")


async def _verified_key(server: AuthorizationServer, params: Params, generation: int, origin: Origin) -> Verified:
    """Return the valid key of a request, verified as at the API; raises OAuthError `invalid_request` (section 2.2.2), Throttled."""
    secret = params.need("subject_token").encode()
    verification = server.keys.cached(secret, generation) or await server.keys.look_up(secret, generation)
    if isinstance(verification, Verified):
        if not verification.admits(origin.address):
            verification = refusal_of(verification.principal, RejectionReason.WRONG_NETWORK)
        elif params.page is not None and params.page.encode("latin-1") not in same_origin.own_origins(server.settings):
            await server.note_refusal(refusal_of(verification.principal, RejectionReason.IN_BROWSER), origin)
            raise invalid_request(
                "an API key was sent from a web page, where everybody can read it: exchange it on your server, and have it revoked"
            )
    if not isinstance(verification, Verified):
        await server.note_refusal(verification, origin)
        raise invalid_request(_REFUSED)
    return verification


async def _grant(
    server: AuthorizationServer, client: Client, principal: Principal, generation: int, origin: Origin
) -> ActiveGrant | OAuthError:
    """Return the state of the active grant of a key and a client; creates it with the first token."""
    key_id = principal.credential.id or 0
    sid = server.exchange_sids.get((key_id, client.pk))
    if sid is not None:
        cached_grant = await server.tokens.active_grant(sid, generation)
        if isinstance(cached_grant, ActiveGrant):
            return cached_grant
    async with server.database.transaction() as session:
        key = await session.get(ApiKey, key_id, with_for_update={"key_share": True})  # one grant, also with concurrent first requests
        row = await session.get(OAuthClient, client.pk)
        if key is None or row is None:
            return invalid_request(_REFUSED)
        grant_query = select(OAuthGrant).where(OAuthGrant.api_key_id == key_id, OAuthGrant.oauth_client_id == client.pk, grants.active())
        grant = await session.scalar(grant_query.order_by(OAuthGrant.id).limit(1))
        if grant is None:
            new = NewGrant(
                client=row,
                organization_id=principal.organization_id,
                kind=GrantKind.EXCHANGE,
                scopes=scopes.serialize(principal.scopes),
                user_id=principal.user_id,
                api_key_id=key_id,
            )
            grant = await grants.create(session, new, server.settings)
            grants.activate(session, grant, row, by=actor(principal, origin))
        active = await active_grant.by_id(session, grant.id, server.settings)
    if not isinstance(active, ActiveGrant):
        return invalid_grant("the key's own right has ended")
    server.exchange_sids.put((key_id, client.pk), active.sid)
    return active
