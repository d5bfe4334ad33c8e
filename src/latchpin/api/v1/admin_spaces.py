"""Spaces and their members under /api/v1/admin/: for administrators signed in to the Control Center."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, post, put

from latchpin.api import bodies
from latchpin.api.bodies import Body, Name, OptionalText, json_body
from latchpin.api.routing import CamelStruct, actor, database, principal, problems, requires
from latchpin.api.v1 import spaces as wire
from latchpin.api.v1.admin_users import TAG, UserId
from latchpin.api.v1.spaces import SPACE_EXAMPLE, SpaceId, SpaceOut
from latchpin.identity import roles, spaces, users
from latchpin.identity.roles import Role
from latchpin.storage.models.space import SpaceScope

_ADMINISTER = requires(roles.ADMINISTER)


class RoleName(StrEnum):
    """What a member may do in a Space; each role includes the ones before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    EDITOR = "editor"


class SpaceEntry(Body, frozen=True):
    """A Space's fields. `runRetentionHours` null keeps finished runs; `isDefaultAccess` lets every user of the organization operate it."""

    name: Name
    description: OptionalText | None = None
    scope: SpaceScope = SpaceScope.PRIVATE
    is_default_access: bool = False
    run_retention_hours: Annotated[int, msgspec.Meta(ge=1, le=87_600)] | None = None


class MemberEntry(Body, frozen=True):
    """The role to give to a user."""

    role: RoleName


class MemberOut(CamelStruct, frozen=True):
    """A user who is a member of a Space."""

    user_id: int
    full_name: str
    email: str
    role: RoleName


@post(
    "/admin/spaces",
    operation_id="createSpace",
    summary="Create a Space",
    tags=[TAG],
    opt=_ADMINISTER | json_body(SpaceEntry),
    responses=problems(422),
)
async def create_space(request: Request[Any, Any, Any]) -> SpaceOut:
    """Create a Space."""
    fields = _read_fields(await bodies.read(request, SpaceEntry))
    async with database(request).transaction() as session:
        space = await spaces.create(session, principal(request).organization_id, fields, by=actor(request))
        groups = await spaces.group_access(session, [space])
    return wire.to_schema(space, groups[space.id], principal(request))


@put(
    "/admin/spaces/{space_id:int}",
    operation_id="changeSpace",
    summary="Change a Space",
    tags=[TAG],
    opt=_ADMINISTER | json_body(SpaceEntry),
    responses=problems(404, 422),
)
async def change_space(request: Request[Any, Any, Any], space_id: SpaceId) -> SpaceOut:
    """Set all fields of a Space; omitted fields get their defaults."""
    fields = _read_fields(await bodies.read(request, SpaceEntry))
    async with database(request).transaction() as session:
        space = await spaces.owned(session, principal(request).organization_id, space_id)
        await spaces.change(session, space, fields, by=actor(request))
        groups = await spaces.group_access(session, [space])
    return wire.to_schema(space, groups[space.id], principal(request))


@delete(
    "/admin/spaces/{space_id:int}",
    operation_id="deleteSpace",
    summary="Delete a Space",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(404, 409),
)
async def delete_space(request: Request[Any, Any, Any], space_id: SpaceId) -> None:
    """Delete a Space that has no agents left; archived agents count too."""
    async with database(request).transaction() as session:
        space = await spaces.owned(session, principal(request).organization_id, space_id)
        await spaces.delete(session, space, by=actor(request))


@get(
    "/admin/spaces/{space_id:int}/members",
    operation_id="listMembers",
    summary="Members of a Space",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(404),
)
async def list_members(request: Request[Any, Any, Any], space_id: SpaceId) -> list[MemberOut]:
    """Return the members by name. Administrators have access without being members, and are listed only if they are."""
    async with database(request).read() as session:
        space = await spaces.owned(session, principal(request).organization_id, space_id)
        members = await spaces.members(session, space.id)
    return [
        MemberOut(user_id=each.user.id, full_name=each.user.full_name, email=each.user.email, role=RoleName(each.role.word))
        for each in members
    ]


@put(
    "/admin/spaces/{space_id:int}/members/{user_id:int}",
    operation_id="setMember",
    summary="Set a member's role",
    tags=[TAG],
    status_code=204,
    opt=_ADMINISTER | json_body(MemberEntry),
    responses=problems(404, 422),
)
async def set_member(request: Request[Any, Any, Any], space_id: SpaceId, user_id: UserId) -> None:
    """Make a user of the organization a member, or give a member another role. Takes effect at the next request."""
    body = await bodies.read(request, MemberEntry)
    await _set(request, space_id, user_id, Role[body.role.name])


@delete(
    "/admin/spaces/{space_id:int}/members/{user_id:int}",
    operation_id="removeMember",
    summary="Remove a member",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(404),
)
async def remove_member(request: Request[Any, Any, Any], space_id: SpaceId, user_id: UserId) -> None:
    """Remove a user from a Space; takes effect at the next request. Removing somebody who is not a member changes nothing."""
    await _set(request, space_id, user_id, None)


async def _set(request: Request[Any, Any, Any], space_id: int, user_id: int, role: Role | None) -> None:
    organization_id = principal(request).organization_id
    async with database(request).transaction() as session:
        space = await spaces.owned(session, organization_id, space_id)
        user = await users.get(session, organization_id, user_id)
        await spaces.set_member(session, space, user, role, by=actor(request))


def _read_fields(body: SpaceEntry) -> spaces.SpaceFields:
    return spaces.SpaceFields(
        name=body.name,
        description=body.description,
        scope=body.scope,
        is_default_access=body.is_default_access,
        run_retention_hours=body.run_retention_hours,
    )


# What the OpenAPI document shows of these routes, made from the very structs, so that it misses no field.
_SPACE_BODY = {"name": "Retail", "description": "Shops and prices.", "scope": "Private", "runRetentionHours": 720}
RESPONSE_EXAMPLES: dict[str, Any] = {
    "createSpace": SPACE_EXAMPLE,
    "changeSpace": SPACE_EXAMPLE,
    "listMembers": [MemberOut(user_id=2, full_name="Jonas Weber", email="jonas@northwind.example", role=RoleName.EDITOR)],
}
BODY_EXAMPLES: dict[str, Any] = {
    "createSpace": _SPACE_BODY,
    "changeSpace": _SPACE_BODY,
    "setMember": {"role": "editor"},
}


HANDLERS = [create_space, change_space, delete_space, list_members, set_member, remove_member]
