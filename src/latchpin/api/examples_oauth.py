"""Samples for the OpenAPI document: OAuth apps, API resources, and what stands open for a user."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from latchpin.api.v1.admin_access import ConnectedOut, PlaceOut, SessionOut
from latchpin.api.v1.admin_resources import ResourceMade, ResourceOut
from latchpin.api.v1.admin_spaces import RoleName
from latchpin.api.v1.app_wire import (
    AppDetails,
    AppMade,
    AppOut,
    AppPage,
    AppPolicy,
    AppUserOut,
    GrantsEnded,
    SecretMade,
    SecretOut,
    SpaceRole,
)
from latchpin.oauth.client_list import AppKind, AppStatus
from latchpin.storage.models.oauth_client import ClientSource
from latchpin.storage.models.oauth_grant import Reach

PARAMETERS: dict[str, Any] = {"appId": 1, "resourceId": 1, "sessionId": 1}
_AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
_LATER = datetime(2026, 11, 23, 16, 5, 12, tzinfo=UTC)
_CLIENT_ID = "app_ and 22 letters and digits"
_SECRET = "lps_ and 43 more letters and digits, shown here once"  # noqa: S105  a sample
_FACTS: dict[str, Any] = {
    "id": 1,
    "client_id": _CLIENT_ID,
    "version": 1,
    "name": "Price dashboard",
    "kind": AppKind.CONFIDENTIAL,
    "source": ClientSource.REGISTERED,
    "own": True,
    "status": AppStatus.ACTIVE,
    "users": 3,
    "last_used": _LATER,
    "created": _AT,
    "created_by": "maya@northwind.example",
    "revoked": None,
    "revoked_by": None,
    "asked_by": None,
    "decided_by": None,
    "decided": None,
}
_LIVING = SecretOut(prefix="lps_9xQz", created=_AT, created_by="maya@northwind.example", expires=None)
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
    secrets=[_LIVING],
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
_RESOURCE = ResourceOut(
    id=1,
    name="Data service",
    identifier="https://data.northwind.example",
    may_call_api=False,
    client_id=_CLIENT_ID,
    secrets=[_LIVING],
    created=_AT,
)
ANSWERS: dict[str, Any] = {
    "listApps": AppPage(apps=[AppOut(**_FACTS)], total_record_count=1),
    "createApp": AppMade(app=_SERVICE, client_secret=_SECRET),
    "getApp": _APP,
    "changeApp": _SERVICE,
    "rotateAppSecret": SecretMade(client_secret=_SECRET, older_expires=_LATER),
    "blockApp": GrantsEnded(grants_ended=3),
    "revokeApp": GrantsEnded(grants_ended=3),
    "listAppUsers": [
        AppUserOut(
            user_id=2,
            full_name="Jonas Weber",
            email="jonas@northwind.example",
            scopes=["agents:read", "runs:read"],
            since=_AT,
            last_used=_LATER,
        )
    ],
    "getAppPolicy": AppPolicy(needs_approval=False),
    "changeAppPolicy": AppPolicy(needs_approval=True),
    "listResources": [_RESOURCE],
    "createResource": ResourceMade(resource=_RESOURCE, client_secret=_SECRET),
    "getResource": _RESOURCE,
    "changeResource": _RESOURCE,
    "rotateResourceSecret": SecretMade(client_secret=_SECRET, older_expires=_LATER),
    "listUserSessions": [
        SessionOut(
            id=1,
            user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            address="203.0.113.24",
            created=_AT,
            last_seen=_LATER,
            expires=datetime(2026, 11, 27, 9, 30, tzinfo=UTC),
        )
    ],
    "listUserGrants": [
        ConnectedOut(
            app_id=1,
            client_id=_CLIENT_ID,
            name="Price dashboard",
            scopes=["agents:read", "runs:read"],
            places=[PlaceOut(reach=Reach.SPACE, space="Retail")],
            since=_AT,
            last_used=_LATER,
            until=datetime(2027, 2, 18, 9, 30, tzinfo=UTC),
            active=True,
        )
    ],
}
_ENTRY = {
    "name": "Nightly export",
    "authMethod": "client_secret_basic",
    "grantTypes": ["client_credentials"],
    "scopes": ["agents:read", "runs:read"],
}
BODIES: dict[str, Any] = {
    "createApp": _ENTRY,
    "changeApp": _ENTRY,
    "rotateAppSecret": {"overlapHours": 24},
    "approveApp": {"version": 1},
    "changeAppPolicy": {"needsApproval": True},
    "createResource": {"name": "Data service", "identifier": "https://data.northwind.example", "mayCallApi": False},
    "changeResource": {"mayCallApi": True},
    "rotateResourceSecret": {"overlapHours": 24},
}
