"""The audit log under /api/v1/admin/, for administrators signed in."""

from __future__ import annotations

import pytest

from tests.support.people import Organization
from tests.support.signed_in import SignedIn, fields, problem

pytestmark = pytest.mark.both_databases("filters, search and paging are each database's own")


@pytest.fixture
def admin(organization: Organization) -> SignedIn:
    """The administrator's session."""
    return SignedIn(organization.server, organization.admin)


def test_a_record_says_who_did_what_to_what_from_where(organization: Organization, admin: SignedIn) -> None:
    """Old and new values are there, and no secret (promise 7)."""
    user = organization.user()
    created_key = admin.post(f"/users/{user.id}/keys", {"description": "Nightly"}).json()

    events = admin.get("/audit", action="api_key.created", targetId=created_key["apiKey"]["id"]).json()["events"]

    assert len(events) == 1
    record = events[0]
    assert record["actor"]["name"] == organization.admin.email
    assert record["actor"]["credentialKind"] == "session"
    assert (record["target"]["kind"], record["outcome"], record["address"]) == ("api_key", "done", "127.0.0.1")
    assert record["changes"]["user"] == [None, user.email]
    assert created_key["key"] not in str(record)
    assert admin.get(f"/audit/{record['id']}").json() == record


def test_uses_and_refusals_of_a_key_can_be_told_apart(organization: Organization, admin: SignedIn) -> None:
    """Filter by credential for uses, by outcome for refusals."""
    key = organization.key()
    organization.get("/agent/all", key)
    organization.revoke(key)
    organization.get("/agent/all", key)
    organization.server.flush()

    used = admin.get("/audit", credentialKind="api_key", credentialId=key.id, action="api_key.used").json()["events"]
    refused = admin.get("/audit", outcome="refused", action="api_key.refused").json()["events"]

    assert [each["action"] for each in used] == ["api_key.used"]
    assert [each["reason"] for each in refused] == ["revoked"]


def test_pages_follow_each_other_and_shift_nothing(organization: Organization, admin: SignedIn) -> None:
    """A record that arrives in between appears on no later page; the last page has no next."""
    for number in range(5):
        organization.space(f"Space {number}")
    first = admin.get("/audit", action="space.", maxRecords=2).json()
    organization.space("In between")

    second = admin.get("/audit", action="space.", maxRecords=2, cursor=first["next"]).json()
    third = admin.get("/audit", action="space.", maxRecords=2, cursor=second["next"]).json()

    names = [event["target"]["name"] for page in (first, second, third) for event in page["events"]]
    assert names == ["Space 4", "Space 3", "Space 2", "Space 1", "Space 0"]
    assert third["next"] is None


def test_a_span_of_time_filters(organization: Organization, admin: SignedIn) -> None:
    """Dates and times are read, also with another zone."""
    organization.space("Now")

    def count(**params: str) -> int:
        return len(admin.get("/audit", action="space.created", **params).json()["events"])

    assert count(since="2001-01-01") == 1
    assert count(since="2001-01-01T00:00:00Z", until="9999-12-31") == 1
    assert count(since="2001-01-01T00:00:00+02:00") == 1
    assert count(until="2001-01-01") == 0
    assert count(since="9000-01-01T08:00:00") == 0


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "YzE6LTE"}, "cursor"),
        ({"maxRecords": "0"}, "maxRecords"),
        ({"maxRecords": "201"}, "maxRecords"),
        ({"since": "yesterday"}, "since"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since"),
        ({"until": "2027-13-01"}, "until"),
        ({"outcome": "maybe"}, "outcome"),
        ({"actorId": "0"}, "actorId"),
        ({"targetId": "99999999999"}, "targetId"),
    ],
)
def test_an_unreadable_filter_is_400(admin: SignedIn, params: dict[str, str], field: str) -> None:
    """The parameter is named; nothing is ignored in silence."""
    assert list(fields(admin.get("/audit", **params), 400)) == [field]


def test_a_record_that_is_not_there_is_404(admin: SignedIn) -> None:
    """As for every other thing."""
    problem(admin.get("/audit/2147483647"), 404, "audit-record-not-found")


def test_nothing_changes_the_audit_log(organization: Organization, admin: SignedIn) -> None:
    """There is no route that edits or deletes a record."""
    record = admin.get("/audit").json()["events"][0]

    for method in ("POST", "PUT", "PATCH", "DELETE"):
        problem(admin.request(method, f"/api/v1/admin/audit/{record['id']}"), 405)
        problem(admin.request(method, "/api/v1/admin/audit"), 405)
