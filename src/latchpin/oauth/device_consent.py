"""A user's decision about a device (RFC 8628 section 3.3): found by its user code, with the same consent as for other apps, made once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.errors import Conflict
from latchpin.identity.scopes import ordered
from latchpin.identity.sessions import SignedInUser
from latchpin.oauth import authorization_request, authorize, consents, device_codes, pending, resources
from latchpin.oauth.authorization_server import AuthorizationServer
from latchpin.oauth.authorize import ClientBlocked, Outcome, Prompt, RedirectToClient, ShowPrompt
from latchpin.oauth.clients import Client
from latchpin.oauth.consents import ClientApproval, SpaceBinding
from latchpin.oauth.errors import OAuthError
from latchpin.oauth.pending import OpenedAuthorization, PendingAuthorization
from latchpin.storage.models import DeviceCode

ENTRY = "/device"
ALLOWED, DENIED = f"{ENTRY}/allowed", f"{ENTRY}/denied"
_UNKNOWN_RESOURCE = "The device wants access to an API that your organization does not know. An administrator can register it."
_EXPIRED = "The device was answered already, or its code ran out. Start again on the device."


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """What a device requests, with the origin and time of the request."""

    scopes: str
    resource: tuple[str, ...]
    address: str
    at: datetime


async def begin(session: AsyncSession, server: AuthorizationServer, row: DeviceCode, who: SignedInUser) -> tuple[Client, Outcome]:
    """Create a pending authorization for the device whose code the user typed.

    Raises Conflict where its app was revoked, and where the user's organization does not have the requested resource.
    """
    try:
        await resources.validate(session, row.resource.split(), who.principal.organization_id, server.settings)
    except OAuthError as error:
        raise Conflict(_UNKNOWN_RESOURCE) from error
    pending_authorization = PendingAuthorization(address=ENTRY, device_id=row.id)
    token = await pending.save(session, who.session_id, row.oauth_client_id, pending_authorization)
    opened_authorization = await pending.find(session, token, who.session_id)
    client = await authorize.client_of(session, opened_authorization)
    pending_authorization = await authorize.record_shown(session, opened_authorization, client)
    approval = await consents.approval_of(session, who.principal, client)
    if approval is ClientApproval.PENDING:
        await consents.ask_for_approval(session, who.principal, client)
    return client, ShowPrompt(Prompt.CONSENT, pending_authorization, token) if approval is ClientApproval.OPEN else ClientBlocked(approval)


async def request_of(session: AsyncSession, device_id: int, client: Client) -> DeviceRequest:
    """Return what a device asks for; raises Conflict where the request does not exist any more."""
    row = await session.get(DeviceCode, device_id)
    if row is None:
        raise Conflict(_EXPIRED)
    return DeviceRequest(_scopes(row, client), tuple(row.resource.split()), row.address or "", row.created_at)


async def agree(
    session: AsyncSession,
    server: AuthorizationServer,
    opened: OpenedAuthorization,
    client: Client,
    who: SignedInUser,
    binding: SpaceBinding,
    *,
    stay: bool,
) -> Outcome:
    """Handle Authorize: create the grant that the device gets with its next poll. `stay` and the exceptions are as for other apps."""
    authorize.require_shown(opened, client)
    if blocked := await authorize.check_approval(session, client, who):
        return blocked
    row = await _take(session, opened)
    resource = tuple(row.resource.split())
    user_id = who.principal.user_id
    scopes = await consents.remember_choice(session, user_id, client, binding, scopes=_scopes(row, client), resource=resource, stay=stay)
    new_grant = await authorize.grant(session, server, client, who, binding, scopes=scopes, resource=resource)
    if not await device_codes.approve(session, row, new_grant):
        raise Conflict(_EXPIRED)
    return RedirectToClient(ALLOWED)


async def refuse(session: AsyncSession, opened: OpenedAuthorization, client: Client, *, by: Actor) -> Outcome:
    """Handle Deny: the device gets the error with its next poll."""
    row = await _take(session, opened)
    if not await device_codes.deny(session, row):
        raise Conflict(_EXPIRED)
    record(session, events.ConsentRefused(target_id=client.pk, target_name=client.name), by)
    return RedirectToClient(DENIED)


async def _take(session: AsyncSession, opened: OpenedAuthorization) -> DeviceCode:
    row = await session.get(DeviceCode, opened.pending.device_id or 0)
    if row is None:
        raise Conflict(_EXPIRED)
    await pending.use_up(session, opened)
    return row


def _scopes(row: DeviceCode, client: Client) -> str:
    return ordered(authorization_request.usable(frozenset(row.scopes.split()), client))
