"""API keys of users, and the policy for them, under /api/v1/admin/: for administrators signed in to the Control Center.

The full key is only in the response to the request that creates it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, patch, post, put
from litestar.params import PathParameter
from litestar.response import Response

from latchpin import services
from latchpin.api import bodies
from latchpin.api.bodies import LINE, Body, OptionalText, Time, json_body
from latchpin.api.example_times import CREATED_AT
from latchpin.api.routing import INT32, CamelStruct, actor, database, principal, problems, read_body, requires
from latchpin.api.v1.admin_users import NO_STORE, TAG, UserId
from latchpin.identity import active_keys, api_keys, policy, roles, scopes, users
from latchpin.identity.policy import KeyPolicy
from latchpin.identity.scopes import SETS, Access, serialize
from latchpin.storage.models import ApiKey

KeyId = Annotated[int, PathParameter(ge=1, le=INT32, description="The API key's id.")]
_ADMINISTER = requires(roles.ADMINISTER)
_CHANGE = requires(roles.ADMINISTER, reauth=True)


class ApiKeyOut(CamelStruct, frozen=True):
    """An API key as stored: `prefix` identifies it, the key itself is never shown. `access` is null for a set of scopes without a name."""

    id: int
    user_id: int
    description: str | None
    prefix: str
    access: Access | None
    scopes: list[str]
    networks: list[str]
    rate_limit: int | None
    status: str
    created: Time
    created_by: str
    expires: Time
    last_used: Time | None
    last_used_address: str | None
    revoked: Time | None
    revoked_by: str | None
    revoked_reason: str | None


class NewApiKey(Body, frozen=True):
    """A key to create. Without `expires` the policy's default applies. `networks` are CIDR texts; `rateLimit` is requests per window."""

    expires: Time | None = None
    description: OptionalText | None = None
    access: Access = Access.FULL
    networks: Annotated[tuple[str, ...], msgspec.Meta(max_length=50)] = ()
    rate_limit: int | None = None


class ApiKeyMade(CamelStruct, frozen=True):
    """A new key. `key` is the full key, shown only this once: the server keeps only a hash of it."""

    key: str
    api_key: ApiKeyOut


class NewExpiry(Body, frozen=True):
    """The new expiry of the key."""

    expires: Time


class Revocation(Body, frozen=True):
    """The reason for revoking the key; stored with the key and in the audit log."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=LINE)] = "revoked by an administrator"


class KeyPolicyOut(CamelStruct, frozen=True):
    """Lifetimes of API keys in days, as in force. `deploymentMaxDays` is the deployment's maximum, which the organization cannot exceed."""

    default_days: int
    max_days: int
    deployment_max_days: int


class KeyPolicyChange(Body, frozen=True):
    """The organization's lifetimes in days; null means the deployment's setting."""

    default_days: int | None
    max_days: int | None


def to_schema(key: ApiKey) -> ApiKeyOut:
    """Return a key's entry as the API shows it."""
    key_scopes = scopes.parse(key.scopes)
    return ApiKeyOut(
        id=key.id,
        user_id=key.user_id,
        description=key.description,
        prefix=key.prefix,
        access=scopes.access_of(key_scopes),
        scopes=key.scopes.split(),
        networks=key.networks.split(),
        rate_limit=key.rate_limit,
        status=active_keys.status(key),
        created=key.created_at,
        created_by=key.created_by_name,
        expires=key.expires_at,
        last_used=key.last_used_at,
        last_used_address=key.last_used_address,
        revoked=key.revoked_at,
        revoked_by=key.revoked_by_name,
        revoked_reason=key.revoked_reason,
    )


@get(
    "/admin/users/{user_id:int}/keys",
    operation_id="listApiKeys",
    summary="API keys of a user",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(404),
)
async def list_keys(request: Request[Any, Any, Any], user_id: UserId) -> list[ApiKeyOut]:
    """Return a user's keys, revoked and expired ones included, newest first."""
    async with database(request).read_list() as session:
        user = await users.get(session, principal(request).organization_id, user_id)
        return [to_schema(key) for key in await api_keys.of_user(session, user.id)]


@post(
    "/admin/users/{user_id:int}/keys",
    operation_id="createApiKey",
    summary="Create an API key",
    tags=[TAG],
    opt=_CHANGE | json_body(NewApiKey),
    responses=problems(404, 409, 422),
)
async def create_key(request: Request[Any, Any, Any], user_id: UserId) -> Response[ApiKeyMade]:
    """Create a key that acts for the user. Only this response shows it; a lost key can only be deleted and replaced."""
    body = await bodies.read(request, NewApiKey)
    new = api_keys.KeyParameters(
        expires_at=body.expires,
        description=body.description,
        access=body.access,
        networks=body.networks,
        rate_limit=body.rate_limit,
    )
    server, organization_id = services.of(request), principal(request).organization_id
    async with server.database.transaction() as session:
        user = await users.get(session, organization_id, user_id)
        rules = await policy.get(session, organization_id, server.settings)
        issued_key = await api_keys.create(session, user, new, policy=rules, secrets=server.secrets, by=actor(request))
    return Response(ApiKeyMade(key=issued_key.secret, api_key=to_schema(issued_key.key)), headers=NO_STORE)


@get(
    "/admin/keys/{key_id:int}",
    operation_id="getApiKey",
    summary="One API key",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(404),
)
async def get_key(request: Request[Any, Any, Any], key_id: KeyId) -> ApiKeyOut:
    """Return one key's entry."""
    async with database(request).read() as session:
        return to_schema(await api_keys.get(session, principal(request).organization_id, key_id))


@patch(
    "/admin/keys/{key_id:int}",
    operation_id="changeApiKeyExpiry",
    summary="Change a key's expiry",
    tags=[TAG],
    opt=_CHANGE | json_body(NewExpiry),
    responses=problems(404, 409, 422),
)
async def change_expiry(request: Request[Any, Any, Any], key_id: KeyId) -> ApiKeyOut:
    """Set another expiry, within the policy. This makes an expired key valid again, but not a revoked one."""
    body = await bodies.read(request, NewExpiry)
    organization_id = principal(request).organization_id
    async with database(request).transaction() as session:
        key = await api_keys.get(session, organization_id, key_id)
        rules = await policy.get(session, organization_id, services.of(request).settings)
        return to_schema(await api_keys.change_expiry(session, key, body.expires, policy=rules, by=actor(request)))


@post(
    "/admin/keys/{key_id:int}/revoke",
    operation_id="revokeApiKey",
    summary="Revoke an API key",
    tags=[TAG],
    status_code=204,
    opt=_CHANGE | json_body(Revocation, may_be_empty=True),
    responses=problems(404, 422),
)
async def revoke_key(request: Request[Any, Any, Any], key_id: KeyId) -> None:
    """Revoke a key for good: no request that begins after this response is accepted. Doing it twice changes nothing."""
    body = await bodies.read(request, Revocation) if await read_body(request) else Revocation()
    async with database(request).transaction() as session:
        key = await api_keys.get(session, principal(request).organization_id, key_id)
        await api_keys.revoke(session, key, by=actor(request), reason=body.reason)


@delete(
    "/admin/keys/{key_id:int}",
    operation_id="deleteApiKey",
    summary="Delete an API key",
    tags=[TAG],
    opt=_CHANGE,
    responses=problems(404),
)
async def delete_key(request: Request[Any, Any, Any], key_id: KeyId) -> None:
    """Delete a key's entry; this also revokes a valid key. The audit log keeps its history."""
    async with database(request).transaction() as session:
        key = await api_keys.get(session, principal(request).organization_id, key_id)
        await api_keys.delete(session, key, by=actor(request))


@get(
    "/admin/key-policy",
    operation_id="getKeyPolicy",
    summary="Lifetimes of API keys",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(),
)
async def get_policy(request: Request[Any, Any, Any]) -> KeyPolicyOut:
    """Return the allowed lifetimes of keys."""
    async with database(request).read() as session:
        return _policy(await policy.get(session, principal(request).organization_id, services.of(request).settings))


@put(
    "/admin/key-policy",
    operation_id="changeKeyPolicy",
    summary="Change the lifetimes of API keys",
    tags=[TAG],
    opt=_CHANGE | json_body(KeyPolicyChange),
    responses=problems(422),
)
async def change_policy(request: Request[Any, Any, Any]) -> KeyPolicyOut:
    """Set the allowed lifetimes of new keys. Existing keys keep their expiry."""
    body = await bodies.read(request, KeyPolicyChange)
    organization_id, settings = principal(request).organization_id, services.of(request).settings
    async with database(request).transaction() as session:
        rules = await policy.change(
            session, organization_id, settings, default_days=body.default_days, max_days=body.max_days, by=actor(request)
        )
    return _policy(rules)


def _policy(rules: KeyPolicy) -> KeyPolicyOut:
    return KeyPolicyOut(default_days=rules.default_days, max_days=rules.max_days, deployment_max_days=rules.deployment_max_days)


# What the OpenAPI document shows of these routes, made from the very structs, so that it misses no field.
_KEY = ApiKeyOut(
    id=1,
    user_id=2,
    description="Nightly export",
    prefix="sk-lp_9xQz",
    access=Access.READ_ONLY,
    scopes=serialize(SETS[Access.READ_ONLY]).split(),
    networks=["203.0.113.0/24"],
    rate_limit=None,
    status="active",
    created=CREATED_AT,
    created_by="Maya Lindqvist",
    expires=datetime(2027, 11, 20, 9, 30, tzinfo=UTC),
    last_used=None,
    last_used_address=None,
    revoked=None,
    revoked_by=None,
    revoked_reason=None,
)
RESPONSE_EXAMPLES: dict[str, Any] = {
    "listApiKeys": [_KEY],
    "createApiKey": ApiKeyMade(key="sk-lp_ and 49 more letters and digits, shown here once", api_key=_KEY),
    "getApiKey": _KEY,
    "changeApiKeyExpiry": _KEY,
    "getKeyPolicy": KeyPolicyOut(default_days=365, max_days=730, deployment_max_days=730),
    "changeKeyPolicy": KeyPolicyOut(default_days=90, max_days=365, deployment_max_days=730),
}
BODY_EXAMPLES: dict[str, Any] = {
    "createApiKey": {"description": "Nightly export", "access": "read-only", "networks": ["203.0.113.0/24"]},
    "changeApiKeyExpiry": {"expires": "2027-11-20T23:59:59Z"},
    "revokeApiKey": {"reason": "Found in a public repository"},
    "changeKeyPolicy": {"defaultDays": 90, "maxDays": 365},
}


HANDLERS = [list_keys, create_key, get_key, change_expiry, revoke_key, delete_key, get_policy, change_policy]
