"""API keys and their policy under /api/v1/admin/, for administrators signed in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from latchpin.kit import clock as kit_clock
from tests.support.people import Organization, Person
from tests.support.signed_in import SignedIn, fields, problem
from tests.support.wire import audit

KEY = {
    "id", "userId", "description", "prefix", "access", "scopes", "networks", "rateLimit", "status", "created", "createdBy", "expires",
    "lastUsed", "lastUsedAddress", "revoked", "revokedBy", "revokedReason",
}  # fmt: skip


@pytest.fixture
def admin(organization: Organization) -> SignedIn:
    """The administrator's session."""
    return SignedIn(organization.server, organization.admin)


@pytest.fixture
def grace(organization: Organization) -> Person:
    """An ordinary user."""
    return organization.user("Grace User")


def _in(days: float) -> str:
    return kit_clock.iso(datetime.now(UTC) + timedelta(days=days))


def test_a_new_key_is_shown_once_and_works(organization: Organization, admin: SignedIn, grace: Person) -> None:
    """The answer is not kept by caches; no other answer holds the key; it acts for its user (promises 2, 3, 4)."""
    response = admin.post(f"/users/{grace.id}/keys", {"description": "Nightly export", "access": "read-only"})

    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    created_key = response.json()
    assert set(created_key["apiKey"]) == KEY
    assert (created_key["apiKey"]["access"], created_key["apiKey"]["status"], created_key["apiKey"]["userId"]) == (
        "read-only",
        "active",
        grace.id,
    )
    assert created_key["key"].startswith(created_key["apiKey"]["prefix"])
    later_text = (
        admin.get(f"/users/{grace.id}/keys").text + admin.get(f"/keys/{created_key['apiKey']['id']}").text + admin.get("/audit").text
    )
    assert created_key["key"] not in later_text
    header = {"Authorization": f"ApiKey {created_key['key']}"}
    assert organization.server.http.get("/api/v1/agent/all", headers=header).status_code == 200


def test_a_key_expires_after_a_year_unless_said_otherwise(admin: SignedIn, grace: Person) -> None:
    """The default comes from the policy (promise 2)."""
    api_key = admin.post(f"/users/{grace.id}/keys", {}).json()["apiKey"]

    days = (datetime.fromisoformat(api_key["expires"]) - datetime.fromisoformat(api_key["created"])) / timedelta(days=1)
    assert days == pytest.approx(365, abs=0.01)
    assert api_key["access"] == "full"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"expires": "2001-01-01T00:00:00Z"}, "expires"),
        ({"expires": "0001-01-01T00:00:00+14:00"}, "expires"),
        ({"expires": "9999-12-31T23:59:59Z"}, "expires"),
        ({"expires": "9999-12-31T23:59:59-12:00"}, "expires"),
        ({"expires": "2027-11-24"}, "expires"),
        ({"expires": "2027-11-24T00:00:00"}, "expires"),
        ({"expires": "tomorrow"}, "expires"),
        ({"expires": 1795564800}, "expires"),
        ({"description": "x" * 10_000}, "description"),
        ({"description": "two\nlines"}, "description"),
        ({"description": "nul\u0000"}, "description"),
        ({"access": "everything"}, "access"),
        ({"access": "FULL"}, "access"),
        ({"networks": ["nonsense"]}, "networks"),
        ({"networks": ["203.0.113.7/24"]}, "networks"),
        ({"networks": ["10.0.0.0/8"] * 51}, "networks"),
        ({"networks": "10.0.0.0/8"}, "networks"),
        ({"rateLimit": 0}, "rateLimit"),
        ({"rateLimit": 10**30}, "rateLimit"),
        ({"rateLimit": "7"}, "rateLimit"),
        ({"scopes": ["agents:write"]}, "scopes"),
        ({"userId": 1}, "userId"),
        ({"organizationId": 1}, "organizationId"),
    ],
)
def test_an_unsound_entry_makes_no_key(admin: SignedIn, grace: Person, body: dict[str, Any], field: str) -> None:
    """422 names the field, and nothing is made."""
    assert list(fields(admin.post(f"/users/{grace.id}/keys", body))) == [field]

    assert admin.get(f"/users/{grace.id}/keys").json() == []


def test_the_detail_alone_says_what_is_wrong(admin: SignedIn, grace: Person) -> None:
    """Many programs show a refusal's detail and nothing else."""
    response = admin.post(f"/users/{grace.id}/keys", {"expires": "2001-01-01T00:00:00Z", "rateLimit": 0})

    detail = problem(response, 422, "invalid")["detail"]
    assert detail.startswith("2 entries were refused; nothing was changed.")
    assert "expires: Choose a date in the future." in detail
    assert "rateLimit: Enter a whole number from 1 to 1000000." in detail


def test_markup_in_a_description_comes_back_as_it_was(admin: SignedIn, grace: Person) -> None:
    """JSON needs no escaping of HTML; pages do their own."""
    text = "<script>alert(1)</script> & 'so on'"

    api_key = admin.post(f"/users/{grace.id}/keys", {"description": text}).json()["apiKey"]

    assert api_key["description"] == text


def test_networks_and_rate_limit_of_a_key_are_kept(organization: Organization, admin: SignedIn, grace: Person) -> None:
    """Networks are written in canonical form, and count."""
    created_key = admin.post(f"/users/{grace.id}/keys", {"networks": ["203.0.113.0/24", "2001:db8::/32"], "rateLimit": 7}).json()

    assert created_key["apiKey"]["networks"] == ["203.0.113.0/24", "2001:db8::/32"]
    assert created_key["apiKey"]["rateLimit"] == 7
    header = {"Authorization": f"ApiKey {created_key['key']}"}
    assert organization.server.http.get("/api/v1/agent/all", headers=header).status_code == 401


def test_the_expiry_is_changed_within_the_policy(admin: SignedIn, organization: Organization, grace: Person) -> None:
    """Sooner and later, up to the longest lifetime."""
    key = organization.key(grace)
    expires_at = _in(30)

    changed = admin.patch(f"/keys/{key.id}", {"expires": expires_at})

    assert (changed.status_code, changed.json()["expires"]) == (200, expires_at)
    assert list(fields(admin.patch(f"/keys/{key.id}", {"expires": _in(800)}))) == ["expires"]
    assert list(fields(admin.patch(f"/keys/{key.id}", {"expires": _in(-1)}))) == ["expires"]
    assert fields(admin.patch(f"/keys/{key.id}", {})) == {"expires": "This field is needed."}


def test_a_revoked_key_is_refused_by_the_next_request_and_stays_listed(organization: Organization, admin: SignedIn, grace: Person) -> None:
    """Revoking is final and may be repeated; when, by whom and why is kept (promise 5)."""
    key = organization.key(grace)
    assert organization.get("/agent/all", key).status_code == 200

    assert admin.post(f"/keys/{key.id}/revoke", {"reason": "Found in a repository"}).status_code == 204
    assert organization.get("/agent/all", key).status_code == 401
    assert admin.post(f"/keys/{key.id}/revoke").status_code == 204

    api_key = admin.get(f"/users/{grace.id}/keys").json()[0]
    assert (api_key["status"], api_key["revokedReason"]) == ("revoked", "Found in a repository")
    problem(admin.patch(f"/keys/{key.id}", {"expires": _in(30)}), 409, "conflict")


@pytest.mark.parametrize("reason", ["", "x" * 201, "nul\u0000", "two\nlines"])
def test_an_unsound_reason_revokes_nothing(organization: Organization, admin: SignedIn, grace: Person, reason: str) -> None:
    """422, and the key lives."""
    key = organization.key(grace)

    assert list(fields(admin.post(f"/keys/{key.id}/revoke", {"reason": reason}))) == ["reason"]

    assert organization.get("/agent/all", key).status_code == 200


def test_a_deleted_key_is_gone_and_its_history_stays(organization: Organization, admin: SignedIn, grace: Person) -> None:
    """Deleting a live key revokes it."""
    key = organization.key(grace)

    assert admin.delete(f"/keys/{key.id}").status_code == 204

    assert organization.get("/agent/all", key).status_code == 401
    problem(admin.get(f"/keys/{key.id}"), 404, "api-key-not-found")
    assert audit(organization, "api_key.created", target_id=key.id)
    assert audit(organization, "api_key.deleted", target_id=key.id)


def test_a_disabled_user_gets_no_key(admin: SignedIn, grace: Person) -> None:
    """409 says what to do first."""
    admin.post(f"/users/{grace.id}/disable")

    assert "Enable the user first" in problem(admin.post(f"/users/{grace.id}/keys", {}), 409, "conflict")["detail"]


def test_the_policy_bounds_new_keys(admin: SignedIn, grace: Person) -> None:
    """Null goes back to the deployment's own."""
    assert admin.get("/key-policy").json() == {"defaultDays": 365, "maxDays": 730, "deploymentMaxDays": 730}

    changed = admin.put("/key-policy", {"defaultDays": 30, "maxDays": 90})

    assert changed.json() == {"defaultDays": 30, "maxDays": 90, "deploymentMaxDays": 730}
    assert list(fields(admin.post(f"/users/{grace.id}/keys", {"expires": _in(100)}))) == ["expires"]
    assert admin.put("/key-policy", {"defaultDays": None, "maxDays": None}).json()["maxDays"] == 730


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"defaultDays": 30, "maxDays": 731}, "maxDays"),
        ({"defaultDays": 100, "maxDays": 90}, "defaultDays"),
        ({"defaultDays": 0, "maxDays": 90}, "defaultDays"),
        ({"defaultDays": 30}, "maxDays"),
        ({"defaultDays": "30", "maxDays": 90}, "defaultDays"),
    ],
)
def test_an_unsound_policy_is_refused(admin: SignedIn, body: dict[str, Any], field: str) -> None:
    """The organization cannot pass the deployment's ceiling."""
    assert list(fields(admin.put("/key-policy", body))) == [field]
