"""Spaces, members and agents from definitions, under /api/v1/admin/."""

from __future__ import annotations

from typing import Any

import pytest

from latchpin.identity.roles import Role
from tests.support.people import Key, Organization, definition
from tests.support.signed_in import SignedIn, fields, problem


@pytest.fixture
def admin(organization: Organization) -> SignedIn:
    """The administrator's session."""
    return SignedIn(organization.server, organization.admin)


def _agents(organization: Organization, method: str, path: str, key: Key, body: object = None, **params: Any) -> Any:
    return organization.server.http.request(method, f"/api/v1/admin/agents{path}", headers=key.header, json=body, params=params)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_space_is_made_changed_and_deleted(organization: Organization, admin: SignedIn) -> None:
    """Putting sets every field; what is left out gets its default."""
    response = admin.post("/spaces", {"name": "Retail", "scope": "Public", "isDefaultAccess": True, "runRetentionHours": 24})
    assert response.status_code == 201, response.text
    space = response.json()
    assert (space["name"], space["scope"], space["isDefaultAccess"], space["runRetentionHours"]) == ("Retail", "Public", True, 24)
    assert space["organizationId"] == organization.id

    changed = admin.put(f"/spaces/{space['id']}", {"name": "Shops"}).json()
    assert (changed["name"], changed["scope"], changed["isDefaultAccess"], changed["runRetentionHours"]) == (
        "Shops",
        "Private",
        False,
        None,
    )

    assert admin.delete(f"/spaces/{space['id']}").status_code == 204
    problem(admin.request("GET", f"/api/v1/spaces/{space['id']}"), 404, "space-not-found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "Taken"}, "name"),
        ({"name": "New", "scope": "Secret"}, "scope"),
        ({"name": "New", "runRetentionHours": 0}, "runRetentionHours"),
        ({"name": "New", "isDefaultAccess": "yes"}, "isDefaultAccess"),
        ({"name": "New", "description": "x" * 2001}, "description"),
        ({"name": "New", "organizationId": 1}, "organizationId"),
    ],
)
def test_an_unsound_space_is_refused(organization: Organization, admin: SignedIn, body: dict[str, Any], field: str) -> None:
    """422 names the field; a name is unique in the organization."""
    organization.space("Taken")

    assert list(fields(admin.post("/spaces", body))) == [field]


def test_a_space_with_agents_is_not_deleted(organization: Organization, admin: SignedIn) -> None:
    """409 says how many are left."""
    space = organization.space()
    organization.agent(space_id=space)

    assert "one agent" in problem(admin.delete(f"/spaces/{space}"), 409, "conflict")["detail"]


def test_members_are_named_given_another_role_and_removed(organization: Organization, admin: SignedIn) -> None:
    """Each counts from the next request with the same key."""
    space, user = organization.space(), organization.user()
    agent, key = organization.agent(space_id=space), organization.key(user)
    archive = f"/agent/{agent}/archive"
    problem(organization.post(archive, key), 404)

    assert admin.put(f"/spaces/{space}/members/{user.id}", {"role": "viewer"}).status_code == 204
    problem(organization.post(archive, key), 403)
    assert admin.put(f"/spaces/{space}/members/{user.id}", {"role": "editor"}).status_code == 204
    assert organization.post(archive, key).status_code == 204
    assert admin.get(f"/spaces/{space}/members").json() == [
        {"userId": user.id, "fullName": user.full_name, "email": user.email, "role": "editor"}
    ]

    for _ in range(2):
        assert admin.delete(f"/spaces/{space}/members/{user.id}").status_code == 204
    problem(organization.post(archive, key), 404)
    assert admin.get(f"/spaces/{space}/members").json() == []


@pytest.mark.parametrize(("body", "says"), [({"role": "owner"}, "Choose one of viewer, operator, editor."), ({}, "This field is needed.")])
def test_an_unknown_role_is_refused(organization: Organization, admin: SignedIn, body: dict[str, str], says: str) -> None:
    """The roles are told."""
    space, user = organization.space(), organization.user()

    assert fields(admin.put(f"/spaces/{space}/members/{user.id}", body)) == {"role": says}


def test_an_agent_is_made_and_changed_with_a_key(organization: Organization) -> None:
    """A definition becomes version 1, another one version 2; the same text again adds nothing."""
    space, user = organization.space(), organization.user()
    organization.member(space, user, Role.EDITOR)
    key, text = organization.key(user), definition("First")

    response = _agents(organization, "POST", "", key, {"definition": text, "spaceId": space, "comment": "Draft"})
    assert response.status_code == 201, response.text
    agent = response.json()
    assert (agent["name"], agent["spaceId"], agent["userId"], agent["version"]) == ("First", space, user.id, 1)

    second = definition("Second")
    for _ in range(2):
        changed = _agents(organization, "PUT", f"/{agent['id']}/definition", key, {"definition": second})
        assert (changed.status_code, changed.json()["name"], changed.json()["version"]) == (200, "Second", 2)

    newest = _agents(organization, "GET", f"/{agent['id']}/definition", key).json()
    first = _agents(organization, "GET", f"/{agent['id']}/definition", key, version=1).json()
    assert newest == {"agentId": agent["id"], "version": 2, "definition": second, "comments": None}
    assert (first["definition"], first["comments"]) == (text, "Draft")
    problem(_agents(organization, "GET", f"/{agent['id']}/definition", key, version=3), 404, "version-not-found")


def test_an_agent_without_a_space_is_personal(organization: Organization) -> None:
    """It belongs to the key's user and is seen by nobody else."""
    user = organization.user()

    agent = _agents(organization, "POST", "", organization.key(user), {"definition": definition()}).json()

    assert (agent["spaceId"], agent["userId"]) == (None, user.id)
    problem(organization.get(f"/agent/{agent['id']}", organization.key()), 404)


def test_problems_of_a_definition_have_line_and_column(organization: Organization) -> None:
    """Every problem at once, with the document's own names, and nothing is made."""
    key = organization.key()

    response = _agents(organization, "POST", "", key, {"definition": "version: 1\nname: \nstart_url: ftp://example.com\n"})

    errors = problem(response, 422, "invalid_definition")["errors"]
    assert {"name", "start_url"} <= {each["field"] for each in errors}
    assert all(each["line"] >= 1 and each["column"] >= 1 for each in errors)
    assert organization.get("/agent/all", key).json() == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "definition"),
        ({"definition": 7}, "definition"),
        ({"definition": "x", "spaceId": -1}, "spaceId"),
        ({"definition": "x", "spaceId": 2**31}, "spaceId"),
        ({"definition": "x", "comment": "x" * 201}, "comment"),
        ({"definition": "x", "comment": "nul\u0000"}, "comment"),
        ({"definition": "x", "userId": 1}, "userId"),
    ],
)
def test_an_unsound_entry_makes_no_agent(organization: Organization, body: dict[str, Any], field: str) -> None:
    """422 names the field."""
    assert list(fields(_agents(organization, "POST", "", organization.key(), body))) == [field]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_an_editor_makes_agents_in_a_space(organization: Organization, role: Role) -> None:
    """A full key of a viewer makes none."""
    space, user = organization.space(), organization.user()
    organization.member(space, user, role)

    response = _agents(organization, "POST", "", organization.key(user), {"definition": definition(), "spaceId": space})

    assert "editor" in problem(response, 403, "denied")["detail"]
