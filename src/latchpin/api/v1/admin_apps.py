"""OAuth apps under /api/v1/admin/: for administrators signed in to the Control Center.

A secret is only in the response to the request that creates it.
"""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, delete, get, post, put
from litestar.params import PathParameter, QueryParameter
from litestar.response import Response

from latchpin import services
from latchpin.api import bodies
from latchpin.api.bodies import json_body
from latchpin.api.parameters import text_parameter
from latchpin.api.routing import INT32, actor, database, principal, problems, read_body, requires
from latchpin.api.v1 import app_wire as wire
from latchpin.api.v1.admin_users import NO_STORE, TAG
from latchpin.api.v1.app_wire import (
    AppDetails,
    AppEntry,
    AppMade,
    AppPage,
    AppPolicy,
    Approval,
    AppUserOut,
    GrantsEnded,
    Rotation,
    SecretMade,
)
from latchpin.errors import Conflict, Malformed
from latchpin.identity import roles
from latchpin.oauth import approvals, client_admin, client_list
from latchpin.oauth.client_list import AppStatus
from latchpin.storage import Session
from latchpin.storage.models import OAuthClient

AppId = Annotated[int, PathParameter(ge=1, le=INT32, description="The app's id; not its client_id.")]
SORTS = {
    "name": "name",
    "kind": "kind",
    "source": "source",
    "status": "status",
    "users": "users",
    "lastUsed": "last_used",
    "created": "created",
}
_ADMINISTER = requires(roles.ADMINISTER)
_CHANGE = requires(roles.ADMINISTER, reauth=True)
_OUTSIDE = "Those who made the app change it. You can approve it or block it for your organization."


@get("/admin/apps", operation_id="listApps", summary="List OAuth apps", tags=[TAG], opt=_ADMINISTER, responses=problems())
async def list_apps(
    request: Request[Any, Any, Any],
    search: Annotated[str, text_parameter("Part of the name or client_id, any case.", most=200)] = "",
    status: Annotated[str, QueryParameter(description="Only apps that stand so.", enum=["", *AppStatus])] = "",
    page_index: Annotated[int, QueryParameter(name="pageIndex", ge=1, le=INT32, description="1-based page number.")] = 1,
    records_per_page: Annotated[int, QueryParameter(name="recordsPerPage", ge=1, le=200, description="1 to 200.")] = 50,
    sort_column: Annotated[str, QueryParameter(name="sortColumn", description="The column to sort by.", enum=list(SORTS))] = "name",
    sort_order: Annotated[int, QueryParameter(name="sortOrder", ge=0, le=1, description="0 ascending, 1 descending.")] = 0,
) -> AppPage:
    """Return one page of apps: the organization's own, and those of others that its users use or have requested."""
    if sort_column not in SORTS:
        raise Malformed(f"sortColumn must be one of {', '.join(SORTS)}.", field="sortColumn")
    if status and status not in set(AppStatus):
        raise Malformed(f"status must be one of {', '.join(AppStatus)}.", field="status")
    async with database(request).read_list() as session:
        page = await client_list.page(
            session,
            principal(request).organization_id,
            search=search,
            status=AppStatus(status) if status else None,
            sort=SORTS[sort_column],
            descending=sort_order == 1,
            number=page_index,
            size=records_per_page,
        )
    return AppPage(apps=[wire.to_schema(each) for each in page.items], total_record_count=page.total)


@post(
    "/admin/apps",
    operation_id="createApp",
    summary="Register an OAuth app",
    tags=[TAG],
    opt=_CHANGE | json_body(AppEntry),
    responses=problems(409, 422),
)
async def create_app(request: Request[Any, Any, Any]) -> Response[AppMade]:
    """Register an app. Only this response shows its secret; to replace a lost secret, rotate it."""
    fields = (await bodies.read(request, AppEntry)).client_fields
    server, organization_id = services.of(request), principal(request).organization_id
    async with server.database.transaction() as session:
        created_app = await client_admin.create(session, organization_id, fields, secrets=server.secrets, by=actor(request))
        summary = await client_list.get(session, organization_id, created_app.client.id)
        content = AppMade(app=await wire.details(session, summary), client_secret=created_app.secret)
    return Response(content, headers=NO_STORE)


@get("/admin/apps/{app_id:int}", operation_id="getApp", summary="One OAuth app", tags=[TAG], opt=_ADMINISTER, responses=problems(404))
async def get_app(request: Request[Any, Any, Any], app_id: AppId) -> AppDetails:
    """Return one app as the organization sees it."""
    async with database(request).read() as session:
        return await wire.details(session, await client_list.get(session, principal(request).organization_id, app_id))


@put(
    "/admin/apps/{app_id:int}",
    operation_id="changeApp",
    summary="Change an OAuth app",
    tags=[TAG],
    opt=_CHANGE | json_body(AppEntry),
    responses=problems(404, 409, 422),
)
async def change_app(request: Request[Any, Any, Any], app_id: AppId) -> AppDetails:
    """Replace the fields of an app of the organization. A new name, addresses, keys, grant types or wider scopes ask every user again."""
    fields = (await bodies.read(request, AppEntry)).client_fields
    organization_id = principal(request).organization_id
    async with database(request).transaction() as session:
        client = await _own(session, organization_id, app_id)
        await client_admin.change(session, client, fields, by=actor(request))
        return await wire.details(session, await client_list.get(session, organization_id, app_id))


@post(
    "/admin/apps/{app_id:int}/rotate-secret",
    operation_id="rotateAppSecret",
    summary="Rotate an app's secret",
    tags=[TAG],
    status_code=200,
    opt=_CHANGE | json_body(Rotation),
    responses=problems(404, 409, 422),
)
async def rotate_secret(request: Request[Any, Any, Any], app_id: AppId) -> Response[SecretMade]:
    """Create a new secret, which only this response shows. The previous one stays valid for the requested time; older ones end now."""
    body = await bodies.read(request, Rotation)
    server, organization_id = services.of(request), principal(request).organization_id
    async with server.database.transaction() as session:
        client = await _own(session, organization_id, app_id)
        secret = await client_admin.rotate_secret(session, client, secrets=server.secrets, overlap=body.overlap, by=actor(request))
        active_secrets = await client_admin.active_secrets(session, client)
    return Response(SecretMade(client_secret=secret, older_expires=active_secrets[0].expires_at), headers=NO_STORE)


@post(
    "/admin/apps/{app_id:int}/end-older-secret",
    operation_id="endOlderAppSecret",
    summary="End an app's older secret",
    tags=[TAG],
    status_code=204,
    opt=_CHANGE,
    responses=problems(404, 409),
)
async def end_older_secret(request: Request[Any, Any, Any], app_id: AppId) -> None:
    """End the older of two valid secrets now. With only one, nothing changes."""
    async with database(request).transaction() as session:
        client = await _own(session, principal(request).organization_id, app_id)
        await client_admin.end_older_secret(session, client, by=actor(request))


@post(
    "/admin/apps/{app_id:int}/approve",
    operation_id="approveApp",
    summary="Approve an app of others",
    tags=[TAG],
    status_code=204,
    opt=_CHANGE | json_body(Approval, may_be_empty=True),
    responses=problems(404, 409, 422),
)
async def approve_app(request: Request[Any, Any, Any], app_id: AppId) -> None:
    """Allow the organization's users to authorize the app as it is now; 409 where its `version` is not the one in the body."""
    body = await bodies.read(request, Approval) if await read_body(request) else Approval()
    async with database(request).transaction() as session:
        await approvals.approve(session, principal(request).organization_id, app_id, version=body.version, by=actor(request))


@post(
    "/admin/apps/{app_id:int}/block",
    operation_id="blockApp",
    summary="Block an app of others",
    tags=[TAG],
    status_code=200,
    opt=_CHANGE,
    responses=problems(404, 409),
)
async def block_app(request: Request[Any, Any, Any], app_id: AppId) -> GrantsEnded:
    """Block the app for the organization: all grants of its users end before this response is sent."""
    async with database(request).transaction() as session:
        ended = await approvals.block(session, principal(request).organization_id, app_id, by=actor(request))
    return GrantsEnded(grants_ended=ended)


@post(
    "/admin/apps/{app_id:int}/revoke",
    operation_id="revokeApp",
    summary="Revoke an own app",
    tags=[TAG],
    status_code=200,
    opt=_CHANGE,
    responses=problems(404, 409),
)
async def revoke_app(request: Request[Any, Any, Any], app_id: AppId) -> GrantsEnded:
    """Revoke an app of the organization for good, with all its grants: no request after this response is accepted. May be repeated."""
    async with database(request).transaction() as session:
        client = await _own(session, principal(request).organization_id, app_id)
        return GrantsEnded(grants_ended=await client_admin.revoke(session, client, by=actor(request)))


@delete(
    "/admin/apps/{app_id:int}",
    operation_id="deleteApp",
    summary="Delete a revoked app",
    tags=[TAG],
    opt=_CHANGE,
    responses=problems(404, 409),
)
async def delete_app(request: Request[Any, Any, Any], app_id: AppId) -> None:
    """Delete the entry of a revoked app of the organization. The audit log keeps its history."""
    async with database(request).transaction() as session:
        client = await _own(session, principal(request).organization_id, app_id)
        await client_admin.delete(session, client, by=actor(request))


@get(
    "/admin/apps/{app_id:int}/users",
    operation_id="listAppUsers",
    summary="Users of an app",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(404),
)
async def list_users(request: Request[Any, Any, Any], app_id: AppId) -> list[AppUserOut]:
    """Return the organization's users for whom the app has a grant now, the most recently used first; at most 200."""
    organization_id = principal(request).organization_id
    async with database(request).read() as session:
        summary = await client_list.get(session, organization_id, app_id)
        return [wire.user(each) for each in await client_list.users_of(session, organization_id, summary.client.id)]


@get(
    "/admin/app-policy",
    operation_id="getAppPolicy",
    summary="Whether apps need approval",
    tags=[TAG],
    opt=_ADMINISTER,
    responses=problems(),
)
async def get_policy(request: Request[Any, Any, Any]) -> AppPolicy:
    """Return whether an administrator has to approve apps of other organizations."""
    async with database(request).read() as session:
        return AppPolicy(needs_approval=await approvals.needs_approval(session, principal(request).organization_id))


@put(
    "/admin/app-policy",
    operation_id="changeAppPolicy",
    summary="Change whether apps need approval",
    tags=[TAG],
    opt=_CHANGE | json_body(AppPolicy),
    responses=problems(422),
)
async def change_policy(request: Request[Any, Any, Any]) -> AppPolicy:
    """Set whether an administrator has to approve apps of others. Existing grants stay until an app is blocked."""
    body = await bodies.read(request, AppPolicy)
    organization_id = principal(request).organization_id
    async with database(request).transaction() as session:
        await approvals.set_policy(session, organization_id, needs_approval=body.needs_approval, by=actor(request))
    return body


async def _own(session: Session, organization_id: int, app_id: int) -> OAuthClient:
    """Return an app of the organization, locked until the commit; raises Missing, and Conflict for an app of others."""
    summary = await client_list.get(session, organization_id, app_id)
    if not summary.own:
        raise Conflict(_OUTSIDE)
    return await client_admin.get(session, organization_id, app_id, lock=True)


# What the OpenAPI document shows of these routes, made from the very structs, so that it misses no field.
_APP_BODY = {
    "name": "Nightly export",
    "authMethod": "client_secret_basic",
    "grantTypes": ["client_credentials"],
    "scopes": ["agents:read", "runs:read"],
}
BODY_EXAMPLES: dict[str, Any] = {
    "createApp": _APP_BODY,
    "changeApp": _APP_BODY,
    "rotateAppSecret": {"overlapHours": 24},
    "approveApp": {"version": 1},
    "changeAppPolicy": {"needsApproval": True},
}


HANDLERS = [
    list_apps,
    create_app,
    get_app,
    change_app,
    rotate_secret,
    end_older_secret,
    approve_app,
    block_app,
    revoke_app,
    delete_app,
    list_users,
    get_policy,
    change_policy,
]
