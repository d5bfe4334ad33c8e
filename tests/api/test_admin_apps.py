"""OAuth apps under /api/v1/admin/, for administrators signed in: secrets, approval, revocation, and what each ends."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit.clock import Frozen
from latchpin.storage.models import OAuthApproval, OAuthClientSecret
from tests.support.apps import CALLBACK, App, Apps
from tests.support.people import Organization
from tests.support.signed_in import SignedIn, fields, problem
from tests.support.wire import audit

WEB = {"name": "Price dashboard", "authMethod": "client_secret_post", "redirectUris": [CALLBACK]}
SERVICE = {"name": "Nightly", "authMethod": "client_secret_post", "grantTypes": ["client_credentials"], "scopes": ["agents:read"]}


@pytest.fixture
def admin(organization: Organization) -> SignedIn:
    """The administrator's session."""
    return SignedIn(organization.server, organization.admin)


@pytest.fixture
def apps(organization: Organization) -> Apps:
    """Apps of the organization."""
    return Apps(organization)


def _registered(response: Any) -> App:
    assert response.status_code == 201, response.text
    created_app = response.json()
    return App(created_app["app"]["id"], created_app["app"]["clientId"], created_app["clientSecret"])


def _ask(organization: Organization, app: App, *, approved: bool | None = None) -> None:
    """Note that a user of the organization asked for an app of others."""

    async def work(session: AsyncSession) -> None:
        row = OAuthApproval(
            organization_id=organization.id,
            oauth_client_id=app.pk,
            approved=approved,
            asked_by_name="Grace User",
            updated_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        session.add(row)

    organization.write(work)


def test_a_secret_is_shown_once_and_kept_as_a_digest(organization: Organization, admin: SignedIn, apps: Apps) -> None:
    """The answer is kept by no cache; no later answer, row or audit record holds the secret; it proves the app."""
    response = admin.post("/apps", SERVICE)
    app = _registered(response)

    async def rows(session: AsyncSession) -> list[OAuthClientSecret]:
        return list((await session.scalars(select(OAuthClientSecret).where(OAuthClientSecret.oauth_client_id == app.pk))).all())

    (client_secret,) = organization.write(rows)
    assert response.headers["cache-control"] == "no-store"
    assert app.secret is not None
    assert app.secret.startswith("lps_")
    assert (len(client_secret.digest), client_secret.prefix) == (32, app.secret[:8])
    assert app.secret.encode() not in client_secret.digest
    later = admin.get("/apps").text + admin.get(f"/apps/{app.pk}").text + admin.get("/audit").text
    assert app.secret not in later
    assert apps.own(app).status_code == 200


def test_an_app_without_a_secret_gets_none(admin: SignedIn) -> None:
    """A public app has nothing to keep."""
    created_app = admin.post("/apps", {"name": "Phone app", "applicationType": "native", "redirectUris": ["com.example.app:/back"]}).json()

    assert created_app["clientSecret"] is None
    assert created_app["app"]["kind"] == "public"
    assert created_app["app"]["secrets"] == []
    problem(admin.post(f"/apps/{created_app['app']['id']}/rotate-secret", {}), 409, "conflict")


def test_two_secrets_live_while_rotating_and_the_old_one_dies_at_its_time(admin: SignedIn, apps: Apps, clock: Frozen) -> None:
    """Both prove the app until the overlap is over; then only the new one does."""
    old = _registered(admin.post("/apps", SERVICE))
    clock.advance(timedelta(minutes=1))
    rotated = admin.post(f"/apps/{old.pk}/rotate-secret", {"overlapHours": 24})
    new = App(old.pk, old.client_id, rotated.json()["clientSecret"])

    assert rotated.headers["cache-control"] == "no-store"
    assert [apps.own(each).status_code for each in (old, new)] == [200, 200]
    secrets = admin.get(f"/apps/{old.pk}").json()["secrets"]
    assert [each["expires"] is None for each in secrets] == [False, True]

    clock.advance(timedelta(hours=24))
    assert [apps.own(each).status_code for each in (old, new)] == [401, 200]
    clock.advance(-timedelta(hours=24))


def test_rotating_with_no_overlap_ends_the_old_secret_at_once(admin: SignedIn, apps: Apps) -> None:
    """Zero hours, for a secret that somebody has seen."""
    old = _registered(admin.post("/apps", SERVICE))

    rotated = admin.post(f"/apps/{old.pk}/rotate-secret", {"overlapHours": 0}).json()

    assert rotated["olderExpires"] is None
    assert apps.own(old).status_code == 401
    assert apps.own(App(old.pk, old.client_id, rotated["clientSecret"])).status_code == 200


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_no_more_than_two_secrets_live(admin: SignedIn, apps: Apps) -> None:
    """Rotating a second time within the overlap ends the oldest."""
    first = _registered(admin.post("/apps", SERVICE))
    second, third = (
        App(first.pk, first.client_id, admin.post(f"/apps/{first.pk}/rotate-secret", {"overlapHours": 48}).json()["clientSecret"])
        for _ in range(2)
    )

    assert [apps.own(each).status_code for each in (first, second, third)] == [401, 200, 200]
    assert admin.post(f"/apps/{first.pk}/end-older-secret").status_code == 204
    assert [apps.own(each).status_code for each in (second, third)] == [401, 200]
    assert admin.post(f"/apps/{first.pk}/end-older-secret").status_code == 204
    assert apps.own(third).status_code == 200


@pytest.mark.parametrize("hours", [-1, 721, "a day"])
def test_an_unsound_overlap_rotates_nothing(admin: SignedIn, hours: Any) -> None:
    """At most 30 days."""
    app = _registered(admin.post("/apps", SERVICE))

    assert list(fields(admin.post(f"/apps/{app.pk}/rotate-secret", {"overlapHours": hours}))) == ["overlapHours"]
    assert len(admin.get(f"/apps/{app.pk}").json()["secrets"]) == 1


def test_a_revoked_apps_tokens_are_refused_by_the_next_request(admin: SignedIn, apps: Apps) -> None:
    """Its users' and its own; refreshing too; and it stays so."""
    app = apps.register()
    tokens = apps.tokens(app)
    assert apps.get("/agent/all", tokens).status_code == 200

    assert admin.post(f"/apps/{app.pk}/revoke").json() == {"grantsEnded": 1}

    assert apps.get("/agent/all", tokens).status_code == 401
    assert apps.refresh(app, tokens.refresh).status_code >= 400
    assert admin.get(f"/apps/{app.pk}").json()["status"] == "revoked"
    assert admin.post(f"/apps/{app.pk}/revoke").json() == {"grantsEnded": 0}
    problem(admin.request("PUT", f"/api/v1/admin/apps/{app.pk}", json=WEB), 409, "conflict")


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_an_app_is_deleted_only_after_it_was_revoked(organization: Organization, admin: SignedIn, apps: Apps) -> None:
    """Its entry goes; its history stays in the audit log."""
    app = apps.register()
    problem(admin.delete(f"/apps/{app.pk}"), 409, "conflict")
    admin.post(f"/apps/{app.pk}/revoke")

    assert admin.delete(f"/apps/{app.pk}").status_code == 204

    problem(admin.get(f"/apps/{app.pk}"), 404, "app-not-found")
    for action in ("client.created", "client.revoked", "client.deleted"):
        assert audit(organization, action, target_id=app.pk), action


def test_blocking_ends_the_organizations_grants_and_nobody_elses(organization: Organization, other: Organization, admin: SignedIn) -> None:
    """An app of others is closed to this organization; those who made it go on using it."""
    theirs = Apps(other)
    app = theirs.register()
    at_home = theirs.tokens(app)
    tokens = Apps(organization).tokens(app)
    assert theirs.get("/agent/all", tokens).status_code == 200

    assert admin.post(f"/apps/{app.pk}/block").json() == {"grantsEnded": 1}

    assert theirs.get("/agent/all", tokens).status_code == 401
    assert theirs.get("/agent/all", at_home).status_code == 200
    assert admin.get(f"/apps/{app.pk}").json()["status"] == "blocked"


def test_approving_lets_an_app_in_that_was_asked_for(organization: Organization, other: Organization, admin: SignedIn) -> None:
    """While the policy asks for approval, an app that somebody asked for waits; then it is active."""
    app = Apps(other).register()
    _ask(organization, app)
    assert admin.get(f"/apps/{app.pk}").json()["status"] == "active"
    assert admin.put("/app-policy", {"needsApproval": True}).json() == {"needsApproval": True}
    waiting = admin.get(f"/apps/{app.pk}").json()
    assert (waiting["status"], waiting["askedBy"], waiting["decided"]) == ("waiting", "Grace User", None)
    assert [each["id"] for each in admin.get("/apps", status="waiting").json()["apps"]] == [app.pk]

    assert admin.post(f"/apps/{app.pk}/approve").status_code == 204

    approved = admin.get(f"/apps/{app.pk}").json()
    assert (approved["status"], approved["decidedBy"]) == ("active", organization.admin.email)
    assert audit(organization, "client.approved", target_id=app.pk)
    assert audit(organization, "organization.app_policy_changed", organization_id=organization.id)


def test_an_own_app_needs_no_approval(admin: SignedIn, apps: Apps) -> None:
    """The policy is for apps of others; the own are revoked, not blocked."""
    app = apps.register()
    admin.put("/app-policy", {"needsApproval": True})

    assert admin.get(f"/apps/{app.pk}").json()["status"] == "active"
    problem(admin.post(f"/apps/{app.pk}/block"), 409, "conflict")
    problem(admin.post(f"/apps/{app.pk}/approve"), 409, "conflict")


def test_an_app_of_others_cannot_be_changed(organization: Organization, other: Organization, admin: SignedIn) -> None:
    """Known to the organization, and still not its own: no change, no secret, no revocation, and no word of who made it."""
    app = Apps(other).register(confidential=True)
    _ask(organization, app, approved=True)

    responses = [
        admin.request("PUT", f"/api/v1/admin/apps/{app.pk}", json=WEB),
        admin.post(f"/apps/{app.pk}/rotate-secret", {}),
        admin.post(f"/apps/{app.pk}/end-older-secret"),
        admin.post(f"/apps/{app.pk}/revoke"),
        admin.delete(f"/apps/{app.pk}"),
    ]

    assert {response.status_code for response in responses} == {409}
    app_json = admin.get(f"/apps/{app.pk}").json()
    assert (app_json["own"], app_json["createdBy"], app_json["secrets"]) == (False, None, [])
    assert other.admin.email not in admin.get(f"/apps/{app.pk}").text


def test_an_app_that_nobody_here_knows_is_not_there(other: Organization, admin: SignedIn) -> None:
    """Another organization's app is found neither by its id nor by searching."""
    app = Apps(other).register(name="Zanzibar")

    for response in (
        admin.get(f"/apps/{app.pk}"),
        admin.get(f"/apps/{app.pk}/users"),
        admin.post(f"/apps/{app.pk}/approve"),
        admin.post(f"/apps/{app.pk}/block"),
        admin.post(f"/apps/{app.pk}/revoke"),
        admin.post(f"/apps/{app.pk}/rotate-secret", {}),
        admin.delete(f"/apps/{app.pk}"),
    ):
        problem(response, 404, "app-not-found")
    assert admin.get("/apps", search="Zanzibar").json() == {"apps": [], "totalRecordCount": 0}


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_the_list_says_who_uses_what(organization: Organization, admin: SignedIn, apps: Apps) -> None:
    """Users are counted once however many grants they gave; search, sorting and pages work as for users."""
    busy, idle = apps.register(name="Busy"), apps.register(name="Idle", confidential=True)
    apps.service()
    grace = organization.user()
    for _ in range(2):
        apps.tokens(busy, grace)
    apps.tokens(busy)

    page = admin.get("/apps", sortColumn="users", sortOrder=1).json()

    assert page["totalRecordCount"] == 3
    assert (page["apps"][0]["id"], page["apps"][0]["users"], page["apps"][0]["lastUsed"] is not None) == (busy.pk, 2, True)
    assert {each["kind"] for each in page["apps"]} == {"public", "confidential", "service"}
    assert [each["id"] for each in admin.get("/apps", search="iDLE").json()["apps"]] == [idle.pk]
    assert [each["id"] for each in admin.get("/apps", search=busy.client_id).json()["apps"]] == [busy.pk]
    assert {each["userId"] for each in admin.get(f"/apps/{busy.pk}/users").json()} == {grace.id, organization.admin.id}
    problem(admin.get("/apps", sortColumn="secret"), 400)
    problem(admin.get("/apps", status="odd"), 400)


_PRIVATE = RSAKey.generate_key(2048).as_dict(private=True)
_SHORT = {"kty": "RSA", "e": "AQAB", "n": base64.urlsafe_b64encode(b"\xc1" * 128).decode().rstrip("=")}  # 1,024 bits
_PUBLIC = ECKey.generate_key("P-256").as_dict(private=False)


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"redirectUris": []}, "redirectUris"),
        ({"redirectUris": ["http://partner.example/cb"]}, "redirectUris"),
        ({"redirectUris": ["https://partner.example/cb#part"]}, "redirectUris"),
        ({"redirectUris": ["https://*.partner.example/cb"]}, "redirectUris"),
        ({"redirectUris": ["javascript:alert(1)"]}, "redirectUris"),
        ({"redirectUris": ["com.example.app:/back"]}, "redirectUris"),
        ({"redirectUris": [f"https://partner.example/{number}" for number in range(21)]}, "redirectUris"),
        ({"redirectUris": "https://partner.example/cb"}, "redirectUris"),
        ({"postLogoutRedirectUris": ["/relative"]}, "postLogoutRedirectUris"),
        ({"authMethod": "client_secret_jwt"}, "authMethod"),
        ({"applicationType": "toaster"}, "applicationType"),
        ({"grantTypes": ["password"]}, "grantTypes"),
        ({"grantTypes": []}, "grantTypes"),
        ({"authMethod": "none", "grantTypes": ["client_credentials"], "scopes": ["agents:read"]}, "grantTypes"),
        ({"grantTypes": ["client_credentials"]}, "scopes"),
        ({"scopes": ["agents:delete"]}, "scopes"),
        ({"spaces": [{"spaceId": 1, "role": "viewer"}]}, "spaces"),
        ({"authMethod": "private_key_jwt"}, "jwks"),
        ({"authMethod": "private_key_jwt", "jwks": {"keys": []}}, "jwks"),
        ({"authMethod": "private_key_jwt", "jwks": {"keys": [_PRIVATE]}}, "jwks"),
        ({"authMethod": "private_key_jwt", "jwks": {"keys": [_SHORT]}}, "jwks"),
        ({"authMethod": "private_key_jwt", "jwks": {"keys": [OctKey.generate_key(256).as_dict(private=True)]}}, "jwks"),
        ({"authMethod": "private_key_jwt", "jwks": {"keys": [{"kty": "RSA"}]}}, "jwks"),
        ({"authMethod": "private_key_jwt", "jwksUri": "http://partner.example/jwks"}, "jwksUri"),
        ({"authMethod": "private_key_jwt", "jwks": {"keys": [_PUBLIC]}, "jwksUri": "https://partner.example/jwks"}, "jwksUri"),
        ({"clientUri": "http://partner.example"}, "clientUri"),
        ({"clientUri": "https://user@partner.example"}, "clientUri"),
        ({"requirePushedAuthorizationRequests": "yes"}, "requirePushedAuthorizationRequests"),
        ({"dpopBoundAccessTokens": 1}, "dpopBoundAccessTokens"),
        ({"clientId": "chosen-by-me"}, "clientId"),
        ({"organizationId": 1}, "organizationId"),
    ],
)
def test_an_unsound_entry_registers_nothing(admin: SignedIn, entry: dict[str, Any], field: str) -> None:
    """422 names the field (security.md 6 for the addresses)."""
    assert list(fields(admin.post("/apps", {**WEB, **entry}))) == [field]

    assert admin.get("/apps").json()["totalRecordCount"] == 0


def test_a_private_key_is_not_repeated_in_the_refusal(admin: SignedIn) -> None:
    """Who pastes one is told to make another, and sees nothing of it again."""
    response = admin.post("/apps", {**WEB, "authMethod": "private_key_jwt", "jwks": {"keys": [_PRIVATE]}})

    assert "private key" in fields(response)["jwks"]
    assert str(_PRIVATE["d"])[:20] not in response.text


def test_an_app_with_keys_of_its_own_has_no_secret(admin: SignedIn) -> None:
    """`private_key_jwt` with a JWK Set of public keys."""
    created_app = admin.post("/apps", {**WEB, "authMethod": "private_key_jwt", "jwks": {"keys": [_PUBLIC]}}).json()

    assert created_app["clientSecret"] is None
    assert json.dumps(created_app["app"]["jwks"]["keys"][0]["x"]) in json.dumps(_PUBLIC)


def test_spaces_of_a_service_are_the_organizations_own(organization: Organization, other: Organization, admin: SignedIn) -> None:
    """A service acts in the Spaces that were assigned, which cannot be another organization's."""
    space = organization.space()

    created_app = admin.post("/apps", {**SERVICE, "spaces": [{"spaceId": space, "role": "operator"}]}).json()
    foreign = admin.post("/apps", {**SERVICE, "spaces": [{"spaceId": other.space(), "role": "viewer"}]})

    assert created_app["app"]["spaces"] == [{"spaceId": space, "role": "operator"}]
    assert list(fields(foreign)) == ["spaces"]


def test_a_change_counts_for_the_next_request(organization: Organization, admin: SignedIn, apps: Apps) -> None:
    """A scope that is taken from a service is gone from tokens that are out already."""
    app = _registered(admin.post("/apps", {**SERVICE, "scopes": ["agents:read", "spaces:read"]}))
    header = {"Authorization": f"Bearer {apps.own(app).json()['access_token']}"}
    assert organization.server.http.get("/api/v1/spaces", headers=header).status_code == 200

    changed = admin.request("PUT", f"/api/v1/admin/apps/{app.pk}", json=SERVICE)

    assert changed.json()["scopes"] == ["agents:read"]
    assert organization.server.http.get("/api/v1/spaces", headers=header).status_code in (401, 403)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_what_an_app_must_do_is_set_and_changed(organization: Organization, admin: SignedIn) -> None:
    """Sending requests ahead, and proof of a key for tokens; off where nobody says otherwise, and each change is in the trail."""
    flags = {"requirePushedAuthorizationRequests": True, "dpopBoundAccessTokens": True}
    plain, bound = admin.post("/apps", WEB).json()["app"], admin.post("/apps", {**WEB, **flags}).json()["app"]

    assert [plain[name] for name in flags] == [False, False]
    assert {name: admin.get(f"/apps/{bound['id']}").json()[name] for name in flags} == flags

    changed = admin.put(f"/apps/{bound['id']}", {**WEB, "dpopBoundAccessTokens": True}).json()
    assert [changed[name] for name in flags] == [False, True]
    (event,) = audit(organization, "client.changed", organization_id=organization.id)
    assert json.loads(event.changes or "{}") == {"require_pushed": [True, False]}


def test_how_an_app_proves_itself_stays(admin: SignedIn, apps: Apps) -> None:
    """A public app does not become a confidential one: nobody has its secret; and the reverse would need none any more."""
    app = apps.register()

    assert list(fields(admin.request("PUT", f"/api/v1/admin/apps/{app.pk}", json=WEB))) == ["authMethod"]


def test_an_ordinary_user_and_an_old_password_get_nowhere(organization: Organization, admin: SignedIn, clock: Frozen) -> None:
    """Users see no apps; an administrator's change needs a recent password."""
    user = SignedIn(organization.server, organization.user())
    problem(user.get("/apps"), 403)
    problem(user.post("/apps", WEB), 403)
    clock.advance(timedelta(minutes=11))
    problem(admin.post("/apps", WEB), 403, "proof_needed")
    assert admin.get("/apps").json()["totalRecordCount"] == 0
