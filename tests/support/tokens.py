"""What tests look at in tokens and in the trail of what happened to them."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor
from latchpin.oauth import client_admin, resource_admin
from latchpin.storage.models import OAuthClient
from tests.support.apps import App
from tests.support.people import Organization
from tests.support.wire import audit


def claims(token: str) -> dict[str, Any]:
    """Return what a JWT claims, unproved."""
    payload = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


def reasons(organization: Organization, action: str) -> list[str | None]:
    """Return the reasons of an organization's audit events of one kind, after writing what waits to be written."""
    organization.server.flush()
    return [event.reason for event in audit(organization, action, organization_id=organization.id)]


@dataclass(frozen=True, slots=True)
class ResourceServer:
    """A registered API resource, with what its server proves itself with."""

    id: int
    identifier: str
    proof: tuple[str, str]


def resource(organization: Organization, identifier: str = "https://api.partner.example", *, may_call_api: bool = False) -> ResourceServer:
    """Register an API resource of an organization."""
    secrets = organization.server.services.secrets
    fields = resource_admin.ResourceFields(name="Partner API", identifier=identifier, may_call_api=may_call_api)

    async def work(session: AsyncSession) -> ResourceServer:
        created = await resource_admin.create(
            session, organization.id, fields, settings=organization.server.settings, secrets=secrets, by=organization.admin.actor
        )
        return ResourceServer(created.resource.row.id, identifier, (created.resource.client.client_id, created.secret))

    return organization.write(work)


def with_client(organization: Organization, app: App, work: Callable[[AsyncSession, OAuthClient, Actor], Awaitable[object]]) -> None:
    """Run `work(session, client, by)` on an app's row, as the administrator."""

    async def inside(session: AsyncSession) -> None:
        client = await client_admin.get(session, organization.id, app.pk)
        await work(session, client, organization.admin.actor)

    organization.write(inside)
