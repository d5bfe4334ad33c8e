"""`device_code` (RFC 8628 section 3.4): a device polls until a user has decided, and gets tokens once."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin
from latchpin.identity import active_grant, credentials, grants
from latchpin.identity.active_grant import ActiveGrant
from latchpin.identity.scopes import OFFLINE
from latchpin.kit import clock
from latchpin.oauth import client_admin, dpop_binding, issue, resources
from latchpin.oauth.authorization_server import AuthorizationServer, actor
from latchpin.oauth.clients import Client
from latchpin.oauth.device_codes import INTERVAL_SECONDS
from latchpin.oauth.errors import OAuthError, invalid_grant
from latchpin.oauth.issue import TokenRequest, TokenResponse
from latchpin.oauth.params import Params
from latchpin.storage.models import DeviceCode, OAuthClient, OAuthGrant
from latchpin.storage.models.oauth_grant import DeviceStatus

NAME = client_admin.DEVICE
PARAMETER = "device_code"
_EARLY_SECONDS = 1  # tolerance for network delays in the interval between two polls
_REFUSED = "the device code is unknown, used, or not this client's"


async def redeem(
    server: AuthorizationServer, session: AsyncSession, client: Client, params: Params, origin: Origin
) -> TokenResponse | OAuthError:
    """Return the status of a device's request (section 3.5), or exchange its code for tokens."""
    device_code = params.need(PARAMETER)
    row = await session.scalar(
        select(DeviceCode)
        .where(DeviceCode.digest == credentials.token_digest(device_code), DeviceCode.oauth_client_id == client.pk)
        .with_for_update(key_share=True)
    )
    if row is None or row.status is DeviceStatus.USED:
        return invalid_grant(_REFUSED)
    if refusal := _poll(row):
        return refusal
    grant_and_client = await _take(session, row)
    if grant_and_client is None:
        return invalid_grant(_REFUSED)
    grant, client_row = grant_and_client
    await resources.validate(session, grant.resource.split(), grant.organization_id, server.settings)
    token_resources = resources.narrow_to_grant(params.resources, grant.resource, active_grant.own_audiences(server.settings))
    active = await active_grant.by_id(session, grant.id, server.settings)
    if not isinstance(active, ActiveGrant):
        return invalid_grant(_REFUSED)
    refresh = None
    if OFFLINE in active.granted and "refresh_token" in client.grant_types:
        refresh, _ = await issue.new_refresh_token(session, server, grant)
    dpop_binding.bind(client, grant, params.jkt)
    grants.activate(session, grant, client_row, by=issue.actor(active, actor(client, origin)))
    server.activity.app_used(client.pk)
    return issue.token_response(server, active, TokenRequest(active.granted, token_resources, jkt=params.jkt), refresh=refresh)


def _poll(row: DeviceCode) -> OAuthError | None:
    """Return the error for a device that gets no tokens now, and record when it polled."""
    at = clock.now()
    if row.status is DeviceStatus.DENIED:
        return OAuthError("access_denied", "the person refused")
    if row.expires_at <= at:
        return OAuthError("expired_token", "the device code has expired; begin again")
    if row.status is DeviceStatus.APPROVED:
        return None
    before, row.last_polled_at = row.last_polled_at, at
    if before is not None and (at - before).total_seconds() < row.interval_seconds - _EARLY_SECONDS:
        row.interval_seconds += INTERVAL_SECONDS  # for this and all later polls (section 3.5)
        return OAuthError("slow_down", f"wait {row.interval_seconds} seconds between two questions")
    return OAuthError("authorization_pending", "the person has not decided yet")


async def _take(session: AsyncSession, row: DeviceCode) -> tuple[OAuthGrant, OAuthClient] | None:
    """Use an approved request up by one conditional update, and return its grant."""
    update_result = await session.execute(
        update(DeviceCode)
        .where(DeviceCode.id == row.id, DeviceCode.status == DeviceStatus.APPROVED)
        .values(status=DeviceStatus.USED)
        .returning(DeviceCode.grant_id)
    )
    updated = update_result.one_or_none()
    if updated is None:
        return None
    result = await session.execute(
        select(OAuthGrant, OAuthClient).join(OAuthClient, OAuthClient.id == OAuthGrant.oauth_client_id).where(OAuthGrant.id == updated[0])
    )
    grant_and_client = result.one_or_none()
    return None if grant_and_client is None else (grant_and_client[0], grant_and_client[1])
