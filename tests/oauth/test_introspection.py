"""What a token is worth at this moment (RFC 7662)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from latchpin.identity.roles import Role
from latchpin.identity.scopes import Access
from latchpin.kit.clock import Frozen
from latchpin.oauth import client_admin
from latchpin.oauth.client_admin import ClientFields
from tests.support.apps import App, Apps
from tests.support.people import Organization
from tests.support.tokens import ResourceServer, claims, resource, with_client
from tests.support.wire import audit, stored

INTROSPECT = "/api/oauth/introspect"
INACTIVE = {"active": False}


def as_app(organization: Organization, app: App, token: str) -> dict[str, Any]:
    """Ask as a confidential app."""
    response = organization.server.http.post(INTROSPECT, data={"token": token, **app.proof})
    assert response.status_code == 200, response.text
    introspection: dict[str, Any] = response.json()
    return introspection


def as_server(organization: Organization, server: ResourceServer, token: str, **more: str) -> dict[str, Any]:
    """Ask as the server of a resource."""
    response = organization.server.http.post(INTROSPECT, data={"token": token, **more}, auth=server.proof)
    assert response.status_code == 200, response.text
    introspection: dict[str, Any] = response.json()
    return introspection


def test_an_app_learns_what_its_own_token_says(organization: Organization) -> None:
    """All claims that the token carries, and that it is active."""
    apps = Apps(organization)
    app, user = apps.register(confidential=True), organization.user()
    space_id = organization.space("Retail")
    organization.member(space_id, user, Role.VIEWER)
    tokens = apps.tokens(app, user)

    introspection = as_app(organization, app, tokens.access)

    carried = claims(tokens.access)
    names = ("iss", "aud", "sub", "client_id", "scope", "exp", "iat", "jti", "sid", "org", "role", "space", "spaces")
    assert introspection["active"] is True
    assert introspection["token_type"] == "Bearer"
    assert {name: introspection[name] for name in names} == {name: carried[name] for name in names}
    assert {"id": space_id, "name": "Retail", "role": "viewer"} in introspection["spaces"]  # beside global ones of other organizations


def test_an_app_learns_what_its_own_refresh_token_is_worth(organization: Organization) -> None:
    """Until it is spent."""
    apps = Apps(organization)
    app = apps.register(confidential=True)
    tokens = apps.tokens(app)

    introspection = as_app(organization, app, tokens.refresh)

    assert (introspection["active"], introspection["client_id"], introspection["sub"]) == (True, app.client_id, str(organization.admin.id))
    apps.refresh(app, tokens.refresh)
    assert as_app(organization, app, tokens.refresh) == INACTIVE


def test_a_server_is_told_of_tokens_for_its_resource_only(organization: Organization) -> None:
    """Tokens for our API or for another resource are inactive for it, like unknown ones (security.md 63)."""
    apps = Apps(organization)
    app, one, two = apps.register(), resource(organization), resource(organization, "https://other.partner.example")
    for_one = apps.tokens(app, resource=one.identifier).access

    assert as_server(organization, one, for_one)["aud"] == one.identifier
    assert as_server(organization, two, for_one) == INACTIVE
    assert as_server(organization, one, apps.tokens(app).access) == INACTIVE


def test_the_same_address_in_another_organization_is_another_resource(organization: Organization, other: Organization) -> None:
    """Whoever registers somebody else's address learns nothing of their tokens (security.md 63)."""
    apps = Apps(organization)
    own, foreign = resource(organization), resource(other)
    token = apps.tokens(apps.register(), resource=own.identifier).access

    assert as_server(organization, own, token)["active"] is True
    assert as_server(other, foreign, token) == INACTIVE


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_another_apps_token_is_inactive(organization: Organization) -> None:
    """Access and refresh tokens alike (security.md 63)."""
    apps = Apps(organization)
    tokens, stranger = apps.tokens(apps.register()), apps.register(confidential=True)

    assert as_app(organization, stranger, tokens.access) == INACTIVE
    assert as_app(organization, stranger, tokens.refresh) == INACTIVE


def test_unknown_revoked_and_expired_look_alike(organization: Organization, clock: Frozen) -> None:
    """Nothing but `active: false` (security.md 63, RFC 7662 section 2.2)."""
    apps = Apps(organization)
    app = apps.register(confidential=True)
    revoked, expired = apps.tokens(app), apps.tokens(app)
    organization.server.http.post("/api/oauth/revoke", data={"token": revoked.refresh, **app.proof})
    id_token = apps.tokens(app, scope="openid").answer["id_token"]

    for token in ("junk", "lpr_junk", "a.b.c", id_token, revoked.access, revoked.refresh):
        assert as_app(organization, app, token) == INACTIVE
    assert as_app(organization, app, expired.access)["active"] is True
    clock.advance(timedelta(minutes=15))
    assert as_app(organization, app, expired.access) == INACTIVE


def test_whoever_asks_must_prove_itself(organization: Organization) -> None:
    """Nobody, a public app, and a wrong secret are refused (security.md 63)."""
    apps = Apps(organization)
    app, public = apps.register(confidential=True), apps.register()
    token = apps.tokens(app).access
    http = organization.server.http

    nobody = http.post(INTROSPECT, data={"token": token})
    unproved = http.post(INTROSPECT, data={"token": token, **public.proof})
    wrong = http.post(INTROSPECT, data={"token": token, "client_id": app.client_id, "client_secret": "lps_wrong"})

    assert nobody.json() == {"error": "invalid_request", "error_description": "client_id is required"}
    assert (unproved.status_code, unproved.json()["error"]) == (401, "invalid_client")
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")


def test_a_server_is_told_of_its_organizations_api_keys(organization: Organization, other: Organization) -> None:
    """Who, and with which scopes; keys of others and revoked ones are inactive."""
    server, key = resource(organization), organization.key(access=Access.READ_ONLY)

    introspection = as_server(organization, server, key.secret)

    assert introspection["active"] is True
    assert (introspection["token_type"], introspection["sub"], introspection["username"]) == (
        "ApiKey",
        str(organization.admin.id),
        organization.admin.email,
    )
    assert introspection["scope"] == "agents:read runs:read spaces:read billing:read"
    assert "client_id" not in introspection
    assert as_server(organization, server, other.key().secret) == INACTIVE
    organization.revoke(key)
    assert as_server(organization, server, key.secret) == INACTIVE


def test_a_key_that_is_told_active_was_used(organization: Organization) -> None:
    """Whoever uses it at a resource server leaves a trace here, as at our own API."""
    server, key = resource(organization), organization.key()

    as_server(organization, server, key.secret)
    organization.server.flush()

    (row,) = audit(organization, "api_key.used", target_id=key.id)
    assert (row.reason, row.outcome, row.credential_id) == ("POST /api/oauth/introspect", "done", key.id)
    assert stored(organization, key).last_used_at is not None


def test_an_app_that_is_no_server_is_told_of_no_api_key(organization: Organization) -> None:
    """Apps have no use for keys."""
    app = Apps(organization).register(confidential=True)

    assert as_app(organization, app, organization.key().secret) == INACTIVE


def test_a_key_bound_to_networks_is_active_for_an_address_in_them(organization: Organization) -> None:
    """The server says who sent it; without that the key is inactive."""
    server, key = resource(organization), organization.key(networks=("192.0.2.0/24",))

    assert as_server(organization, server, key.secret) == INACTIVE
    assert as_server(organization, server, key.secret, client_address="198.51.100.1") == INACTIVE
    assert as_server(organization, server, key.secret, client_address="192.0.2.7")["active"] is True


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_token_is_told_with_the_scopes_that_still_count(organization: Organization) -> None:
    """What an administrator takes from an app's own right is gone from its token too."""
    apps = Apps(organization)
    app = apps.service("agents:read spaces:read")
    token = apps.own(app).json()["access_token"]
    assert as_app(organization, app, token)["scope"] == "agents:read spaces:read"

    fields = ClientFields(name="Export", auth_method="client_secret_post", grant_types=("client_credentials",), scopes=("spaces:read",))
    with_client(organization, app, lambda session, client, by: client_admin.change(session, client, fields, by=by))

    assert as_app(organization, app, token)["scope"] == "spaces:read"
