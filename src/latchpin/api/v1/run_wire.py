"""Runs as the API shows them (contract/runs.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar.params import PathParameter

from latchpin.api.bodies import Time
from latchpin.api.compat_bodies import CompatBody
from latchpin.api.routing import INT32, CamelStruct
from latchpin.automation import run_lists
from latchpin.automation.run_engine import RunEngine
from latchpin.kit import clock
from latchpin.storage import Session
from latchpin.storage.models import Agent, Run

INT64 = 2**63 - 1
AgentId = Annotated[int, PathParameter(ge=1, le=INT32, description="The agent's id.")]
RunId = Annotated[int, PathParameter(ge=1, le=INT64, description="The run's id.")]


class RunOut(CamelStruct, frozen=True):
    """A run. `configId` is the agent's id; `spaceId` 0 is the personal Space; `traffic` is in bytes.

    `tableType` is `run`, or `history` for one that was moved there. While a run waits, `message` says why, with its place in the queue.
    """

    tag: str
    id: int
    config_id: int
    config_name: str | None
    space_id: int
    organization_id: int
    organization_name: str | None
    sequence: int
    parallelism: int | None
    parallel_max_concurrency: int | None
    parallel_export: str | None
    parallel_set: int | None
    start_time: Time | None
    end_time: Time | None
    created: Time | None
    status: int
    message: str | None
    config_version: int | None
    action_count: int
    page_count: int
    dynamic_page_count: int
    request_count: int
    data_count: int
    input_count: int | None
    error_count: int
    export_count: int | None
    traffic: int | None
    run_time_sec: int | None
    server_name: str | None
    table_type: str | None


class StartedRun(RunOut, frozen=True):
    """A run that was just started; `runId` repeats its id."""

    run_id: int


class RunStart(CompatBody, frozen=True):
    """How to start a run. Every field is optional, and names may be in any case.

    `inputParameters` is a JSON object, or a string with one. `timeout` is in seconds and applies to synchronous runs. `isExclusive`
    refuses the start while another run of the agent is in progress. `proxyPoolId` and `isWaitOnFailure` have no effect here.
    """

    parallelism: Annotated[int, msgspec.Meta(ge=1, le=50)] = 1
    parallel_max_concurrency: Annotated[int, msgspec.Meta(ge=1, le=INT32)] = 1
    parallel_export: str | int | None = None
    proxy_pool_id: int | None = None
    input_parameters: str | dict[str, Any] | None = None
    timeout: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 60
    is_exclusive: bool = True
    is_wait_on_failure: bool = False
    is_run_synchronously: bool = False
    log_level: str | int | None = None
    log_mode: str | int | None = None


class RemovedRun(CamelStruct, frozen=True):
    """What was deleted of a run."""

    run_id: int
    remove_method: str


class StatusCountOut(CamelStruct, frozen=True):
    """How many runs have one status."""

    status: int
    status_name: str
    count: int


class RunSummary(CamelStruct, frozen=True):
    """How many runs an agent has, in total and by status; a status without runs is omitted."""

    total_count: int
    status_counts: list[StatusCountOut]


async def to_schema(session: Session, agent: Agent, runs: Sequence[Run], engine: RunEngine) -> list[RunOut]:
    """Return runs of one agent as the API shows them."""
    reasons = await engine.admission.reasons(session, runs)
    organization = await run_lists.organization_name(session, agent.organization_id)
    return [RunOut(**_fields(run, agent, organization, reasons)) for run in runs]


async def started(session: Session, agent: Agent, run: Run, engine: RunEngine) -> StartedRun:
    """Return a run that was just started as the API shows it."""
    reasons = await engine.admission.reasons(session, [run])
    organization = await run_lists.organization_name(session, agent.organization_id)
    return StartedRun(**{**_fields(run, agent, organization, reasons), "table_type": None}, run_id=run.id)


def _fields(run: Run, agent: Agent, organization: str | None, reasons: Mapping[int, str]) -> dict[str, Any]:
    return {
        "tag": "",
        "id": run.id,
        "config_id": run.agent_id,
        "config_name": agent.name,
        "space_id": run.space_id or 0,
        "organization_id": run.organization_id,
        "organization_name": organization,
        "sequence": run.sequence,
        "parallelism": run.parallelism,
        "parallel_max_concurrency": run.parallel_max_concurrency,
        "parallel_export": run.parallel_export.value,
        "parallel_set": run.parallel_set,
        "start_time": run.started_at,
        "end_time": run.ended_at,
        "created": run.created_at,
        "status": int(run.status),
        "message": reasons.get(run.id, run.message),
        "config_version": run.config_version,
        "action_count": run.action_count,
        "page_count": run.page_count,
        "dynamic_page_count": run.dynamic_page_count,
        "request_count": run.request_count,
        "data_count": run.data_count,
        "input_count": run.input_count,
        "error_count": run.error_count,
        "export_count": run.export_count,
        "traffic": run.traffic,
        "run_time_sec": _seconds(run),
        "server_name": run.server_name,
        "table_type": "run" if run.archived_at is None else "history",
    }


def _seconds(run: Run) -> int | None:
    if run.started_at is None:
        return None
    return max(0, int(((run.ended_at or clock.now()) - run.started_at).total_seconds()))


# What the OpenAPI document shows of these routes, made from the very structs, so that it misses no field.
_CREATED_AT = datetime(2026, 11, 23, 16, 5, 12, tzinfo=UTC)
STARTED_AT_EXAMPLE = datetime(2026, 11, 23, 16, 5, 13, tzinfo=UTC)
_ENDED_AT = datetime(2026, 11, 23, 16, 6, 40, tzinfo=UTC)
_RUN = RunOut(
    tag="",
    id=512,
    config_id=1,
    config_name="Book prices",
    space_id=1,
    organization_id=1,
    organization_name="Northwind",
    sequence=41,
    parallelism=1,
    parallel_max_concurrency=1,
    parallel_export="Combined",
    parallel_set=0,
    start_time=STARTED_AT_EXAMPLE,
    end_time=_ENDED_AT,
    created=_CREATED_AT,
    status=9,
    message=None,
    config_version=2,
    action_count=164,
    page_count=52,
    dynamic_page_count=0,
    request_count=53,
    data_count=112,
    input_count=1,
    error_count=0,
    export_count=112,
    traffic=1_482_337,
    run_time_sec=87,
    server_name="demo-1",
    table_type="run",
)
_WAITING = msgspec.structs.replace(
    _RUN,
    start_time=None,
    end_time=None,
    status=4,
    message="3rd in the queue; the Space runs 2 of 2.",
    action_count=0,
    page_count=0,
    request_count=0,
    data_count=0,
    export_count=0,
    traffic=0,
    run_time_sec=None,
    server_name=None,
)
_STARTED_RUN = StartedRun(**{**msgspec.structs.asdict(_WAITING), "table_type": None}, run_id=512)
RESPONSE_EXAMPLES: dict[str, Any] = {
    "startAgent": _STARTED_RUN,
    "listRuns": [_RUN],
    "getRunSummary": RunSummary(
        total_count=41,
        status_counts=[
            StatusCountOut(status=6, status_name="Failure", count=1),
            StatusCountOut(status=9, status_name="Completed", count=40),
        ],
    ),
    "getRunStatus": _RUN,
    "restartRun": _WAITING,
    "deleteRun": RemovedRun(run_id=512, remove_method="RemoveEntireRun"),
}
BODY_EXAMPLES: dict[str, Any] = {
    "startAgent": {"inputParameters": '{"category": "fiction"}', "isExclusive": True, "logLevel": "Info"},
}
