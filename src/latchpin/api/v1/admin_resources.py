"""API resources under /api/v1/admin/: servers that accept our tokens; for administrators signed in to the Control Center."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, delete, get, patch, post
from litestar.params import PathParameter
from litestar.response import Response

from latchpin import services
from latchpin.api import bodies
from latchpin.api.bodies import Body, Name, Time, json_body
from latchpin.api.example_times import CREATED_AT, UPDATED_AT
from latchpin.api.routing import INT32, CamelStruct, actor, database, principal, problems, requires
from latchpin.api.v1 import app_wire as wire
from latchpin.api.v1.admin_users import NO_STORE, TAG
from latchpin.api.v1.app_wire import CLIENT_ID_EXAMPLE, SECRET_ENTRY_EXAMPLE, SECRET_EXAMPLE, Rotation, SecretMade, SecretOut
from latchpin.identity import roles
from latchpin.oauth import resource_admin
from latchpin.oauth.resource_admin import Resource, ResourceFields

ResourceId = Annotated[int, PathParameter(ge=1, le=INT32, description="The API resource's id.")]
_ADMINISTER = requires(roles.ADMINISTER)
_CHANGE = requires(roles.ADMINISTER, reauth=True)


class ResourceOut(CamelStruct, frozen=True):
    """A server that accepts our tokens. `identifier` is the `resource` that apps request and the `aud` of the tokens (RFC 8707).

    With `clientId` and its secret the server introspects tokens by HTTP Basic (RFC 7662). With `mayCallApi` our own API accepts its
    tokens too.
    """

    id: int
    name: Name
    identifier: Name
    may_call_api: bool
    client_id: str
    secrets: list[SecretOut]
    created: Time


class NewResource(Body, frozen=True):
    """A resource to register. `identifier` is its https address without query and fragment, and cannot be changed."""

    name: Name
    identifier: Name
    may_call_api: bool = False


class ResourceChange(Body, frozen=True):
    """The fields to change; omitted fields keep their values."""

    name: Name | None = None
    may_call_api: bool | None = None


class ResourceMade(CamelStruct, frozen=True):
    """A new resource. `clientSecret` is the secret of its server, shown only this once."""

    resource: ResourceOut
    client_secret: str


def to_schema(resource: Resource) -> ResourceOut:
    """Return a resource as the API shows it."""
    return ResourceOut(
        id=resource.row.id,
        name=resource.row.name,
        identifier=resource.row.identifier,
        may_call_api=resource.row.may_call_api,
        client_id=resource.client.client_id,
        secrets=wire.secrets_of(resource.secrets),
        created=resource.row.created_at,
    )


@get("/admin/resources", operation_id="listResources", summary="List API resources", tags=[TAG], opt=_ADMINISTER, responses=problems())
async def list_resources(request: Request[Any, Any, Any]) -> list[ResourceOut]:
    """Return the organization's API resources by name."""
    async with database(request).read() as session:
        return [to_schema(each) for each in await resource_admin.list_all(session, principal(request).organization_id)]


@post(
    "/admin/resources",
    operation_id="createResource",
    summary="Register an API resource",
    tags=[TAG],
    opt=_CHANGE | json_body(NewResource),
    responses=problems(409, 422),
)
async def create_resource(request: Request[Any, Any, Any]) -> Response[ResourceMade]:
    """Register a server that accepts our tokens. Only this response shows the secret with which it introspects them."""
    body = await bodies.read(request, NewResource)
    fields = ResourceFields(name=body.name, identifier=body.identifier, may_call_api=body.may_call_api)
    server, organization_id = services.of(request), principal(request).organization_id
    async with server.database.transaction() as session:
        created_resource = await resource_admin.create(
            session, organization_id, fields, settings=server.settings, secrets=server.secrets, by=actor(request)
        )
    return Response(ResourceMade(resource=to_schema(created_resource.resource), client_secret=created_resource.secret), headers=NO_STORE)


@get(
    "/admin/resources/{resource_id:int}",
    operation_id="getResource",
    summary="One API resource",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(404),
)
async def get_resource(request: Request[Any, Any, Any], resource_id: ResourceId) -> ResourceOut:
    """Return one API resource."""
    async with database(request).read() as session:
        return to_schema(await resource_admin.get(session, principal(request).organization_id, resource_id))


@patch(
    "/admin/resources/{resource_id:int}",
    operation_id="changeResource",
    summary="Change an API resource",
    tags=[TAG],
    opt=_CHANGE | json_body(ResourceChange),
    responses=problems(404, 422),
)
async def change_resource(request: Request[Any, Any, Any], resource_id: ResourceId) -> ResourceOut:
    """Change a resource's name, or whether its tokens may call our API too."""
    body = await bodies.read(request, ResourceChange)
    async with database(request).transaction() as session:
        resource = await resource_admin.get(session, principal(request).organization_id, resource_id)
        await resource_admin.change(
            session,
            resource,
            name=resource.row.name if body.name is None else body.name,
            may_call_api=resource.row.may_call_api if body.may_call_api is None else body.may_call_api,
            by=actor(request),
        )
        return to_schema(resource)


@post(
    "/admin/resources/{resource_id:int}/rotate-secret",
    operation_id="rotateResourceSecret",
    summary="Rotate a resource server's secret",
    tags=[TAG],
    status_code=200,
    opt=_CHANGE | json_body(Rotation),
    responses=problems(404, 422),
)
async def rotate_secret(request: Request[Any, Any, Any], resource_id: ResourceId) -> Response[SecretMade]:
    """Create a new secret for introspection, which only this response shows. The previous one stays valid for the requested time."""
    body = await bodies.read(request, Rotation)
    server, organization_id = services.of(request), principal(request).organization_id
    async with server.database.transaction() as session:
        resource = await resource_admin.get(session, organization_id, resource_id)
        secret = await resource_admin.rotate_secret(session, resource, secrets=server.secrets, overlap=body.overlap, by=actor(request))
        active_secrets = (await resource_admin.get(session, organization_id, resource_id)).secrets
    return Response(SecretMade(client_secret=secret, older_expires=active_secrets[0].expires_at), headers=NO_STORE)


@delete(
    "/admin/resources/{resource_id:int}",
    operation_id="deleteResource",
    summary="Delete an API resource",
    tags=[TAG],
    opt=_CHANGE,
    responses=problems(404),
)
async def delete_resource(request: Request[Any, Any, Any], resource_id: ResourceId) -> None:
    """Delete a resource: no new token is issued for it, and its server can no longer introspect tokens."""
    async with database(request).transaction() as session:
        resource = await resource_admin.get(session, principal(request).organization_id, resource_id)
        await resource_admin.delete(session, resource, by=actor(request))


# What the OpenAPI document shows of these routes, made from the very structs, so that it misses no field.
_RESOURCE = ResourceOut(
    id=1,
    name="Data service",
    identifier="https://data.northwind.example",
    may_call_api=False,
    client_id=CLIENT_ID_EXAMPLE,
    secrets=[SECRET_ENTRY_EXAMPLE],
    created=CREATED_AT,
)
RESPONSE_EXAMPLES: dict[str, Any] = {
    "listResources": [_RESOURCE],
    "createResource": ResourceMade(resource=_RESOURCE, client_secret=SECRET_EXAMPLE),
    "getResource": _RESOURCE,
    "changeResource": _RESOURCE,
    "rotateResourceSecret": SecretMade(client_secret=SECRET_EXAMPLE, older_expires=UPDATED_AT),
}
BODY_EXAMPLES: dict[str, Any] = {
    "createResource": {"name": "Data service", "identifier": "https://data.northwind.example", "mayCallApi": False},
    "changeResource": {"mayCallApi": True},
    "rotateResourceSecret": {"overlapHours": 24},
}


HANDLERS = [list_resources, create_resource, get_resource, change_resource, rotate_secret, delete_resource]
