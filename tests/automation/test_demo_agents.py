"""The demo agents: enough to look at, all of them sound, none of them real."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from latchpin.automation import definitions, demo
from latchpin.automation.demo import DemoAgent

_AGENTS = demo.demo_agents()


@pytest.mark.parametrize("agent", _AGENTS, ids=lambda agent: agent.slug)
def test_every_version_is_a_sound_definition_of_the_same_agent(agent: DemoAgent) -> None:
    """Each text is accepted as it is, keeps the agent's name, and differs from the one before."""
    parsed_versions = [definitions.parse(version.text) for version in agent.versions]

    assert len({each.name for each in parsed_versions}) == 1
    assert len(set(parsed_versions)) == len(parsed_versions)
    assert all(each.description for each in parsed_versions)
    assert all(version.comment for version in agent.versions)


@pytest.mark.parametrize("agent", _AGENTS, ids=lambda agent: agent.slug)
def test_every_address_is_in_a_reserved_domain(agent: DemoAgent) -> None:
    """A demo never names a site that exists."""
    addresses = re.findall(r"https?://([^/\s]+)", "".join(version.text for version in agent.versions))

    assert addresses
    assert all(host.endswith(".example") for host in addresses)


def test_the_demo_shows_each_kind_of_agent() -> None:
    """Three Spaces, one archived, one personal, a command, an encrypted parameter, and a version history."""
    latest = {agent.slug: definitions.parse(agent.versions[-1].text) for agent in _AGENTS}

    assert len(_AGENTS) >= 10
    assert {agent.space for agent in _AGENTS} == {demo.RETAIL, demo.REAL_ESTATE, demo.TENDERS, None}
    assert [agent.slug for agent in _AGENTS if agent.archived_days_ago] == ["new-developments"]
    assert [agent.slug for agent in _AGENTS if agent.space is None] == ["reading-list"]
    assert [slug for slug, each in latest.items() if each.config_type == 4] == ["rebuild-price-feed"]
    assert any(parameter.encrypted for each in latest.values() for parameter in each.input_parameters)
    assert sorted(len(agent.versions) for agent in _AGENTS)[-3:] == [2, 2, 3]


def test_no_demo_file_is_left_out() -> None:
    """Every YAML file beside the table is in it."""
    files = {each.name for each in resources.files(demo).iterdir() if each.name.endswith(".yaml")}

    assert files == {f"{agent.slug}.v{number}.yaml" for agent in _AGENTS for number in range(1, len(agent.versions) + 1)}
