"""API resources under /api/v1/admin/, for administrators signed in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit.clock import Frozen
from latchpin.storage.models import OAuthClient, OAuthClientSecret
from tests.support.apps import Apps
from tests.support.people import Organization
from tests.support.signed_in import SignedIn, fields, problem
from tests.support.wire import audit

DATA = {"name": "Data service", "identifier": "https://data.example"}


@pytest.fixture
def admin(organization: Organization) -> SignedIn:
    """The administrator's session."""
    return SignedIn(organization.server, organization.admin)


def _living(organization: Organization, client_id: str) -> list[OAuthClientSecret]:
    async def work(session: AsyncSession) -> list[OAuthClientSecret]:
        query = select(OAuthClientSecret).join(OAuthClient, OAuthClient.id == OAuthClientSecret.oauth_client_id)
        return list((await session.scalars(query.where(OAuthClient.client_id == client_id))).all())

    return organization.write(work)


def test_a_resource_comes_with_a_secret_for_its_server_shown_once(organization: Organization, admin: SignedIn) -> None:
    """Kept by no cache, and in the database as a digest only; the server's own client is no app of the list (security.md 63)."""
    response = admin.post("/resources", DATA)

    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    created_resource = response.json()
    secret, resource = created_resource["clientSecret"], created_resource["resource"]
    (client_secret,) = _living(organization, resource["clientId"])
    assert (len(client_secret.digest), client_secret.prefix, resource["secrets"][0]["prefix"]) == (32, secret[:8], secret[:8])
    assert secret not in admin.get("/resources").text + admin.get(f"/resources/{resource['id']}").text + admin.get("/audit").text
    assert admin.get("/apps").json()["totalRecordCount"] == 0
    assert audit(organization, "resource.created", target_id=resource["id"])


@pytest.mark.parametrize(
    ("entered", "kept"),
    [
        ("https://data.example/", "https://data.example"),
        ("https://DATA.example:8443", "https://data.example:8443"),
        ("https://data.example/v1", "https://data.example/v1"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://[::1]:9000/", "http://[::1]:9000"),
    ],
)
def test_an_address_is_kept_as_tokens_carry_it(admin: SignedIn, entered: str, kept: str) -> None:
    """An origin without its closing slash, the host in lower case; plain http for this very computer only."""
    assert admin.post("/resources", {**DATA, "identifier": entered}).json()["resource"]["identifier"] == kept


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        "data.example",
        "/data",
        "http://data.example",
        "https://data.example/#part",
        "https://data.example/?query",
        "https://user@data.example",
        "https://data.example/with space",
        "urn:example:data",
        "https://" + "d" * 600 + ".example",
        "https://data.example:port",
    ],
)
def test_an_unsound_address_registers_nothing(admin: SignedIn, identifier: str) -> None:
    """Absolute, https, without a fragment (RFC 8707 section 2, security.md 44)."""
    assert list(fields(admin.post("/resources", {**DATA, "identifier": identifier}))) == ["identifier"]
    assert admin.get("/resources").json() == []


def test_an_address_is_the_organizations_once(organization: Organization, other: Organization, admin: SignedIn) -> None:
    """Twice in one organization is refused; another organization may have the same server."""
    admin.post("/resources", DATA)

    assert list(fields(admin.post("/resources", DATA))) == ["identifier"]
    assert SignedIn(other.server, other.admin).post("/resources", DATA).status_code == 201


def test_our_own_address_is_no_further_resource(organization: Organization, admin: SignedIn) -> None:
    """It is what tokens are for anyway."""
    assert list(fields(admin.post("/resources", {**DATA, "identifier": organization.server.settings.public_url}))) == ["identifier"]


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_tokens_for_a_resource_call_our_api_only_where_that_was_said(organization: Organization, admin: SignedIn) -> None:
    """And taking it back counts for the next request (security.md 45)."""
    resource = admin.post("/resources", {**DATA, "mayCallApi": True}).json()["resource"]
    apps = Apps(organization)
    tokens = apps.tokens(apps.register(), resource=DATA["identifier"])
    assert apps.get("/agent/all", tokens).status_code == 200

    changed = admin.patch(f"/resources/{resource['id']}", {"mayCallApi": False}).json()

    assert (changed["mayCallApi"], changed["name"]) == (False, DATA["name"])
    assert apps.get("/agent/all", tokens).status_code == 401
    assert audit(organization, "resource.changed", target_id=resource["id"])


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_the_servers_secret_is_rotated_like_an_apps(organization: Organization, admin: SignedIn, clock: Frozen) -> None:
    """Two live while one replaces the other, and the older has an end."""
    resource = admin.post("/resources", DATA).json()["resource"]
    clock.advance(timedelta(seconds=1))

    rotated = admin.post(f"/resources/{resource['id']}/rotate-secret", {"overlapHours": 168})

    assert rotated.headers["cache-control"] == "no-store"
    secrets = admin.get(f"/resources/{resource['id']}").json()["secrets"]
    assert [each["expires"] for each in secrets] == [rotated.json()["olderExpires"], None]
    assert secrets[1]["prefix"] == rotated.json()["clientSecret"][:8]
    assert len(_living(organization, resource["clientId"])) == 2


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_deleted_resource_is_gone_with_its_servers_client(organization: Organization, admin: SignedIn) -> None:
    """No token for it can be asked for, and tokens that are out call our API no more."""
    created_resource = admin.post("/resources", {**DATA, "mayCallApi": True}).json()
    apps = Apps(organization)
    tokens = apps.tokens(apps.register(), resource=DATA["identifier"])

    assert admin.delete(f"/resources/{created_resource['resource']['id']}").status_code == 204

    problem(admin.get(f"/resources/{created_resource['resource']['id']}"), 404, "resource-not-found")
    assert apps.get("/agent/all", tokens).status_code == 401
    assert _living(organization, created_resource["resource"]["clientId"]) == []


def test_the_servers_client_is_no_app_to_be_changed(organization: Organization, admin: SignedIn) -> None:
    """It lives and dies with its resource."""
    client_id = admin.post("/resources", DATA).json()["resource"]["clientId"]

    async def work(session: AsyncSession) -> int | None:
        return await session.scalar(select(OAuthClient.id).where(OAuthClient.client_id == client_id))

    pk = organization.write(work)
    for response in (admin.get(f"/apps/{pk}"), admin.post(f"/apps/{pk}/revoke"), admin.post(f"/apps/{pk}/rotate-secret", {})):
        problem(response, 404, "app-not-found")


@pytest.mark.parametrize("body", [{"name": ""}, {"name": "x" * 201}, {"identifier": "https://other.example"}, {"mayCallApi": "yes"}])
def test_an_unsound_change_changes_nothing(admin: SignedIn, body: dict[str, Any]) -> None:
    """422 names the field; the address stays for good."""
    resource = admin.post("/resources", DATA).json()["resource"]

    assert list(fields(admin.patch(f"/resources/{resource['id']}", body))) == list(body)
    assert admin.get(f"/resources/{resource['id']}").json() == resource


def test_users_see_no_resources_and_changes_need_a_recent_password(organization: Organization, admin: SignedIn, clock: Frozen) -> None:
    """Like API keys (security.md 113)."""
    problem(SignedIn(organization.server, organization.user()).get("/resources"), 403)
    clock.advance(timedelta(minutes=11))
    problem(admin.post("/resources", DATA), 403, "proof_needed")
