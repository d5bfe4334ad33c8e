"""The apps of a demo deployment: a service that acts for itself, and a partner's web app that a user let in."""

from __future__ import annotations

from latchpin.audit import Actor, Origin
from latchpin.cli.deployment import Deployment
from latchpin.identity import activity, grants
from latchpin.identity.activity import actor
from latchpin.identity.grants import NewGrant
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Role
from latchpin.identity.scopes import OFFLINE, Scope, ordered
from latchpin.kit import clock
from latchpin.oauth import client_admin, clients, consents
from latchpin.oauth.consents import SpaceBinding
from latchpin.oauth.grants import client_credentials
from latchpin.storage import Session
from latchpin.storage.models import OAuthClient, OAuthGrant, Space
from latchpin.storage.models.oauth_grant import Reach

_PARTNER = client_admin.ClientFields(
    name="Northwind Insights",
    auth_method="client_secret_basic",
    redirect_uris=("https://insights.northwind.example/oauth/callback",),
    client_uri="https://insights.northwind.example",
    scopes=(Scope.AGENTS_READ.value, Scope.RUNS_READ.value, OFFLINE),
)
_PARTNER_SERVER = Origin("203.0.113.12", "northwind-insights/4.2")


async def make_service(session: Session, deployment: Deployment, organization_id: int, space_id: int, *, by: Actor) -> dict[str, str]:
    """Register the service that reads the agents of one Space, and return its client_id and client_secret."""
    fields = client_admin.ClientFields(
        name="Demo service",
        auth_method="client_secret_basic",
        grant_types=(client_credentials.NAME,),
        scopes=(Scope.AGENTS_READ.value, Scope.SPACES_READ.value),
        spaces={space_id: Role.VIEWER},
    )
    created_app = await client_admin.create(session, organization_id, fields, secrets=deployment.secrets, by=by)
    return {"client_id": created_app.client.client_id, "client_secret": created_app.secret or ""}


async def register_partner(session: Session, deployment: Deployment, organization_id: int, *, by: Actor) -> OAuthClient:
    """Register the partner's app; its secret gets known to nobody."""
    return (await client_admin.create(session, organization_id, _PARTNER, secrets=deployment.secrets, by=by)).client


async def connect_partner(
    session: Session, deployment: Deployment, app: OAuthClient, user: Principal, space: Space, origin: Origin
) -> OAuthGrant:
    """Let the partner's app in, as the user does on the consent page, and give it its first token."""
    scopes, place = ordered(_PARTNER.scopes), SpaceBinding(Reach.SPACE, space.id)
    await consents.remember(session, user.user_id, clients.from_row(app, []), place, scopes=scopes, resource=(), stay=False)
    new = NewGrant(
        client=app,
        organization_id=user.organization_id,
        scopes=scopes,
        user_id=user.user_id,
        offline=True,
        reach=place.reach,
        space_id=place.space_id,
        auth_time=clock.now(),
    )
    grant = await grants.create(session, new, deployment.settings)
    grants.activate(session, grant, app, by=actor(user, origin))
    app.last_used_at = clock.now()
    return grant


async def call_as_partner(session: Session, app: OAuthClient, grant: OAuthGrant, user: Principal, what: str, count: int) -> None:
    """Note what the partner's app did with its tokens on a day."""
    credential = Credential(CredentialKind.ACCESS_TOKEN, grant.id, app.name)
    principal = Principal(user.user_id, user.organization_id, user.full_name, user.email, user.group, credential)
    await activity.write_use(session, principal, what, _PARTNER_SERVER, count=count)
    app.last_used_at = clock.now()
