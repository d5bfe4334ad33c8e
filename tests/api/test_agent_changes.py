"""Versions, restoring, archiving, and who may do it (contract/agents.md, Space roles)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import text

from latchpin.automation import agents
from latchpin.identity.roles import Role
from latchpin.identity.scopes import Access
from latchpin.storage.models.space import SpaceScope
from tests.support import wire
from tests.support.people import Key, Organization, definition
from tests.support.plain_http import PLAIN
from tests.support.server import Server
from tests.support.signed_in import fields, problem
from tests.support.versions import many_versions


@pytest.fixture
def key(organization: Organization) -> Key:
    """A full key of the administrator."""
    return organization.key()


def _save(organization: Organization, key: Key, agent: int, text: str) -> None:
    response = organization.server.http.put(
        f"/api/v1/admin/agents/{agent}/definition", headers=key.header, json={"definition": text, "comment": "Second"}
    )
    assert response.status_code == 200, response.text


def test_input_parameters_never_show_what_is_encrypted(organization: Organization, key: Key) -> None:
    """An encrypted parameter has no default value on the wire."""
    agent = organization.agent()

    assert organization.get(f"/agent/{agent}/input-parameters", key).json() == [
        {"name": "category", "defaultValue": "fiction", "isEncrypted": False},
        {"name": "account_password", "defaultValue": None, "isEncrypted": True},
    ]


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_versions_come_newest_first(organization: Organization, key: Key) -> None:
    """Each says who saved it, why, and how large it is in bytes."""
    agent = organization.agent()
    text = definition(description="Prices of many books.")
    _save(organization, key, agent, text)

    versions = organization.get(f"/agent/{agent}/versions", key).json()

    assert [each["version"] for each in versions] == [2, 1]
    assert set(versions[0]) == {"userName", "version", "created", "comments", "fileSize"}
    assert (versions[0]["comments"], versions[0]["fileSize"]) == ("Second", len(text.encode()))
    assert versions[1]["comments"] is None


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_restoring_makes_a_new_version(organization: Organization, key: Key) -> None:
    """The counter goes on: version 3 has the text of version 1, and the comment of the request."""
    agent = organization.agent()
    _save(organization, key, agent, definition("Renamed"))

    response = organization.post(f"/agent/{agent}/version/1/restore", key, {"content": "Back to the first"})

    assert (response.status_code, response.content) == (204, b"")
    agent_json = organization.get(f"/agent/{agent}", key).json()
    assert (agent_json["version"], agent_json["name"]) == (3, "Book prices")
    assert organization.get(f"/agent/{agent}/versions", key).json()[0]["comments"] == "Back to the first"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"content": null}', b'{"CONTENT": "x"}', b'{"Content": "x", "more": 1}'])
def test_the_comment_of_a_restore_may_be_left_out_and_written_in_any_case(organization: Organization, key: Key, body: bytes) -> None:
    """Clients send the body in several ways, also none with a JSON content type."""
    agent = organization.agent()
    headers = {**key.header, "Content-Type": "application/json"}

    response = organization.server.http.post(f"/api/v1/agent/{agent}/version/1/restore", headers=headers, content=body)

    assert response.status_code == 204, response.text


def test_a_version_that_is_not_there_is_404(organization: Organization, key: Key) -> None:
    """Restoring an unknown version changes nothing."""
    agent = organization.agent()

    problem(organization.post(f"/agent/{agent}/version/2/restore", key, {"content": ""}), 404, "version-not-found")

    assert organization.get(f"/agent/{agent}", key).json()["version"] == 1


def test_archiving_hides_and_unarchiving_brings_back(organization: Organization, key: Key) -> None:
    """Both are 204 with no body, as often as they are sent."""
    agent = organization.agent()

    for _ in range(2):
        response = organization.post(f"/agent/{agent}/archive", key)
        assert (response.status_code, response.content) == (204, b"")
    assert organization.get("/agent/all", key).json() == []
    assert organization.get(f"/agent/{agent}", key).status_code == 200

    for _ in range(2):
        assert organization.post(f"/agent/{agent}/unarchive", key).status_code == 204
    assert [each["id"] for each in organization.get("/agent/all", key).json()] == [agent]


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.OPERATOR, 403), (Role.EDITOR, 204)])
def test_only_an_editor_changes_agents(organization: Organization, role: Role, status: int) -> None:
    """Full access of the key does not make up for the role; the refusal names the role that is needed."""
    space, user = organization.space(), organization.user()
    agent = organization.agent(space_id=space)
    organization.member(space, user, role)
    key = organization.key(user)

    for change in ("archive", "unarchive", "version/1/restore"):
        response = organization.post(f"/agent/{agent}/{change}", key)
        assert response.status_code == status, response.text
        if status == 403:
            assert "editor" in problem(response, 403, "denied")["detail"]
    assert organization.get(f"/agent/{agent}", key).status_code == 200


def test_who_is_not_in_the_space_finds_no_agent(organization: Organization) -> None:
    """404, not 403: the agent's existence is not told."""
    agent = organization.agent(space_id=organization.space())
    key = organization.key(organization.user())

    problem(organization.get(f"/agent/{agent}", key), 404, "agent-not-found")
    problem(organization.post(f"/agent/{agent}/archive", key), 404, "agent-not-found")


@pytest.mark.parametrize(
    ("scope", "default_access", "word"),
    [(SpaceScope.PRIVATE, True, "operator"), (SpaceScope.PUBLIC, False, "viewer"), (SpaceScope.PUBLIC, True, "operator")],
)
def test_who_was_not_named_sees_what_the_space_says(organization: Organization, scope: SpaceScope, default_access: bool, word: str) -> None:
    """Default access makes an operator and Public a viewer; neither changes anything."""
    agent = organization.agent(space_id=organization.space(scope=scope, default_access=default_access))
    key = organization.key(organization.user())

    assert organization.get(f"/agent/{agent}", key).status_code == 200
    assert f"yours is {word}" in problem(organization.post(f"/agent/{agent}/archive", key), 403, "denied")["detail"]


def test_a_global_space_is_read_only_for_everybody_else(serve: Callable[..., Server]) -> None:
    """Even an administrator of another organization reads only; Public does not reach beyond the organization."""
    server = serve()  # of its own: a global Space is in everybody's lists
    home, abroad = Organization(server), Organization(server)
    world = home.agent("World", home.space("World", SpaceScope.GLOBAL))
    house = home.agent("House", home.space("House", SpaceScope.PUBLIC, default_access=True))

    for organization, key in ((abroad, abroad.key()), (abroad, abroad.key(abroad.user())), (home, home.key(home.user()))):
        assert organization.get(f"/agent/{world}", key).json()["name"] == "World"
        assert "yours is viewer" in problem(organization.post(f"/agent/{world}/archive", key), 403, "denied")["detail"]
    problem(abroad.get(f"/agent/{house}", abroad.key()), 404, "agent-not-found")
    assert [each["name"] for each in abroad.get("/agent/all", abroad.key()).json()] == ["World"]


def test_the_people_behind_another_organizations_space_are_not_named(serve: Callable[..., Server]) -> None:
    """Who made a global Space or saved a version in it is told at home and nowhere else."""
    server = serve()  # of its own: a global Space is in everybody's lists
    home, abroad = Organization(server), Organization(server)
    agent = home.agent("World", home.space("World", SpaceScope.GLOBAL))

    def names(organization: Organization) -> list[str | None]:
        key = organization.key()
        (space,) = organization.get("/spaces", key).json()
        alone = organization.get(f"/spaces/{space['id']}", key).json()
        (version,) = organization.get(f"/agent/{agent}/versions", key).json()
        return [space["initiatedBy"], alone["initiatedBy"], version["userName"]]

    assert names(home) == [home.admin.email] * 3
    assert names(abroad) == [None] * 3


def test_a_list_of_versions_reads_none_of_their_texts(organization: Organization, key: Key) -> None:
    """A thousand versions of 64 KiB are not brought into memory to list their numbers."""
    agent = organization.agent()

    with wire.statements(organization.server) as queries:
        assert organization.get(f"/agent/{agent}/versions", key).status_code == 200

    (statement,) = (each for each in queries if "FROM agent_versions" in each)
    assert "agent_versions.definition" not in statement


def test_an_agent_has_a_thousand_versions_and_no_more(organization: Organization, key: Key) -> None:
    """Saving and restoring beyond it are refused with what to do; nothing is changed."""
    agent = organization.agent()
    many_versions(organization, agent, agents.MOST_VERSIONS)

    saved = organization.server.http.put(
        f"/api/v1/admin/agents/{agent}/definition", headers=key.header, json={"definition": definition("Renamed")}
    )
    restored = organization.post(f"/agent/{agent}/version/1/restore", key)

    assert "Create a new agent" in problem(saved, 409, "conflict")["detail"]
    problem(restored, 409, "conflict")
    assert organization.get(f"/agent/{agent}", key).json()["version"] == agents.MOST_VERSIONS


def test_a_definition_is_read_before_anything_is_locked(organization: Organization, key: Key) -> None:
    """A definition that is refused never asks for the database's one write lock (SQLite), which somebody else holds here."""
    server, agent = organization.server, organization.agent()

    async def hold(held: asyncio.Event, done: asyncio.Event) -> None:
        async with server.database.transaction() as session:
            await session.execute(text("SELECT 1"))  # a transaction begins with its first statement
            held.set()
            await done.wait()

    async def ask() -> list[int]:
        held, done = asyncio.Event(), asyncio.Event()
        holding = asyncio.create_task(hold(held, done))
        await held.wait()
        async with httpx.AsyncClient(base_url=server.url, headers=key.header, trust_env=False, verify=PLAIN, timeout=20) as client:
            created = await client.post("/api/v1/admin/agents", json={"definition": "name: 1"})
            saved = await client.put(f"/api/v1/admin/agents/{agent}/definition", json={"definition": "name: 1"})
        done.set()
        await holding
        return [created.status_code, saved.status_code]

    assert server.run(ask()) == [422, 422]


def test_a_comment_that_holds_a_key_is_refused(organization: Organization, key: Key) -> None:
    """A comment is kept in the clear and everybody in the Space reads it."""
    agent = organization.agent()
    leak = f"Runs with {key.secret}"
    http = organization.server.http

    created = http.post("/api/v1/admin/agents", headers=key.header, json={"definition": definition("New"), "comment": leak})
    saved = http.put(
        f"/api/v1/admin/agents/{agent}/definition", headers=key.header, json={"definition": definition("New"), "comment": leak}
    )
    restored = organization.post(f"/agent/{agent}/version/1/restore", key, {"content": leak})

    for response in (created, saved, restored):
        assert "Revoke that key" in fields(response)["comment"]
        assert key.secret not in response.text


def test_a_removed_member_loses_it_at_once(organization: Organization) -> None:
    """The same key, the next request: the role is asked for every time."""
    space, user = organization.space(), organization.user()
    agent = organization.agent(space_id=space)
    organization.member(space, user, Role.EDITOR)
    key = organization.key(user)
    assert organization.post(f"/agent/{agent}/archive", key).status_code == 204

    organization.member(space, user, Role.VIEWER)
    problem(organization.post(f"/agent/{agent}/unarchive", key), 403, "denied")

    organization.member(space, user, None)
    problem(organization.get(f"/agent/{agent}", key), 404, "agent-not-found")
    assert organization.get("/agent/all", key).json() == []


def test_a_read_only_key_reads_and_changes_nothing(organization: Organization) -> None:
    """The narrower access of the key counts although its user is an administrator."""
    agent = organization.agent(space_id=organization.space())
    key = organization.key(access=Access.READ_ONLY)

    assert organization.get(f"/agent/{agent}", key).status_code == 200
    assert problem(organization.post(f"/agent/{agent}/archive", key), 403, "insufficient_scope")["scope"] == "agents:write"
