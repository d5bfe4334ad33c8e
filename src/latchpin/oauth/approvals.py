"""An organization's decisions about apps of others: approved or blocked, and whether approval is required first."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.errors import Conflict, Missing
from latchpin.identity import grants
from latchpin.kit import clock
from latchpin.oauth import client_list
from latchpin.storage import subjects
from latchpin.storage.generation import invalidate
from latchpin.storage.models import OAuthApproval, OAuthClient, Organization
from latchpin.storage.models.oauth_client import ClientStatus


async def approve(session: AsyncSession, organization_id: int, client_pk: int, *, version: int | None = None, by: Actor) -> OAuthClient:
    """Allow the organization's users to authorize the present version of an app; `version` is the one that the administrator saw.

    Raises Missing for an unknown app, Conflict for a revoked app, an own app, and another version.
    """
    client = await _outside(session, organization_id, client_pk)
    await session.refresh(client, with_for_update={"read": True})  # the row does not change between this read and the commit
    if version not in (None, client.version):
        raise Conflict("The app has changed since you looked at it, so it was not approved. Look at it again.")
    if client.status is ClientStatus.REVOKED:
        raise Conflict("This app was revoked by those who made it; nobody can let it in any more.")
    if await _decide(session, organization_id, client, approved=True, by=by):
        changes: events.Changes = {"version": (None, client.version)}
        record(session, events.ClientApproved(target_id=client.id, target_name=client.name, changes=changes), by)
    return client


async def block(session: AsyncSession, organization_id: int, client_pk: int, *, by: Actor) -> int:
    """Block an app in the organization and end its grants there; returns how many ended. Raises Missing, Conflict for an own app."""
    client = await _outside(session, organization_id, client_pk)
    invalidate(session, subjects.client(client.id))
    if await _decide(session, organization_id, client, approved=False, by=by):
        record(session, events.ClientBlocked(target_id=client.id, target_name=client.name), by)
    return await grants.end_of_client(session, client.id, reason="app blocked", by=by, organization_id=organization_id)


async def set_policy(session: AsyncSession, organization_id: int, *, needs_approval: bool, by: Actor) -> None:
    """Set whether an administrator must approve an app before users can authorize it. Raises Missing. Existing grants stay."""
    organization = await session.get(Organization, organization_id)
    if organization is None:
        raise Missing("organization", organization_id)
    was = organization.app_approval
    if was is not needs_approval:
        organization.app_approval = needs_approval
        changes = {"app_approval": (was, needs_approval)}
        record(session, events.AppPolicyChanged(target_id=organization.id, target_name=organization.name, changes=changes), by)


async def needs_approval(session: AsyncSession, organization_id: int) -> bool:
    """Whether an administrator must approve apps of others first; raises Missing."""
    organization = await session.get(Organization, organization_id)
    if organization is None:
        raise Missing("organization", organization_id)
    return organization.app_approval


async def _outside(session: AsyncSession, organization_id: int, client_pk: int) -> OAuthClient:
    summary = await client_list.get(session, organization_id, client_pk)
    if summary.own:
        raise Conflict("This app is the organization's own. Revoke it where nobody shall use it any more.")
    return summary.client


async def _decide(session: AsyncSession, organization_id: int, client: OAuthClient, *, approved: bool, by: Actor) -> bool:
    """Store the decision about an app's present version; returns False where it was the same before."""
    row = await session.get(OAuthApproval, (organization_id, client.id), with_for_update=True)
    if row is None:
        row = OAuthApproval(organization_id=organization_id, oauth_client_id=client.id, approved=None)
        session.add(row)
    elif row.approved is approved and (not approved or row.client_version == client.version):
        return False
    row.approved, row.client_version, row.decided_by_name, row.updated_at = approved, client.version, by.name[:200], clock.now()
    return True
