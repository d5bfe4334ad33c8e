"""Spaces on the wire (contract/spaces.md)."""

from __future__ import annotations

import pytest

from latchpin.identity.roles import Role
from latchpin.storage.models.space import SpaceScope
from tests.support.people import Key, Organization
from tests.support.signed_in import fields, problem

FIELDS = {
    "id", "name", "organizationId", "created", "isDefaultAccess", "scope", "runRetentionHours", "initiatedBy", "access", "description",
    "updated",
}  # fmt: skip
AGENT_FIELDS = {
    "id", "name", "description", "configType", "status", "validationStatus", "lastActivity", "created", "updated", "version",
    "isArchived", "approvalStatus", "labels",
}  # fmt: skip


@pytest.fixture
def key(organization: Organization) -> Key:
    """A full key of the administrator."""
    return organization.key()


def test_a_space_has_every_field_of_the_contract(organization: Organization, key: Key) -> None:
    """The scope is a word, and `access` names groups."""
    space = organization.space("Retail", default_access=True)

    space_json = organization.get(f"/spaces/{space}", key).json()

    assert set(space_json) == FIELDS
    assert (space_json["id"], space_json["name"], space_json["organizationId"]) == (space, "Retail", organization.id)
    assert (space_json["scope"], space_json["isDefaultAccess"]) == ("Private", True)
    assert space_json["access"] == ["Administrator", "User"]


def test_the_list_holds_what_the_caller_can_enter_by_name(organization: Organization, other: Organization) -> None:
    """A user sees own Spaces and Public ones; an administrator all of the organization."""
    user = organization.user()
    mine = organization.space("beta")
    organization.member(mine, user, Role.VIEWER)
    organization.space("Alpha", SpaceScope.PUBLIC)
    organization.space("hidden")
    other.space("theirs")

    names = [space["name"] for space in organization.get("/spaces", organization.key(user)).json()]
    everything = [space["name"] for space in organization.get("/spaces", organization.key()).json()]

    assert names == ["Alpha", "beta"]
    assert everything == ["Alpha", "beta", "hidden"]


def test_finding_prefers_the_exact_name(organization: Organization, key: Key) -> None:
    """One Space, not a list: the one of that name in any case, else the first whose name contains it."""
    organization.space("Retail Europe")
    exact = organization.space("Retail")

    assert organization.get("/spaces/search", key, name="rETAIL").json()["id"] == exact
    assert organization.get("/spaces/search", key, name=" europe ").json()["name"] == "Retail Europe"


def test_finding_nothing_is_404_and_looking_for_nothing_400(organization: Organization, key: Key) -> None:
    """A pattern character stands for itself."""
    organization.space("Retail")

    problem(organization.get("/spaces/search", key, name="Wholesale"), 404, "space-not-found")
    problem(organization.get("/spaces/search", key, name="%"), 404, "space-not-found")
    assert fields(organization.get("/spaces/search", key, name=" "), 400) == {"name": "Say which name to look for."}
    assert fields(organization.get("/spaces/search", key), 400) == {"name": "This parameter is needed."}


def test_the_agents_of_a_space_include_archived_ones(organization: Organization, key: Key) -> None:
    """Archived agents are marked, and counted as they are listed."""
    space = organization.space()
    organization.agent("beta", space)
    archived = organization.agent("Alpha", space)
    organization.agent("elsewhere", organization.space("Other"))
    organization.post(f"/agent/{archived}/archive", key)

    agents = organization.get(f"/spaces/{space}/agents", key).json()

    assert [(each["name"], each["isArchived"]) for each in agents] == [("Alpha", True), ("beta", False)]
    assert set(agents[0]) == AGENT_FIELDS
    assert organization.get(f"/spaces/{space}/agents/count", key).json() == {"totalCount": 2}


def test_who_is_not_in_the_space_finds_none(organization: Organization) -> None:
    """404 on the Space, its agents and their number."""
    space = organization.space()
    key = organization.key(organization.user())

    for path in (f"/spaces/{space}", f"/spaces/{space}/agents", f"/spaces/{space}/agents/count"):
        refusal = problem(organization.get(path, key), 404, "space-not-found")
        assert refusal["title"] == "Space not found"


def test_a_removed_member_loses_the_space_at_once(organization: Organization) -> None:
    """The same key, the next request."""
    space, user = organization.space(), organization.user()
    organization.member(space, user, Role.VIEWER)
    key = organization.key(user)
    assert organization.get(f"/spaces/{space}", key).status_code == 200

    organization.member(space, user, None)

    problem(organization.get(f"/spaces/{space}", key), 404, "space-not-found")
    assert space not in [each["id"] for each in organization.get("/spaces", key).json()]
