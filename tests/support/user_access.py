"""Everything that can stand open for a user: an app with a grant, a browser session; and an API resource beside them."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.oauth import resource_admin
from tests.support import changes
from tests.support.apps import Apps
from tests.support.people import Organization, Person


def resource(
    organization: Organization, name: str = "Data service", identifier: str = "https://data.example"
) -> resource_admin.CreatedResource:
    """Register an API resource of an organization."""
    fields = resource_admin.ResourceFields(name=name, identifier=identifier)

    async def work(session: AsyncSession) -> resource_admin.CreatedResource:
        server = organization.server
        return await resource_admin.create(
            session, organization.id, fields, settings=server.settings, secrets=server.services.secrets, by=organization.admin.actor
        )

    return organization.write(work)


def opened(organization: Organization, person: Person, mark: str = "Partner") -> dict[str, int]:
    """Open one of each, with `mark` in the names, and return their ids as the API's paths name them."""
    apps = Apps(organization)
    app = apps.register(confidential=True, name=f"{mark} app")
    apps.tokens(app, person)
    return {
        "appId": app.pk,
        "resourceId": resource(organization, f"{mark} resource").resource.row.id,
        "sessionId": changes.sign_in(organization, person).session_id,
    }
