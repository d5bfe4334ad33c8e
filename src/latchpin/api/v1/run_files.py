"""Files of runs: the list, and the redirect to a download (contract/runs.md)."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import PathParameter

from latchpin import services
from latchpin.api.bodies import Time
from latchpin.api.routing import CamelStruct, database, principal, problems, requires
from latchpin.api.v1.run_wire import INT64, STARTED_AT_EXAMPLE, AgentId, RunId
from latchpin.automation import run_files, runs
from latchpin.identity import roles


class RunFileOut(CamelStruct, frozen=True):
    """A file of a run; `fileSize` in bytes."""

    id: int
    region_id: int | None
    file_type: int | None
    name: str | None
    file_size: int
    created: Time


@get(
    "/agent/{agent_id:int}/run/{run_id:int}/files",
    operation_id="listRunFiles",
    summary="Files of a run",
    tags=["Runs"],
    opt=requires(roles.RUNS_READ),
    responses=problems(404),
)
async def list_files(request: Request[Any, Any, Any], agent_id: AgentId, run_id: RunId) -> list[RunFileOut]:
    """Return a run's files: records, log, and the list of requests; during a run, as far as they are written."""
    async with database(request).read() as session:
        run = await runs.get(session, principal(request), agent_id, run_id)
        files = await run_files.of_run(session, run.id)
    return [
        RunFileOut(id=file.id, region_id=None, file_type=int(file.file_type), name=file.name, file_size=file.size, created=file.created_at)
        for file in files
    ]


@get(
    "/agent/{agent_id:int}/run/{run_id:int}/file/{file_id:int}/download",
    operation_id="downloadRunFile",
    summary="Download a file",
    tags=["Runs"],
    status_code=302,
    opt=requires(roles.RUNS_READ),
    responses=problems(404),
)
async def download(
    request: Request[Any, Any, Any],
    agent_id: AgentId,
    run_id: RunId,
    file_id: Annotated[int, PathParameter(ge=1, le=INT64, description="The file's id.")],
) -> Response[None]:
    """Redirect to a signed address of the file, which anyone can use without a header for some minutes."""
    server = services.of(request)
    async with database(request).read() as session:
        run = await runs.get(session, principal(request), agent_id, run_id)
        file = await run_files.get(session, run.id, file_id)
    path = run_files.signed_path(file, server.secrets, minutes=server.settings.download_minutes)
    return Response(None, status_code=302, headers={"Location": server.settings.public_url + path, "Cache-Control": "no-store"})


# What the OpenAPI document shows of these routes, made from the very structs, so that it misses no field.
RESPONSE_EXAMPLES: dict[str, Any] = {
    "listRunFiles": [
        RunFileOut(id=3, region_id=None, file_type=1, name="records.jsonl", file_size=20_114, created=STARTED_AT_EXAMPLE),
        RunFileOut(id=4, region_id=None, file_type=6, name="log.txt", file_size=5_802, created=STARTED_AT_EXAMPLE),
    ],
}


HANDLERS = [list_files, download]
