"""A device without a browser (RFC 8628), and the person who decides elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin
from latchpin.identity import grants, sessions, users
from latchpin.identity.grants import NewGrant
from latchpin.kit import clock as kit_clock
from latchpin.oauth import device_codes
from latchpin.oauth.client_admin import DEVICE
from latchpin.storage.models import DeviceCode, OAuthClient
from tests.support.apps import TOKEN, App, Apps
from tests.support.people import Organization, Person

T = TypeVar("T")
BEGIN = "/api/oauth/device_authorization"
SCOPE = "agents:read spaces:read offline_access"


def device(organization: Organization, **fields: Any) -> App:
    """Register an app for devices."""
    return Apps(organization).register(name="Television", grant_types=(DEVICE, "refresh_token"), redirect_uris=(), **fields)


def begin(organization: Organization, app: App, **more: str) -> dict[str, Any]:
    """Begin as a device does."""
    response = organization.server.http.post(BEGIN, data={"scope": SCOPE, **app.proof, **more})
    assert response.status_code == 200, response.text
    device_authorization: dict[str, Any] = response.json()
    return device_authorization


def poll(organization: Organization, app: App, device_authorization: dict[str, Any], **more: str) -> httpx.Response:
    """Ask how far it has come."""
    form = {"grant_type": DEVICE, "device_code": device_authorization["device_code"], **app.proof, **more}
    return organization.server.http.post(TOKEN, data=form)


def said(response: httpx.Response) -> str:
    """Return the error of a refusal."""
    assert response.status_code == 400, response.text
    return str(response.json()["error"])


def decide(organization: Organization, user_code: str, work: Callable[[AsyncSession, DeviceCode], Awaitable[T]]) -> T | None:
    """Run `work(session, row)` on the request that waits under a code, as the page does; None where none waits."""

    async def inside(session: AsyncSession) -> T | None:
        row = await device_codes.find_pending(session, user_code, organization.server.services.secrets)
        return None if row is None else await work(session, row)

    return organization.write(inside)


def approve(organization: Organization, user_code: str, person: Person | None = None) -> bool | None:
    """Agree as a person does."""
    who = person or organization.admin

    async def work(session: AsyncSession, row: DeviceCode) -> bool:
        settings = organization.server.settings
        browser = await sessions.open_(session, await users.get(session, organization.id, who.id), settings, Origin())
        new = NewGrant(
            client=await session.get_one(OAuthClient, row.oauth_client_id),
            organization_id=organization.id,
            scopes=row.scopes,
            user_id=who.id,
            browser_session_id=browser.session_id,
            offline="offline_access" in row.scopes.split(),
            resource=row.resource,
            auth_time=kit_clock.now(),
        )
        return await device_codes.approve(session, row, await grants.create(session, new, settings))

    return decide(organization, user_code, work)
