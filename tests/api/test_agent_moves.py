"""Moving agents between Spaces over the API."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from latchpin.identity.roles import Role
from tests.support.people import Key, Organization
from tests.support.signed_in import SignedIn, problem

pytestmark = pytest.mark.both_databases("runs and agents move by updates with subqueries")


def _move(organization: Organization, key: Key, agent: int, body: Any) -> httpx.Response:
    return organization.server.http.put(f"/api/v1/admin/agents/{agent}/space", headers=key.header, json=body)


def test_an_agent_lives_where_it_was_moved(organization: Organization) -> None:
    """Its id, versions and owner stay, and doing it again changes nothing."""
    editor = organization.user()
    retail, travel = organization.space("Retail"), organization.space("Travel")
    for space in (retail, travel):
        organization.member(space, editor, Role.EDITOR)
    key, agent = organization.key(editor), organization.agent("Book prices", retail, editor)

    moved = [_move(organization, key, agent, {"spaceId": place}) for place in (travel, travel, None, retail)]

    assert [(each.status_code, each.json()["spaceId"]) for each in moved] == [(200, travel), (200, travel), (200, None), (200, retail)]
    assert {(each.json()["id"], each.json()["userId"], each.json()["version"]) for each in moved} == {(agent, editor.id, 1)}
    events = SignedIn(organization.server, organization.admin).get("/audit", targetId=agent, action="agent.moved").json()["events"]
    assert [each["changes"]["space"] for each in events] == [["Personal", "Retail"], ["Travel", "Personal"], ["Retail", "Travel"]]


def test_who_moves_an_agent_is_an_editor_on_both_sides(organization: Organization) -> None:
    """Refused for a viewer there, for a viewer here, for a Space that is not seen, and for another's personal Space."""
    mover = organization.user()
    home, viewed, unseen = organization.space("Home"), organization.space("Viewed"), organization.space("Unseen")
    organization.member(home, mover, Role.EDITOR)
    organization.member(viewed, mover, Role.VIEWER)
    key, agent = organization.key(mover), organization.agent("Book prices", home)
    there = organization.agent("Toy prices", viewed)

    refused = {
        "a viewer there": _move(organization, key, agent, {"spaceId": viewed}),
        "a viewer here": _move(organization, key, there, {"spaceId": home}),
        "an unseen Space": _move(organization, key, agent, {"spaceId": unseen}),
        "another's agent into the personal Space": _move(organization, key, agent, {"spaceId": None}),
        "no Space at all": _move(organization, key, agent, {}),
    }

    assert {name: response.status_code for name, response in refused.items()} == {
        "a viewer there": 403,
        "a viewer here": 403,
        "an unseen Space": 404,
        "another's agent into the personal Space": 403,
        "no Space at all": 422,
    }
    assert "editor" in problem(refused["a viewer there"], 403)["detail"]
    assert organization.get(f"/agent/{agent}", key).json()["spaceId"] == home
