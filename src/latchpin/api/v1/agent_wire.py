"""Agents as the API shows them (contract/agents.md)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar.params import PathParameter

from latchpin.api.bodies import PROSE, Body, Time
from latchpin.api.example_times import CREATED_AT, UPDATED_AT
from latchpin.api.routing import INT32, CamelStruct
from latchpin.automation.agent_lists import AgentRow
from latchpin.storage.models import Agent

AgentId = Annotated[int, PathParameter(ge=1, le=INT32, description="The agent's id.")]
_decode = msgspec.json.Decoder(dict[str, str]).decode


class AgentOut(CamelStruct, frozen=True):
    """An agent. `spaceId` null is the owner's personal Space; `status` is that of the last run; `isActive` while a run is in progress.

    `userId` is the owner; 0 where an app created the agent on its own behalf.
    """

    id: int
    name: str
    description: str | None
    documentation: str | None
    icon: str | None
    image: str | None
    input_parameters: dict[str, str]
    agent_templates: str | None
    config_type: int
    is_active: bool
    last_activity: Time | None
    proxy_pool_id: int | None
    space_id: int | None
    start_url: str | None
    status: int | None
    user_id: int
    validation_status: int
    version: int
    created: Time
    updated: Time


class AgentPage(CamelStruct, frozen=True):
    """One page of agents and the length of the whole list."""

    agents: list[AgentOut]
    total_record_count: int


class Count(CamelStruct, frozen=True):
    """A number of things."""

    total_count: int


class InputParameter(CamelStruct, frozen=True):
    """An input parameter; `defaultValue` is null for an encrypted one, whose value is never shown."""

    name: str
    default_value: str | None
    is_encrypted: bool


class VersionOut(CamelStruct, frozen=True):
    """A saved version; `fileSize` in bytes. `userName` is null for an agent of another organization."""

    user_name: str | None
    version: int
    created: Time
    comments: str | None
    file_size: int


class Restore(Body, frozen=True, forbid_unknown_fields=False):
    """Why the version is restored; the body is optional, and the field's name may be in any case."""

    content: Annotated[str, msgspec.Meta(max_length=500, pattern=PROSE)] | None = None


def to_schema(row: AgentRow | Agent) -> AgentOut:
    """Return an agent as the API shows it."""
    return AgentOut(
        id=row.id,
        name=row.name,
        description=row.description,
        documentation=row.documentation,
        icon=None,
        image=None,
        input_parameters=_decode(row.input_parameters),
        agent_templates=None,
        config_type=row.config_type,
        is_active=row.active_runs > 0,
        last_activity=row.last_activity_at,
        proxy_pool_id=None,
        space_id=row.space_id,
        start_url=row.start_url,
        status=row.status,
        user_id=row.user_id or 0,
        validation_status=row.validation_status,
        version=row.version,
        created=row.created_at,
        updated=row.updated_at,
    )


# What the OpenAPI document shows of these routes, made from the very structs, so that it misses no field.
DEFINITION_EXAMPLE = """version: 1
name: Book prices
description: Title and price of every book in a category.
start_url: https://books.example/catalogue/{category}
input_parameters:
  - name: category
    default: fiction
record:
  selector: article.book
  fields:
    - name: title
      selector: h3
"""
AGENT_EXAMPLE = AgentOut(
    id=1,
    name="Book prices",
    description="Title and price of every book in a category.",
    documentation=None,
    icon=None,
    image=None,
    input_parameters={"category": "fiction"},
    agent_templates=None,
    config_type=1,
    is_active=False,
    last_activity=None,
    proxy_pool_id=None,
    space_id=1,
    start_url="https://books.example/catalogue/{category}",
    status=None,
    user_id=1,
    validation_status=3,
    version=2,
    created=CREATED_AT,
    updated=UPDATED_AT,
)
RESPONSE_EXAMPLES: dict[str, Any] = {
    "listAgents": [AGENT_EXAMPLE],
    "searchAgents": [AGENT_EXAMPLE],
    "countAgentSearch": Count(total_count=3),
    "countPersonalAgents": Count(total_count=1),
    "getAgent": AGENT_EXAMPLE,
    "getInputParameters": [
        InputParameter(name="category", default_value="fiction", is_encrypted=False),
        InputParameter(name="account_password", default_value=None, is_encrypted=True),
    ],
    "listVersions": [
        VersionOut(user_name="Maya Lindqvist", version=2, created=UPDATED_AT, comments="Follow the new layout", file_size=1184),
        VersionOut(user_name="Maya Lindqvist", version=1, created=CREATED_AT, comments=None, file_size=1102),
    ],
}
BODY_EXAMPLES: dict[str, Any] = {
    "restoreVersion": {"content": "The new layout broke the prices"},
}
