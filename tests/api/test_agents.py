"""Agents on the wire: lists, filters, sorting, search (contract/agents.md)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.storage.models import Agent
from latchpin.storage.models.agent import ConfigType, RunStatus
from tests.support.people import Key, Organization
from tests.support.signed_in import fields, problem

FIELDS = {
    "id", "name", "description", "documentation", "icon", "image", "inputParameters", "agentTemplates", "configType", "isActive",
    "lastActivity", "proxyPoolId", "spaceId", "startUrl", "status", "userId", "validationStatus", "version", "created", "updated",
}  # fmt: skip
START = datetime(2026, 1, 1, tzinfo=UTC)


def _set(organization: Organization, agent_id: int, **columns: Any) -> None:
    async def work(session: AsyncSession) -> None:
        await session.execute(update(Agent).where(Agent.id == agent_id).values(**columns))

    organization.write(work)


@pytest.fixture
def key(organization: Organization) -> Key:
    """A full key of the administrator."""
    return organization.key()


@pytest.fixture
def five(organization: Organization) -> list[str]:
    """Five agents in one Space that differ in everything, by name; the fifth is archived."""
    space = organization.space()
    kinds = [ConfigType.AGENT, ConfigType.SHARED_FILE, ConfigType.TEMPLATE, ConfigType.COMMAND, ConfigType.AGENT]
    statuses = [RunStatus.SUCCESS, RunStatus.FAILED, None, RunStatus.UPDATING_DATA_SET, None]
    names = ["alpha", "Beta", "gamma", "Delta", "epsilon"]
    for number, name in enumerate(names):
        agent = organization.agent(name, space)
        at = START + timedelta(days=number)
        ago = START - timedelta(days=number)
        _set(
            organization, agent, config_type=kinds[number], status=statuses[number], created_at=at, updated_at=ago,
            last_activity_at=at if statuses[number] else None, archived_at=at if name == "epsilon" else None,
        )  # fmt: skip
    return names


def _names(organization: Organization, key: Key, **params: Any) -> list[str]:
    response = organization.get("/agent/all", key, **params)
    assert response.status_code == 200, response.text
    return [agent["name"] for agent in response.json()]


def test_an_agent_has_every_field_of_the_contract(organization: Organization, key: Key) -> None:
    """Null is sent, never left out; times are UTC with Z."""
    agent = organization.agent("Book prices", organization.space())

    agent_json = organization.get(f"/agent/{agent}", key).json()

    assert set(agent_json) == FIELDS
    assert (agent_json["id"], agent_json["name"], agent_json["version"], agent_json["configType"], agent_json["status"]) == (
        agent,
        "Book prices",
        1,
        1,
        None,
    )
    assert agent_json["inputParameters"] == {"category": "fiction", "account_password": ""}
    assert agent_json["created"].endswith("Z")


def test_a_list_is_an_array_until_both_paging_parameters_are_given(organization: Organization, key: Key, five: list[str]) -> None:
    """Two shapes: the bare array, and `agents` with `totalRecordCount`."""
    for params in ({}, {"pageIndex": 1}, {"recordsPerPage": 2}):
        assert isinstance(organization.get("/agent/all", key, **params).json(), list)

    paged = organization.get("/agent/all", key, pageIndex=2, recordsPerPage=3).json()

    assert set(paged) == {"agents", "totalRecordCount"}
    assert [agent["name"] for agent in paged["agents"]] == ["gamma"]
    assert paged["totalRecordCount"] == 4


def test_a_page_beyond_the_end_is_empty(organization: Organization, key: Key, five: list[str]) -> None:
    """The total is told all the same."""
    paged = organization.get("/agent/all", key, pageIndex=2_147_483_647, recordsPerPage=1000).json()

    assert paged == {"agents": [], "totalRecordCount": 4}


def test_archived_agents_are_left_out(organization: Organization, key: Key, five: list[str]) -> None:
    """The list is in order of name, in any case, without archived agents."""
    assert _names(organization, key) == ["alpha", "Beta", "Delta", "gamma"]


@pytest.mark.parametrize(
    ("column", "names"),
    [
        ("name", ["alpha", "Beta", "Delta", "gamma"]),
        ("created", ["alpha", "Beta", "gamma", "Delta"]),
        ("updated", ["Delta", "gamma", "Beta", "alpha"]),
        ("lastActivity", ["alpha", "Beta", "Delta", "gamma"]),
        ("status", ["Beta", "alpha", "Delta", "gamma"]),
        ("configType", ["alpha", "Beta", "gamma", "Delta"]),
    ],
)
@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_every_column_sorts_both_ways(organization: Organization, key: Key, five: list[str], column: str, names: list[str]) -> None:
    """Ascending by default; what has no value comes last either way."""
    unknown = ["gamma"] if column in ("lastActivity", "status") else []
    known = [name for name in names if name not in unknown]

    assert _names(organization, key, sortColumn=column) == names
    assert _names(organization, key, sortColumn=column, sortOrder=0) == names
    assert _names(organization, key, sortColumn=column, sortOrder=1) == known[::-1] + unknown


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"name": "ET"}, ["Beta"]),
        ({"name": "%"}, []),
        ({"name": "_"}, []),
        ({"status": 10}, ["alpha"]),
        ({"status": "success"}, ["alpha"]),
        ({"status": "FAILED"}, ["Beta"]),
        ({"status": 13}, ["Delta"]),
        ({"status": "UpdatingDataSet"}, ["Delta"]),
        ({"status": ""}, ["alpha", "Beta", "Delta", "gamma"]),
        ({"configType": 1}, ["alpha"]),
        ({"configType": "agent"}, ["alpha"]),
        ({"configType": "SHARED"}, ["Beta"]),
        ({"configType": "SharedFile"}, ["Beta"]),
        ({"configType": "Template"}, ["gamma"]),
        ({"configType": "command"}, ["Delta"]),
        ({"configType": "Api"}, []),
        ({"spaceId": 0}, []),
        ({"spaceId": -5}, []),
        ({"spaceId": 2_147_483_647}, []),
        ({"name": "a", "configType": 1, "status": 10}, ["alpha"]),
    ],
)
@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_filters(organization: Organization, key: Key, five: list[str], params: dict[str, Any], names: list[str]) -> None:
    """Enums are read as number or name in any case; `Shared` is SharedFile; `Api` matches nothing; names match in part."""
    assert _names(organization, key, **params) == names


def test_a_filter_that_matches_nothing_has_both_shapes(organization: Organization, key: Key, five: list[str]) -> None:
    """`configType=Api` is an empty page where a page was asked for."""
    paged = organization.get("/agent/all", key, configType="Api", pageIndex=1, recordsPerPage=50).json()

    assert paged == {"agents": [], "totalRecordCount": 0}


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_the_space_filter(organization: Organization, key: Key) -> None:
    """Agents of one Space only; the personal Space is 0."""
    first, second = organization.space("First"), organization.space("Second")
    organization.agent("one", first)
    organization.agent("two", second)
    organization.agent("mine")

    assert _names(organization, key, spaceId=second) == ["two"]
    assert _names(organization, key, spaceId=0) == ["mine"]
    assert _names(organization, key) == ["mine", "one", "two"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("pageIndex", "0", "Enter a whole number of at least 1."),
        ("pageIndex", "-1", "Enter a whole number of at least 1."),
        ("pageIndex", "2147483648", "Enter a whole number of at most 2147483647."),
        ("pageIndex", "x", "Enter a whole number."),
        ("recordsPerPage", "0", "Enter a whole number of at least 1."),
        ("recordsPerPage", "-1", "Enter a whole number of at least 1."),
        ("recordsPerPage", "1000000", "Enter a whole number of at most 1000."),
        ("recordsPerPage", "1.5", "Enter a whole number."),
        ("sortOrder", "2", "Enter a whole number of at most 1."),
        ("sortOrder", "desc", "Enter a whole number."),
        ("spaceId", "2147483648", "Enter a whole number of at most 2147483647."),
        ("name", "x" * 201, "Enter at most 200 characters."),
    ],
)
def test_a_parameter_out_of_range_is_named_as_on_the_wire(organization: Organization, key: Key, name: str, value: str, says: str) -> None:
    """400 names `pageIndex`, not a Python argument, and says in plain words what is wanted."""
    response = organization.get("/agent/all", key, **{"pageIndex": "1", "recordsPerPage": "10", name: value})

    assert fields(response, 400) == {name: says}
    assert response.json()["detail"] == f"{name}: {says}"


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"sortColumn": "password"}, ["sortColumn", "lastActivity"]),
        ({"sortColumn": "name; DROP TABLE agents"}, ["sortColumn", "lastActivity"]),
        ({"status": "Sleeping"}, ["status", "13 UpdatingDataSet"]),
        ({"status": "14"}, ["status", "10 Success"]),
        ({"configType": "5"}, ["configType", "4 Command"]),
        ({"configType": "²"}, ["configType", "4 Command"]),
    ],
)
def test_an_unknown_word_is_400_with_those_that_are_known(
    organization: Organization, key: Key, params: dict[str, str], names: list[str]
) -> None:
    """An unknown sort column or enum value is not ignored in silence."""
    response = organization.get("/agent/all", key, **params)

    assert list(fields(response, 400)) == [names[0]]
    assert names[1] in response.json()["detail"]


def test_search_looks_into_name_and_description(organization: Organization, key: Key, five: list[str]) -> None:
    """Any case, in part, without archived agents, at most `maxRecords`."""
    by_name = organization.get("/agent/search", key, query="ALPH").json()
    by_description = organization.get("/agent/search", key, query="prices OF").json()
    capped = organization.get("/agent/search", key, query="prices", maxRecords=2).json()

    assert [agent["name"] for agent in by_name] == ["alpha"]
    assert len(by_description) == 4
    assert [agent["name"] for agent in capped] == ["alpha", "Beta"]
    assert set(by_name[0]) == FIELDS


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_search_is_counted_without_a_cap(organization: Organization, key: Key, five: list[str]) -> None:
    """Archived agents count where that is asked for."""
    assert organization.get("/agent/search/count", key, query="prices").json() == {"totalCount": 4}
    assert organization.get("/agent/search/count", key, query="prices", includeArchived="true").json() == {"totalCount": 5}


@pytest.mark.parametrize("path", ["/agent/search", "/agent/search/count"])
def test_a_search_for_nothing_is_400(organization: Organization, key: Key, path: str) -> None:
    """The parameter is needed, and blanks are not enough."""
    missing = organization.get(path, key)
    blank = organization.get(path, key, query="  ")

    assert fields(missing, 400) == {"query": "This parameter is needed."}
    assert fields(blank, 400) == {"query": "Say what to search for."}


@pytest.mark.parametrize("most", ["0", "-1", "1001", "1000000"])
def test_the_cap_of_a_search_has_bounds(organization: Organization, key: Key, most: str) -> None:
    """`maxRecords` is 1 to 1000."""
    assert list(fields(organization.get("/agent/search", key, query="a", maxRecords=most), 400)) == ["maxRecords"]


def test_personal_agents_are_counted_for_the_caller_alone(organization: Organization, key: Key) -> None:
    """Nobody's personal agents are seen by others, not even by an administrator."""
    user = organization.user()
    organization.agent("mine")
    hers = organization.agent("hers", owner=user)

    assert organization.get("/agent/personal/count", key).json() == {"totalCount": 1}
    assert organization.get("/agent/personal/count", organization.key(user)).json() == {"totalCount": 1}
    problem(organization.get(f"/agent/{hers}", key), 404, "agent-not-found")


def test_an_agent_that_is_not_there_is_the_contracts_own_sample(organization: Organization, key: Key) -> None:
    """Type ends in /errors/agent-not-found, the title says it, and instance is the path."""
    refusal = problem(organization.get("/agent/2147483647", key, anything="1"), 404, "agent-not-found")

    assert refusal["type"].endswith("/errors/agent-not-found")
    assert refusal["title"] == "Agent not found"
    assert refusal["instance"] == "/api/v1/agent/2147483647"
