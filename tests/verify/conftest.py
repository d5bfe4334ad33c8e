"""Apps, API resources, and what checks their tokens."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit import clock as kit_clock
from latchpin.oauth import resource_admin
from latchpin.verify import Introspector, Verifier
from tests.support.apps import App, Apps
from tests.support.people import Organization

IDENTIFIER = "https://reports.example"


@dataclass(frozen=True, slots=True)
class Resource:
    """A registered API resource, with what its server proves itself by."""

    issuer: str
    identifier: str
    client_id: str
    secret: str

    @property
    def verifier(self) -> Verifier:
        """A verifier for tokens of this resource, on the clock that the server goes by."""
        return Verifier(self.issuer, audience=self.identifier, clock=kit_clock.timestamp)

    def introspector(self, *, cache_seconds: float = 0.0) -> Introspector:
        """An introspector as this resource's server."""
        return Introspector(
            self.issuer,
            self.client_id,
            self.secret,
            audience=self.identifier,
            cache_seconds=cache_seconds,
            clock=kit_clock.timestamp,
        )


@pytest.fixture
def apps(organization: Organization) -> Apps:
    """Apps of a fresh organization."""
    return Apps(organization)


@pytest.fixture
def app(apps: Apps) -> App:
    """A public partner app."""
    return apps.register()


@pytest.fixture
def resource(organization: Organization) -> Resource:
    """A partner's own API, registered in the organization."""
    server = organization.server

    async def work(session: AsyncSession) -> Resource:
        fields = resource_admin.ResourceFields(name="Reports", identifier=IDENTIFIER)
        created_resource = await resource_admin.create(
            session, organization.id, fields, settings=server.settings, secrets=server.services.secrets, by=organization.admin.actor
        )
        return Resource(server.url, IDENTIFIER, created_resource.resource.client.client_id, created_resource.secret)

    return organization.write(work)
