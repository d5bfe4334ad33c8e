"""Dynamic client registration (RFC 7591), and management of the registered entry (RFC 7592)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response, delete, get, post, put, route
from litestar.enums import HttpMethod
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from latchpin.kit import client_subnet, context, rate_limit
from latchpin.oauth import authorization_server, client_metadata, registration, request_limits
from latchpin.oauth.authorization_server import AnyRequest, AuthorizationServer
from latchpin.oauth.endpoints.responses import CORS, NO_STORE, json_response, preflight
from latchpin.oauth.errors import OAuthError
from latchpin.storage.models import OAuthClient

PATH = "/api/oauth/register"
_CARE = 6  # requests about entries that are there for each registration that an address may make
ClientId = FromPath[str]


def is_offered(server: AuthorizationServer) -> bool:
    """Whether there is an endpoint at all."""
    return server.settings.registration != "off"


@post(PATH, status_code=201)
async def register(request: AnyRequest) -> Response[bytes]:
    """Register an app (RFC 7591 section 3.1)."""
    server, origin = _require_offered(request), authorization_server.origin_of(request)
    await _limit(server, request, "register", server.settings.registration_limit)
    if not registration.may_register(server.settings, _bearer(request)):
        raise _refused("registration needs the initial access token")
    metadata = await _metadata(request)
    await request_limits.require_room(server, "registrations", origin.address, most=server.settings.registration_limit)
    async with server.database.transaction() as session:
        registered_client = await registration.register(session, metadata, settings=server.settings, secrets=server.secrets, origin=origin)
        body = _client_information(server, registered_client.client, registered_client.token, registered_client.secret, metadata)
    return json_response(body, status=201)


@get(PATH + "/{client_id:str}")
async def show(request: AnyRequest, client_id: ClientId) -> Response[bytes]:
    """Return an app's entry (RFC 7592 section 2.1). Its secret is stored as a digest only, so it is not returned again."""
    server, token = _require_offered(request), _bearer(request)
    await _limit(server, request, "registration", server.settings.registration_limit * _CARE)
    async with server.database.read() as session:
        client = _require_client(await registration.find(session, client_id, token, lock=False))
        return json_response(_client_information(server, client, token or "", None, {}))


@put(PATH + "/{client_id:str}")
async def replace(request: AnyRequest, client_id: ClientId) -> Response[bytes]:
    """Replace an app's entry by what it sends (RFC 7592 section 2.2)."""
    server, token, origin = _require_offered(request), _bearer(request), authorization_server.origin_of(request)
    await _limit(server, request, "registration", server.settings.registration_limit * _CARE)
    metadata = await _metadata(request)
    await _room_for_change(server, request, client_id, token)
    async with server.database.transaction() as session:
        client = _require_client(await registration.find(session, client_id, token))
        secret = await registration.change(session, client, metadata, secrets=server.secrets, origin=origin)
        body = _client_information(server, client, token or "", secret, metadata)
    return json_response(body)


@delete(PATH + "/{client_id:str}", status_code=200)
async def remove(request: AnyRequest, client_id: ClientId) -> Response[bytes]:
    """Remove an app at its own request (RFC 7592 section 2.3)."""
    server, token = _require_offered(request), _bearer(request)
    await _limit(server, request, "registration", server.settings.registration_limit * _CARE)
    await _room_for_change(server, request, client_id, token)
    async with server.database.transaction() as session:
        client = _require_client(await registration.find(session, client_id, token))
        await registration.remove(session, client, authorization_server.origin_of(request))
    return Response(b"", status_code=204, headers={**NO_STORE, **CORS}, media_type=None)


@route(PATH, http_method=[HttpMethod.OPTIONS])
async def register_preflight() -> Response[bytes]:
    """Let other sites' pages ask."""
    return preflight("POST")


@route(PATH + "/{client_id:str}", http_method=[HttpMethod.OPTIONS])
async def entry_preflight() -> Response[bytes]:
    """Let other sites' pages ask."""
    return preflight("GET, PUT, DELETE")


# OPTIONS first: Litestar gives a path that it sees without one an answer of its own, for good.
HANDLERS = (register_preflight, entry_preflight, register, show, replace, remove)


def _require_offered(request: AnyRequest) -> AuthorizationServer:
    server = authorization_server.of(request)
    if not is_offered(server):
        raise NotFoundException
    return server


async def _limit(server: AuthorizationServer, request: AnyRequest, what: str, limit: int) -> None:
    key = f"{what}:{client_subnet.of(authorization_server.origin_of(request).address)}"
    detail = "too many registrations from this address; wait {left} seconds"
    await rate_limit.require(server.counter, key, seconds=request_limits.HOUR, most=limit, detail=detail)


async def _room_for_change(server: AuthorizationServer, request: AnyRequest, client_id: str, token: str | None) -> None:
    """Count a change of an entry, which leaves a row in the audit trail, where the token is the app's; raises OAuthError, Throttled."""
    async with server.database.read() as session:
        _require_client(await registration.find(session, client_id, token, lock=False))
    most = server.settings.registration_limit * _CARE
    await request_limits.require_room(server, "changes_of_apps", authorization_server.origin_of(request).address, most=most)


def _bearer(request: AnyRequest) -> str | None:
    """Return the Bearer token of a request, None where there is none (RFC 6750 section 2.1)."""
    scheme, _, token = context.of(request.scope).request_headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _refused(description: str) -> OAuthError:
    return OAuthError(
        "invalid_token", description, status=401, headers={"WWW-Authenticate": 'Bearer realm="latchpin", error="invalid_token"'}
    )


def _require_client(client: OAuthClient | None) -> OAuthClient:
    if client is None:  # one response for a wrong token and an unknown app (RFC 7592 section 2.1)
        raise _refused("the registration access token is not this app's")
    return client


async def _metadata(request: AnyRequest) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise client_metadata.invalid("send the metadata as application/json")
    try:
        metadata = msgspec.json.decode(await request.body())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise client_metadata.invalid("the body is not JSON") from None
    if not isinstance(metadata, dict):
        raise client_metadata.invalid("the body is not a JSON object")
    return metadata


def _client_information(
    server: AuthorizationServer, client: OAuthClient, token: str, secret: str | None, metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Return an app's entry in the response format (RFC 7591 section 3.2.1, RFC 7592 section 3).

    A member of our own, `latchpin_notes`, tells developers what differs from what they sent, or may surprise them.
    """
    information: dict[str, Any] = {
        "client_id": client.client_id,
        "client_id_issued_at": int(client.created_at.timestamp()),
        "registration_access_token": token,
        "registration_client_uri": f"{server.issuer}{PATH}/{client.client_id}",
        "client_name": client.name,
        "redirect_uris": json.loads(client.redirect_uris),
        "grant_types": client.grant_types.split(),
        "response_types": ["code"] if "authorization_code" in client.grant_types.split() else [],
        "token_endpoint_auth_method": client.auth_method,
        "application_type": client.application_type,
        client_metadata.REQUIRE_PUSHED: client.require_pushed,
        client_metadata.DPOP_BOUND: client.dpop_bound,
    }
    optional = {
        "client_secret": secret,
        "client_secret_expires_at": 0 if secret else None,
        "scope": client.scopes,
        "post_logout_redirect_uris": json.loads(client.post_logout_redirect_uris),
        "jwks": json.loads(client.jwks) if client.jwks else None,
        "jwks_uri": client.jwks_uri,
        "client_uri": client.client_uri,
        "latchpin_notes": client_metadata.notes(metadata, client),
    }
    return information | {name: value for name, value in optional.items() if value or value == 0}
