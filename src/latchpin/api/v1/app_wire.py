"""OAuth apps as the API shows them under /api/v1/admin/."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any

import msgspec

from latchpin.api.bodies import Body, Name, Time
from latchpin.api.example_times import CREATED_AT, UPDATED_AT
from latchpin.api.routing import CamelStruct
from latchpin.api.v1.admin_spaces import RoleName
from latchpin.identity.roles import Role
from latchpin.oauth import client_admin
from latchpin.oauth.client_checks import ClientFields
from latchpin.oauth.client_list import AppKind, AppStatus, ClientSummary, ClientUser
from latchpin.storage import Session
from latchpin.storage.models import OAuthClientSecret
from latchpin.storage.models.oauth_client import ClientSource

Words = Annotated[tuple[str, ...], msgspec.Meta(max_length=50)]
Address = Annotated[str, msgspec.Meta(max_length=2000)]


class SpaceRole(Body, frozen=True):
    """The role that an app acting for itself has in a Space."""

    space_id: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    role: RoleName


class SecretOut(CamelStruct, frozen=True):
    """A valid secret: `prefix` identifies it. `expires` is set for the older of two, while the newer one replaces it."""

    prefix: str
    created: Time
    created_by: str
    expires: Time | None


class AppOut(CamelStruct, frozen=True):
    """An app. `own` is whether it belongs to the organization; who created an app of others is not shown.

    `users` counts the organization's users for whom it has a grant now. `askedBy`, `decidedBy` and `decided` describe the approval.
    `version` rises when name, addresses, keys or grant types change or scopes widen; an approval is for one version only.
    """

    id: int
    client_id: str
    name: str
    version: int
    kind: AppKind
    source: ClientSource
    own: bool
    status: AppStatus
    users: int
    last_used: Time | None
    created: Time
    created_by: str | None
    revoked: Time | None
    revoked_by: str | None
    asked_by: str | None
    decided_by: str | None
    decided: Time | None


class AppPage(CamelStruct, frozen=True):
    """One page of apps and the length of the whole list."""

    apps: list[AppOut]
    total_record_count: int


class AppDetails(AppOut, frozen=True):
    """An app with its authentication method, what it may request, and its valid secrets, the oldest first."""

    auth_method: str
    application_type: str
    redirect_uris: list[str]
    post_logout_redirect_uris: list[str]
    grant_types: list[str]
    scopes: list[str]
    jwks: dict[str, Any] | None
    jwks_uri: str | None
    client_uri: str | None
    require_pushed_authorization_requests: bool
    dpop_bound_access_tokens: bool
    spaces: list[SpaceRole]
    secrets: list[SecretOut]


class AppMade(CamelStruct, frozen=True):
    """A new app. `clientSecret` is shown only this once; null for an app that has none."""

    app: AppDetails
    client_secret: str | None


class SecretMade(CamelStruct, frozen=True):
    """A new secret, shown only this once. `olderExpires` is when the previous one ends; null where none is left."""

    client_secret: str
    older_expires: Time | None


class GrantsEnded(CamelStruct, frozen=True):
    """How many grants ended with the change; their tokens are refused from now on."""

    grants_ended: int


class AppUserOut(CamelStruct, frozen=True):
    """A user who has authorized the app."""

    user_id: int
    full_name: str
    email: str
    scopes: list[str]
    since: Time
    last_used: Time | None


class Approval(Body, frozen=True):
    """The `version` of the app that the administrator reviewed and approves. Without a body it is the current one."""

    version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None


class AppPolicy(Body, frozen=True):
    """Whether an administrator has to approve an app that the organization did not create, before its users can authorize it."""

    needs_approval: bool


class Rotation(Body, frozen=True):
    """For how many hours the previous secret stays valid; 0 ends it at once."""

    overlap_hours: Annotated[int, msgspec.Meta(ge=0, le=720)] = 24

    @property
    def overlap(self) -> timedelta:
        """The hours as a timedelta."""
        return timedelta(hours=self.overlap_hours)


class AppEntry(Body, frozen=True):
    """An app's fields. `authMethod` is none, client_secret_basic, client_secret_post or private_key_jwt, and cannot be changed.

    `scopes` are the most that it may request, none meaning any; with `client_credentials` they are what the app itself may do, and
    `spaces` is where. `requirePushedAuthorizationRequests` accepts only pushed authorization requests from it (RFC 9126);
    `dpopBoundAccessTokens` issues tokens to it only with a DPoP proof (RFC 9449).
    """

    name: Name
    auth_method: str = "none"
    application_type: str = "web"
    redirect_uris: Annotated[tuple[Address, ...], msgspec.Meta(max_length=100)] = ()
    post_logout_redirect_uris: Annotated[tuple[Address, ...], msgspec.Meta(max_length=100)] = ()
    grant_types: Words = ("authorization_code", "refresh_token")
    scopes: Words = ()
    jwks: dict[str, Any] | None = None
    jwks_uri: Address | None = None
    client_uri: Address | None = None
    require_pushed_authorization_requests: bool = False
    dpop_bound_access_tokens: bool = False
    spaces: Annotated[tuple[SpaceRole, ...], msgspec.Meta(max_length=500)] = ()

    @property
    def client_fields(self) -> ClientFields:
        """The fields as the clients' feature takes them."""
        return ClientFields(
            name=self.name,
            auth_method=self.auth_method,
            application_type=self.application_type,
            redirect_uris=self.redirect_uris,
            post_logout_redirect_uris=self.post_logout_redirect_uris,
            grant_types=self.grant_types,
            scopes=self.scopes,
            jwks=json.dumps(self.jwks) if self.jwks is not None else None,
            jwks_uri=self.jwks_uri,
            client_uri=self.client_uri,
            require_pushed=self.require_pushed_authorization_requests,
            dpop_bound=self.dpop_bound_access_tokens,
            spaces={each.space_id: Role[each.role.name] for each in self.spaces},
        )


def to_schema(summary: ClientSummary) -> AppOut:
    """Return an app as the API shows it."""
    return AppOut(**_client_values(summary))


async def details(session: Session, summary: ClientSummary) -> AppDetails:
    """Return an app with its details as the API shows it."""
    client = summary.client
    held = await client_admin.spaces_of(session, client) if summary.own else {}
    active_secrets = await client_admin.active_secrets(session, client) if summary.own else []
    return AppDetails(
        **_client_values(summary),
        auth_method=client.auth_method,
        application_type=client.application_type,
        redirect_uris=json.loads(client.redirect_uris),
        post_logout_redirect_uris=json.loads(client.post_logout_redirect_uris),
        grant_types=client.grant_types.split(),
        scopes=client.scopes.split(),
        jwks=json.loads(client.jwks) if client.jwks else None,
        jwks_uri=client.jwks_uri,
        client_uri=client.client_uri,
        require_pushed_authorization_requests=client.require_pushed,
        dpop_bound_access_tokens=client.dpop_bound,
        spaces=[SpaceRole(space_id=space_id, role=RoleName(role.word)) for space_id, role in sorted(held.items())],
        secrets=secrets_of(active_secrets),
    )


def secrets_of(active_secrets: Iterable[OAuthClientSecret]) -> list[SecretOut]:
    """Return valid secrets as the API shows them."""
    return [
        SecretOut(prefix=each.prefix, created=each.created_at, created_by=each.created_by_name, expires=each.expires_at)
        for each in active_secrets
    ]


def user(client_user: ClientUser) -> AppUserOut:
    """Return a user of an app as the API shows them."""
    return AppUserOut(
        user_id=client_user.user.id,
        full_name=client_user.user.full_name,
        email=client_user.user.email,
        scopes=sorted(client_user.scopes),
        since=client_user.since,
        last_used=client_user.last_used_at,
    )


def _client_values(summary: ClientSummary) -> dict[str, Any]:
    client, approval = summary.client, summary.approval
    return {
        "id": client.id,
        "client_id": client.client_id,
        "name": client.name,
        "version": client.version,
        "kind": summary.kind,
        "source": client.source,
        "own": summary.own,
        "status": summary.status,
        "users": summary.users,
        "last_used": summary.last_used_at,
        "created": client.created_at,
        "created_by": client.created_by_name if summary.own else None,
        "revoked": client.revoked_at,
        "revoked_by": client.revoked_by_name if summary.own else None,
        "asked_by": (approval.asked_by_name or None) if approval else None,
        "decided_by": approval.decided_by_name if approval else None,
        "decided": approval.updated_at if approval and approval.approved is not None else None,
    }


# What the OpenAPI document shows of these routes, made from the very structs, so that it misses no field.
CLIENT_ID_EXAMPLE = "app_ and 22 letters and digits"
SECRET_EXAMPLE = "lps_ and 43 more letters and digits, shown here once"  # noqa: S105  a sample
_FACTS: dict[str, Any] = {
    "id": 1,
    "client_id": CLIENT_ID_EXAMPLE,
    "version": 1,
    "name": "Price dashboard",
    "kind": AppKind.CONFIDENTIAL,
    "source": ClientSource.REGISTERED,
    "own": True,
    "status": AppStatus.ACTIVE,
    "users": 3,
    "last_used": UPDATED_AT,
    "created": CREATED_AT,
    "created_by": "maya@northwind.example",
    "revoked": None,
    "revoked_by": None,
    "asked_by": None,
    "decided_by": None,
    "decided": None,
}
SECRET_ENTRY_EXAMPLE = SecretOut(prefix="lps_9xQz", created=CREATED_AT, created_by="maya@northwind.example", expires=None)
_APP = AppDetails(
    **_FACTS,
    auth_method="client_secret_basic",
    application_type="web",
    redirect_uris=["https://dashboard.northwind.example/callback"],
    post_logout_redirect_uris=[],
    grant_types=["authorization_code", "refresh_token"],
    scopes=["agents:read", "runs:read"],
    jwks=None,
    jwks_uri=None,
    client_uri="https://dashboard.northwind.example/",
    require_pushed_authorization_requests=False,
    dpop_bound_access_tokens=False,
    spaces=[],
    secrets=[SECRET_ENTRY_EXAMPLE],
)
_SERVICE = msgspec.structs.replace(
    _APP,
    name="Nightly export",
    kind=AppKind.SERVICE,
    redirect_uris=[],
    grant_types=["client_credentials"],
    client_uri=None,
    users=0,
    last_used=None,
    spaces=[SpaceRole(space_id=1, role=RoleName.VIEWER)],
)
RESPONSE_EXAMPLES: dict[str, Any] = {
    "listApps": AppPage(apps=[AppOut(**_FACTS)], total_record_count=1),
    "createApp": AppMade(app=_SERVICE, client_secret=SECRET_EXAMPLE),
    "getApp": _APP,
    "changeApp": _SERVICE,
    "rotateAppSecret": SecretMade(client_secret=SECRET_EXAMPLE, older_expires=UPDATED_AT),
    "blockApp": GrantsEnded(grants_ended=3),
    "revokeApp": GrantsEnded(grants_ended=3),
    "listAppUsers": [
        AppUserOut(
            user_id=2,
            full_name="Jonas Weber",
            email="jonas@northwind.example",
            scopes=["agents:read", "runs:read"],
            since=CREATED_AT,
            last_used=UPDATED_AT,
        )
    ],
    "getAppPolicy": AppPolicy(needs_approval=False),
    "changeAppPolicy": AppPolicy(needs_approval=True),
}
