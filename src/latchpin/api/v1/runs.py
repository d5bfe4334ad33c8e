"""Starting, watching and ending runs (contract/runs.md)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.params import QueryParameter
from litestar.response import Stream

from latchpin import services
from latchpin.api import compat_bodies, enums
from latchpin.api.bodies import json_body
from latchpin.api.routing import INT32, actor, database, principal, problems, requires
from latchpin.api.v1 import run_wire
from latchpin.api.v1.run_wire import AgentId, RemovedRun, RunId, RunOut, RunStart, RunSummary, StartedRun, StatusCountOut
from latchpin.automation import agents, run_files, run_inputs, run_lists, run_removal, runs
from latchpin.automation.run_lifecycle import FINISHED
from latchpin.automation.run_removal import RunRemoveMethod
from latchpin.automation.runs import NewRun
from latchpin.errors import Malformed, Missing, RunFailed, TimedOut
from latchpin.identity import roles
from latchpin.storage.models import Run
from latchpin.storage.models.agent import RunStatus

_LOOK_SECONDS = 0.2  # between two polls of a run that a caller waits for
_AnyRequest = Request[Any, Any, Any]


@post(
    "/agent/{agent_id:int}/start",
    operation_id="startAgent",
    summary="Start a run",
    tags=["Runs"],
    status_code=202,
    opt=requires(roles.RUNS_START) | json_body(RunStart, may_be_empty=True),
    responses=problems(404, 408, 409, 422),
)
async def start(request: _AnyRequest, agent_id: AgentId) -> Response[StartedRun]:
    """Start a run of the agent's current version. The response is the run, which waits for a slot or is starting.

    With `isRunSynchronously` the response comes when the run has ended: status 200 and its records as a JSON array.
    """
    body = await compat_bodies.read(request, RunStart)
    new = _new_run(body)
    engine, who = services.of(request).engine, principal(request)
    async with database(request).read() as session:
        _, text = await runs.get_agent_to_start(session, who, agent_id)
    definition = await agents.parse(text)
    async with database(request).transaction() as session:
        agent, latest = await runs.get_agent_to_start(session, who, agent_id)
        definition = definition if latest == text else await agents.parse(latest)
        run = await runs.start(session, agent, new, definition=definition, engine=engine, by=actor(request))
        content = await run_wire.started(session, agent, run, engine)
    if body.is_run_synchronously:
        records: Response[StartedRun] = await _records(request, run.id, body.timeout)  # the OpenAPI document describes the usual response
        return records
    return Response(content, status_code=202)


def _new_run(body: RunStart) -> NewRun:
    if body.is_run_synchronously and body.parallelism != 1:
        raise Malformed("parallelism: A synchronous run has no parallel sets; leave it out or send 1.", field="parallelism")
    return NewRun(
        input=run_inputs.read(body.input_parameters),
        parallelism=body.parallelism,
        parallel_max_concurrency=body.parallel_max_concurrency,
        parallel_export=enums.parallel_export(body.parallel_export),
        log_level=enums.log_level(body.log_level),
        log_mode=enums.log_mode(body.log_mode),
        is_exclusive=body.is_exclusive,
        is_wait_on_failure=body.is_wait_on_failure,
    )


async def _records(request: _AnyRequest, run_id: int, timeout: int) -> Any:  # noqa: ANN401, ASYNC109  a stream of JSON; seconds, as in requests
    """Wait for a run's end and answer with its records; raises TimedOut, RunFailed, and Missing where the run was deleted meanwhile."""
    run = await _ended(request, run_id, timeout)
    if run.status in (RunStatus.FAILURE, RunStatus.FAILED):
        raise RunFailed(run.message or "The run failed.", run_id=run_id)
    async with database(request).read() as session:
        file = await run_files.delivered(session, run)
    if file is None:
        return Response([], status_code=200)
    lines = services.of(request).engine.store.read(file.storage_key)
    return Stream(_as_array(lines), status_code=200, media_type="application/json", headers={"X-Run-ID": str(run_id)})


async def _ended(request: _AnyRequest, run_id: int, timeout: int) -> Run:  # noqa: ASYNC109  seconds, as in requests
    until = time.monotonic() + timeout
    while True:
        async with database(request).read() as session:
            run = await session.get(Run, run_id)
        if run is None:
            raise Missing("run", run_id)
        if run.status in FINISHED:
            return run
        if time.monotonic() >= until:
            detail = f"The run has not ended within {timeout} seconds. It goes on; ask for its status with the id."
            raise TimedOut(detail, run_id=run_id)
        await asyncio.sleep(_LOOK_SECONDS)


async def _as_array(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Turn lines of JSON into one JSON array, as a stream."""
    yield b"["
    is_between = False
    async for part in source:
        lines = part[:-1] if part.endswith(b"\n") else part
        yield (b",\n" if is_between else b"") + lines.replace(b"\n", b",\n")
        is_between = part.endswith(b"\n")
    yield b"]"


@get(
    "/agent/{agent_id:int}/runs",
    operation_id="listRuns",
    summary="Runs of an agent",
    tags=["Runs"],
    opt=requires(roles.RUNS_READ),
    responses=problems(404),
)
async def list_runs(
    request: _AnyRequest,
    agent_id: AgentId,
    max_records: Annotated[int, QueryParameter(name="maxRecords", ge=1, le=1000, description="1 to 1000.")] = 50,
) -> list[RunOut]:
    """Return the agent's newest runs, newest first, those moved to history included."""
    async with database(request).read() as session:
        agent = await agents.get(session, principal(request), agent_id)
        recent_runs = await run_lists.recent(session, agent.id, max_records)
        return await run_wire.to_schema(session, agent, recent_runs, services.of(request).engine)


@get(
    "/agent/{agent_id:int}/runs/summary",
    operation_id="getRunSummary",
    summary="Run totals of an agent",
    tags=["Runs"],
    opt=requires(roles.RUNS_READ),
    responses=problems(404),
)
async def summary(request: _AnyRequest, agent_id: AgentId) -> RunSummary:
    """Count the agent's runs by status, those moved to history included."""
    async with database(request).read() as session:
        agent = await agents.get(session, principal(request), agent_id)
        status_counts = await run_lists.counts(session, agent.id)
    counts = [StatusCountOut(status=int(each.status), status_name=enums.wire_name(each.status), count=each.count) for each in status_counts]
    return RunSummary(total_count=sum(each.count for each in status_counts), status_counts=counts)


@get(
    "/agent/{agent_id:int}/run/{run_id:int}/status",
    operation_id="getRunStatus",
    summary="One run",
    tags=["Runs"],
    opt=requires(roles.RUNS_READ),
    responses=problems(404),
)
async def status(request: _AnyRequest, agent_id: AgentId, run_id: RunId) -> RunOut:
    """Return one run with its status and counters."""
    async with database(request).read() as session:
        run = await runs.get(session, principal(request), agent_id, run_id)
        agent = await agents.get(session, principal(request), agent_id)
        (run_out,) = await run_wire.to_schema(session, agent, [run], services.of(request).engine)
    return run_out


@post(
    "/agent/{agent_id:int}/run/{run_id:int}/stop",
    operation_id="stopRun",
    summary="Stop a run",
    tags=["Runs"],
    status_code=204,
    opt=requires(roles.RUNS_START),
    responses=problems(404),
)
async def stop(request: _AnyRequest, agent_id: AgentId, run_id: RunId) -> None:
    """Let a run finish its current page and keep its records: it is Stopping, then Stopped. Does nothing to a run that has ended."""
    engine = services.of(request).engine
    async with database(request).transaction() as session:
        run, agent = await runs.get_for_change(session, principal(request), agent_id, run_id)
        await runs.stop(session, run, engine=engine, by=actor(request), agent_name=agent.name)


@post(
    "/agent/{agent_id:int}/run/{run_id:int}/kill",
    operation_id="killRun",
    summary="Kill a run",
    tags=["Runs"],
    status_code=204,
    opt=requires(roles.RUNS_START),
    responses=problems(404),
)
async def kill(request: _AnyRequest, agent_id: AgentId, run_id: RunId) -> None:
    """Stop a run; a second call while it is Stopping ends it at once. Either way it ends as Stopped."""
    engine = services.of(request).engine
    async with database(request).transaction() as session:
        run, agent = await runs.get_for_change(session, principal(request), agent_id, run_id)
        await runs.kill(session, run, engine=engine, by=actor(request), agent_name=agent.name)


@post(
    "/agent/{agent_id:int}/run/{run_id:int}/restart",
    operation_id="restartRun",
    summary="Restart a failed run",
    tags=["Runs"],
    status_code=202,
    opt=requires(roles.RUNS_START),
    responses=problems(404, 409),
)
async def restart(request: _AnyRequest, agent_id: AgentId, run_id: RunId) -> RunOut:
    """Start a run that ended in Failure again, from the beginning and with the same id."""
    engine = services.of(request).engine
    async with database(request).transaction() as session:
        run, agent = await runs.get_for_change(session, principal(request), agent_id, run_id)
        await runs.restart(session, run, engine=engine, by=actor(request), agent=agent)
        (run_out,) = await run_wire.to_schema(session, agent, [run], engine)
    return run_out


@delete(
    "/agent/{agent_id:int}/run/{run_id:int}",
    operation_id="deleteRun",
    summary="Delete a run or its files",
    tags=["Runs"],
    status_code=200,
    opt=requires(roles.RUNS_START),
    responses=problems(404),
)
async def remove(
    request: _AnyRequest,
    agent_id: AgentId,
    run_id: RunId,
    remove_method: Annotated[
        str,
        QueryParameter(name="removeMethod", max_length=40, description="What is deleted.", enum=[each.value for each in RunRemoveMethod]),
    ] = RunRemoveMethod.ENTIRE_RUN.value,
) -> RemovedRun:
    """Delete a run that has ended, or its files, or its files and its input, for good. A repeated request gets the same response."""
    method, engine = enums.run_remove_method(remove_method), services.of(request).engine
    async with database(request).transaction() as session:
        agent = await agents.get(session, principal(request), agent_id)
        try:
            run, agent = await runs.get_for_change(session, principal(request), agent_id, run_id)
        except Missing:
            if run_id <= INT32 and await run_removal.was_removed(session, agent.organization_id, run_id):
                return RemovedRun(run_id=run_id, remove_method=method.value)
            raise
        keys = await run_removal.remove(session, run, method, agent_name=agent.name, by=actor(request))
    for key in keys:
        await engine.store.delete(key)
    return RemovedRun(run_id=run_id, remove_method=method.value)


HANDLERS = [start, list_runs, summary, status, stop, kill, restart, remove]
