"""Users under /api/v1/admin/: an addition of Latchpin's own, for administrators signed in to the Control Center."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.params import PathParameter, QueryParameter
from litestar.response import Response

from latchpin.api import bodies
from latchpin.api.bodies import Body, Name, Time, json_body
from latchpin.api.example_times import CREATED_AT, UPDATED_AT
from latchpin.api.parameters import text_parameter
from latchpin.api.routing import INT32, CamelStruct, actor, database, principal, problems, requires
from latchpin.errors import Malformed
from latchpin.identity import active_keys, api_keys, passwords, roles, users
from latchpin.identity.queries import user_list
from latchpin.identity.roles import Group
from latchpin.storage.models import User

TAG = "Administration"
NO_STORE = {"Cache-Control": "no-store"}
UserId = Annotated[int, PathParameter(ge=1, le=INT32, description="The user's id.")]
SORTS = {
    "fullName": "full_name",
    "email": "email",
    "group": "group",
    "status": "status",
    "lastSignIn": "last_sign_in",
    "created": "created",
    "keys": "keys",
}
_ADMINISTER = requires(roles.ADMINISTER)
_CHANGE = requires(roles.ADMINISTER, reauth=True)


class UserOut(CamelStruct, frozen=True):
    """A user of the organization. `liveKeys` counts API keys that would be accepted now."""

    id: int
    full_name: str
    email: str
    group: Group
    authentication_method: str
    status: str
    must_change_password: bool
    live_keys: int
    last_sign_in: Time | None
    created: Time


class UserPage(CamelStruct, frozen=True):
    """One page of users and the length of the whole list."""

    users: list[UserOut]
    total_record_count: int


class NewUser(Body, frozen=True):
    """A user to create; the response has a temporary password, shown only once."""

    full_name: Name
    email: Name
    group: Group = Group.USER


class UserChange(Body, frozen=True):
    """The fields to change; omitted fields keep their values."""

    full_name: Name | None = None
    email: Name | None = None
    group: Group | None = None


class UserMade(CamelStruct, frozen=True):
    """A new user. `temporaryPassword` is shown only this once; the user has to change it at the first sign-in."""

    user: UserOut
    temporary_password: str


class PasswordMade(CamelStruct, frozen=True):
    """A temporary password, shown only this once; the user has to change it at the next sign-in."""

    temporary_password: str


class KeysRevoked(CamelStruct, frozen=True):
    """How many API keys the change revoked."""

    keys_revoked: int


def to_schema(user: User, live_keys: int) -> UserOut:
    """Return a user as the API shows it."""
    return UserOut(
        id=user.id,
        full_name=user.full_name,
        email=user.email,
        group=Group(user.user_group),
        authentication_method=user.auth_method.value,
        status=user.status.value,
        must_change_password=user.must_change_password,
        live_keys=live_keys,
        last_sign_in=user.last_sign_in_at,
        created=user.created_at,
    )


@get(
    "/admin/users",
    operation_id="listUsers",
    summary="List users",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(),
)
async def list_users(
    request: Request[Any, Any, Any],
    search: Annotated[str, text_parameter("Part of the name or e-mail address, any case.", most=200)] = "",
    page_index: Annotated[int, QueryParameter(name="pageIndex", ge=1, le=INT32, description="1-based page number.")] = 1,
    records_per_page: Annotated[int, QueryParameter(name="recordsPerPage", ge=1, le=200, description="1 to 200.")] = 50,
    sort_column: Annotated[str, QueryParameter(name="sortColumn", description="The column to sort by.", enum=list(SORTS))] = "fullName",
    sort_order: Annotated[int, QueryParameter(name="sortOrder", ge=0, le=1, description="0 ascending, 1 descending.")] = 0,
) -> UserPage:
    """Return one page of the organization's users."""
    if sort_column not in SORTS:
        raise Malformed(f"sortColumn must be one of {', '.join(SORTS)}.", field="sortColumn")
    async with database(request).read_list() as session:
        page = await user_list.page(
            session,
            principal(request).organization_id,
            search=search,
            sort=SORTS[sort_column],
            descending=sort_order == 1,
            number=page_index,
            size=records_per_page,
        )
    return UserPage(users=[to_schema(each.user, each.active_keys) for each in page.items], total_record_count=page.total)


@post(
    "/admin/users",
    operation_id="createUser",
    summary="Create a user",
    tags=[TAG],
    opt=_CHANGE | json_body(NewUser),
    responses=problems(422),
)
async def create_user(request: Request[Any, Any, Any]) -> Response[UserMade]:
    """Create a user with a temporary password, which only this response shows."""
    body = await bodies.read(request, NewUser)
    password = await passwords.temporary()
    new = users.NewUser(full_name=body.full_name, email=body.email, group=body.group, password=password)
    async with database(request).transaction() as session:
        created_user = await users.create(session, principal(request).organization_id, new, by=actor(request))
    return Response(UserMade(user=to_schema(created_user.user, 0), temporary_password=created_user.password), headers=NO_STORE)


@get(
    "/admin/users/{user_id:int}",
    operation_id="getUser",
    summary="One user",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(404),
)
async def get_user(request: Request[Any, Any, Any], user_id: UserId) -> UserOut:
    """Return one user of the organization."""
    async with database(request).read() as session:
        user = await users.get(session, principal(request).organization_id, user_id)
        return to_schema(user, await _live_keys(session, user_id))


@patch(
    "/admin/users/{user_id:int}",
    operation_id="changeUser",
    summary="Change a user",
    tags=[TAG],
    opt=_CHANGE | json_body(UserChange),
    responses=problems(404, 409, 422),
)
async def change_user(request: Request[Any, Any, Any], user_id: UserId) -> UserOut:
    """Change name, e-mail address or group. The last active administrator cannot leave the administrators."""
    body = await bodies.read(request, UserChange)
    async with database(request).transaction() as session:
        user = await users.get(session, principal(request).organization_id, user_id)
        await users.change(session, user, full_name=body.full_name, email=body.email, group=body.group, by=actor(request))
        return to_schema(user, await _live_keys(session, user_id))


@post(
    "/admin/users/{user_id:int}/disable",
    operation_id="disableUser",
    summary="Disable a user",
    tags=[TAG],
    status_code=200,
    opt=_CHANGE,
    responses=problems(404, 409),
)
async def disable_user(request: Request[Any, Any, Any], user_id: UserId) -> KeysRevoked:
    """Disable a user. All of the user's API keys, browser sessions and apps' grants end before this response is sent."""
    async with database(request).transaction() as session:
        user = await users.get(session, principal(request).organization_id, user_id)
        return KeysRevoked(keys_revoked=await users.disable(session, user, by=actor(request)))


@post(
    "/admin/users/{user_id:int}/enable",
    operation_id="enableUser",
    summary="Enable a user",
    tags=[TAG],
    status_code=204,
    opt=_CHANGE,
    responses=problems(404),
)
async def enable_user(request: Request[Any, Any, Any], user_id: UserId) -> None:
    """Enable a disabled user again. Revoked keys stay revoked."""
    async with database(request).transaction() as session:
        await users.enable(session, await users.get(session, principal(request).organization_id, user_id), by=actor(request))


@post(
    "/admin/users/{user_id:int}/reset-password",
    operation_id="resetPassword",
    summary="Reset a user's password",
    tags=[TAG],
    status_code=200,
    opt=_CHANGE,
    responses=problems(404),
)
async def reset_password(request: Request[Any, Any, Any], user_id: UserId) -> Response[PasswordMade]:
    """Give a user a temporary password, which only this response shows. All of the user's sessions and apps' grants end."""
    temporary = await passwords.temporary()
    async with database(request).transaction() as session:
        user = await users.get(session, principal(request).organization_id, user_id)
        await users.reset_password(session, user, temporary, by=actor(request))
    return Response(PasswordMade(temporary_password=temporary.text), headers=NO_STORE)


@delete(
    "/admin/users/{user_id:int}",
    operation_id="deleteUser",
    summary="Delete a user",
    tags=[TAG],
    opt=_CHANGE,
    responses=problems(404, 409),
)
async def delete_user(request: Request[Any, Any, Any], user_id: UserId) -> None:
    """Delete a user with all keys, sessions and apps' grants. The user's agents go to the administrator who makes this request."""
    me = principal(request)
    async with database(request).transaction() as session:
        user = await users.get(session, me.organization_id, user_id)
        new_owner = await users.get(session, me.organization_id, me.user_id)
        await users.delete(session, user, new_owner=new_owner, by=actor(request))


async def _live_keys(session: Any, user_id: int) -> int:  # noqa: ANN401
    return sum(active_keys.is_active(key) for key in await api_keys.of_user(session, user_id))


# What the OpenAPI document shows of these routes, made from the very structs, so that it misses no field.
_USER = UserOut(
    id=2,
    full_name="Jonas Weber",
    email="jonas@northwind.example",
    group=Group.USER,
    authentication_method="Local",
    status="active",
    must_change_password=False,
    live_keys=1,
    last_sign_in=UPDATED_AT,
    created=CREATED_AT,
)
_NEW_USER = msgspec.structs.replace(_USER, must_change_password=True, live_keys=0, last_sign_in=None)
RESPONSE_EXAMPLES: dict[str, Any] = {
    "listUsers": UserPage(users=[_USER], total_record_count=1),
    "createUser": UserMade(user=_NEW_USER, temporary_password="shown-here-once"),  # noqa: S106  a sample
    "getUser": _USER,
    "changeUser": _USER,
    "disableUser": KeysRevoked(keys_revoked=1),
    "resetPassword": PasswordMade(temporary_password="shown-here-once"),  # noqa: S106  a sample
}
BODY_EXAMPLES: dict[str, Any] = {
    "createUser": {"fullName": "Jonas Weber", "email": "jonas@northwind.example", "group": "User"},
    "changeUser": {"fullName": "Jonas Weber-Lind"},
}


HANDLERS = [list_users, create_user, get_user, change_user, disable_user, enable_user, reset_password, delete_user]
