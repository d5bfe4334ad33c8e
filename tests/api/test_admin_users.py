"""Users under /api/v1/admin/, for administrators signed in."""

from __future__ import annotations

from datetime import timedelta

import pytest

from latchpin.identity.roles import Group
from latchpin.kit.clock import Frozen
from tests.support.people import Organization, Person
from tests.support.signed_in import SignedIn, fields, problem
from tests.support.wire import audit

USER = {
    "id", "fullName", "email", "group", "authenticationMethod", "status", "mustChangePassword", "liveKeys", "lastSignIn", "created",
}  # fmt: skip


@pytest.fixture
def admin(organization: Organization) -> SignedIn:
    """The administrator's session."""
    return SignedIn(organization.server, organization.admin)


@pytest.fixture
def grace(organization: Organization) -> Person:
    """An ordinary user."""
    return organization.user("Grace User")


def test_a_user_is_made_with_a_temporary_password_shown_once(organization: Organization, admin: SignedIn) -> None:
    """The answer is not kept by caches, and the password opens the sign-in."""
    response = admin.post("/users", {"fullName": "Jonas Weber", "email": f"jonas.{organization.number}@example.com"})

    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    created_user = response.json()
    assert set(created_user["user"]) == USER
    assert (created_user["user"]["group"], created_user["user"]["mustChangePassword"], created_user["user"]["liveKeys"]) == (
        "User",
        True,
        0,
    )
    assert created_user["temporaryPassword"] not in admin.get(f"/users/{created_user['user']['id']}").text
    with organization.server.client(headers={"Sec-Fetch-Site": "same-origin"}) as browser:
        entries = {"email": created_user["user"]["email"], "password": created_user["temporaryPassword"], "next": "/"}
        assert browser.post("/login", data=entries).status_code == 303


def test_unsound_fields_of_a_user_are_named_together(organization: Organization, admin: SignedIn, grace: Person) -> None:
    """Every field that was refused is told at once, by its name on the wire."""
    assert set(fields(admin.post("/users", {"fullName": " ", "email": "nowhere"}))) == {"fullName", "email"}
    assert set(fields(admin.post("/users", {"fullName": "a\u0000b", "email": grace.email.upper()}))) == {"fullName", "email"}
    assert fields(admin.post("/users", {"email": "x@example.com"})) == {"fullName": "This field is needed."}
    assert fields(admin.post("/users", {"fullName": "J", "email": "x@example.com", "group": "Owner"})) == {
        "group": "Choose one of User, Administrator."
    }
    assert fields(admin.post("/users", {"fullName": 7, "email": "x@example.com"})) == {"fullName": "Enter a text."}


def test_users_are_listed_searched_sorted_and_paged(organization: Organization, admin: SignedIn) -> None:
    """The list tells how many keys of each user would be accepted now."""
    bea, cid = organization.user("Bea Young"), organization.user("Cid Old")
    organization.key(cid)
    organization.revoke(organization.key(cid))

    def names(**params: object) -> list[str]:
        return [user["fullName"] for user in admin.get("/users", **params).json()["users"]]

    assert names() == ["Ada Admin", "Bea Young", "Cid Old"]
    assert names(sortOrder=1) == ["Cid Old", "Bea Young", "Ada Admin"]
    assert names(sortColumn="keys", sortOrder=1)[0] == "Cid Old"
    assert names(search="young") == ["Bea Young"]
    assert names(search=bea.email.upper()) == ["Bea Young"]
    assert names(pageIndex=2, recordsPerPage=2) == ["Cid Old"]
    page = admin.get("/users", recordsPerPage=2, sortColumn="created").json()
    assert (len(page["users"]), page["totalRecordCount"]) == (2, 3)
    assert admin.get("/users", search="Cid").json()["users"][0]["liveKeys"] == 1


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"sortColumn": "passwordHash"}, "sortColumn"),
        ({"pageIndex": "0"}, "pageIndex"),
        ({"recordsPerPage": "201"}, "recordsPerPage"),
        ({"sortOrder": "up"}, "sortOrder"),
    ],
)
def test_a_list_of_users_refuses_what_it_cannot_do(admin: SignedIn, params: dict[str, str], field: str) -> None:
    """400 with the parameter's name."""
    assert list(fields(admin.get("/users", **params), 400)) == [field]


def test_a_user_is_changed_in_part(admin: SignedIn, grace: Person) -> None:
    """What is left out stays as it is."""
    changed = admin.patch(f"/users/{grace.id}", {"fullName": "Grace Hopper"})

    assert (changed.status_code, changed.json()["fullName"], changed.json()["email"]) == (200, "Grace Hopper", grace.email)
    assert admin.patch(f"/users/{grace.id}", {"group": "Administrator"}).json()["group"] == "Administrator"
    assert admin.get(f"/users/{grace.id}").json()["fullName"] == "Grace Hopper"


def test_disabling_revokes_all_keys_at_once(organization: Organization, admin: SignedIn, grace: Person) -> None:
    """Enabling again revives nothing."""
    keys = [organization.key(grace) for _ in range(2)]

    assert admin.post(f"/users/{grace.id}/disable").json() == {"keysRevoked": 2}
    assert [organization.get("/spaces", key).status_code for key in keys] == [401, 401]

    assert admin.post(f"/users/{grace.id}/enable").status_code == 204
    assert admin.get(f"/users/{grace.id}").json()["status"] == "active"
    assert [organization.get("/spaces", key).status_code for key in keys] == [401, 401]


def test_a_password_is_reset_and_sessions_end(organization: Organization, admin: SignedIn, grace: Person) -> None:
    """The temporary password is in this answer only; the user's session is over."""
    session = SignedIn(organization.server, grace)

    response = admin.post(f"/users/{grace.id}/reset-password")

    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert len(response.json()["temporaryPassword"]) >= 12
    problem(session.request("GET", "/api/v1/spaces"), 401)


def test_deleting_a_user_kills_the_keys_and_keeps_the_history(organization: Organization, admin: SignedIn, grace: Person) -> None:
    """404 from then on; the audit log still knows."""
    key = organization.key(grace)

    assert admin.delete(f"/users/{grace.id}").status_code == 204

    problem(admin.get(f"/users/{grace.id}"), 404, "user-not-found")
    assert organization.get("/spaces", key).status_code == 401
    assert audit(organization, "user.deleted", target_id=grace.id)


def test_the_last_administrator_stays(organization: Organization, admin: SignedIn) -> None:
    """Neither disabled, demoted nor deleted: 409 that says what to do first."""
    me = organization.admin.id

    for response in (admin.post(f"/users/{me}/disable"), admin.patch(f"/users/{me}", {"group": "User"}), admin.delete(f"/users/{me}")):
        assert "nother" in problem(response, 409, "conflict")["detail"]
    assert admin.get(f"/users/{me}").json()["status"] == "active"


def test_an_ordinary_user_administers_nothing(organization: Organization, grace: Person) -> None:
    """403 for a session of somebody who is no administrator, also for reading."""
    session = SignedIn(organization.server, grace)

    for response in (session.get("/users"), session.get("/audit"), session.post("/users", {"fullName": "X", "email": "x@example.com"})):
        assert "administrators" in problem(response, 403, "denied")["detail"]


def test_a_demoted_administrator_is_out_with_the_next_request(organization: Organization, admin: SignedIn) -> None:
    """The group is asked for every time, not kept in the session."""
    second = organization.user("Second Admin", Group.ADMINISTRATOR)
    session = SignedIn(organization.server, second)
    assert session.get("/users").status_code == 200

    admin.patch(f"/users/{second.id}", {"group": "User"})

    problem(session.get("/users"), 403, "denied")


def test_changing_users_and_keys_needs_a_recent_password(organization: Organization, admin: SignedIn, grace: Person, clock: Frozen) -> None:
    """After eleven minutes changes are refused with `proof_needed`; reading and Spaces go on."""
    key = organization.key(grace)
    clock.advance(timedelta(minutes=11))

    for response in (
        admin.post("/users", {"fullName": "X", "email": "x@example.com"}),
        admin.patch(f"/users/{grace.id}", {"fullName": "X"}),
        admin.post(f"/users/{grace.id}/disable"),
        admin.post(f"/users/{grace.id}/reset-password"),
        admin.delete(f"/users/{grace.id}"),
        admin.post(f"/users/{grace.id}/keys", {}),
        admin.post(f"/keys/{key.id}/revoke"),
        admin.delete(f"/keys/{key.id}"),
        admin.put("/key-policy", {"defaultDays": None, "maxDays": None}),
    ):
        problem(response, 403, "proof_needed")
    assert admin.get(f"/users/{grace.id}").status_code == 200
    assert admin.post("/spaces", {"name": "Fresh"}).status_code == 201


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}])
def test_another_site_cannot_use_the_session(admin: SignedIn, grace: Person, headers: dict[str, str]) -> None:
    """A change that our own pages did not send is refused, whatever cookie came along."""
    problem(admin.request("POST", f"/api/v1/admin/users/{grace.id}/disable", headers=headers), 403, "cross_site")

    assert admin.get(f"/users/{grace.id}").json()["status"] == "active"
