"""Starting, listing and deleting runs over HTTP, in a deployment where no worker takes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.automation import agents, run_lists
from latchpin.identity.roles import Role
from latchpin.identity.scopes import Access
from latchpin.kit import clock
from latchpin.storage.models import Run
from latchpin.storage.models.agent import RunStatus
from tests.support import databases
from tests.support.people import Key, Organization
from tests.support.plain_http import PLAIN
from tests.support.server import Server, served
from tests.support.signed_in import problem
from tests.support.wire import audit
from tests.support.workers import Runs

pytestmark = pytest.mark.both_databases("runs are queued by each database in its own way")

FIELDS = {
    "tag": str,
    "id": int,
    "configId": int,
    "configName": (str, type(None)),
    "spaceId": int,
    "organizationId": int,
    "organizationName": (str, type(None)),
    "sequence": int,
    "parallelism": (int, type(None)),
    "parallelMaxConcurrency": (int, type(None)),
    "parallelExport": (str, type(None)),
    "parallelSet": (int, type(None)),
    "startTime": (str, type(None)),
    "endTime": (str, type(None)),
    "created": (str, type(None)),
    "status": int,
    "message": (str, type(None)),
    "configVersion": (int, type(None)),
    "actionCount": int,
    "pageCount": int,
    "dynamicPageCount": int,
    "requestCount": int,
    "dataCount": int,
    "inputCount": (int, type(None)),
    "errorCount": int,
    "exportCount": (int, type(None)),
    "traffic": (int, type(None)),
    "runTimeSec": (int, type(None)),
    "serverName": (str, type(None)),
    "tableType": (str, type(None)),
}


@pytest.fixture(scope="module")
def quiet(kind: str, templates: databases.Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A deployment without a worker."""
    data_dir: Path = tmp_path_factory.mktemp(f"quiet-{kind}")
    with templates.fresh(kind, data_dir) as url, served(url, data_dir) as running:
        yield running


@pytest.fixture
def runs(quiet: Server) -> Runs:
    """Runs of a fresh organization."""
    return Runs(Organization(quiet))


def fits(run: dict[str, Any]) -> None:
    """Every key of the contract with a value of its type."""
    for name, kind in FIELDS.items():
        assert name in run, name
        assert isinstance(run[name], kind), name  # type: ignore[arg-type]


def test_a_start_answers_with_the_run(runs: Runs) -> None:
    """202 with every key of the contract, `runId` beside `id`, and `tableType` null; it is Queuing and says why."""
    agent = runs.organization.agent()

    response = runs.start(agent, InputParameters='{"account_password": "x"}', Parallelism=1, LogLevel="Debug", LogMode="Json", nonsense=1)

    run = response.json()
    assert response.status_code == 202
    fits(run)
    assert (run["runId"], run["configId"], run["sequence"], run["spaceId"]) == (run["id"], agent, 1, 0)
    assert (run["status"], run["tableType"], run["startTime"]) == (RunStatus.QUEUING, None, None)
    assert run["message"] == "No worker is connected. An administrator starts one with `latchpin worker`."
    assert runs.status(agent, run["id"])["tableType"] == "run"


def test_bodies_are_read_as_clients_write_them(runs: Runs) -> None:
    """Any case, numbers as text, names or places of enumerations, an object or a text for the input, and no body at all."""
    plain = Runs(runs.organization)
    agent = plain.agent(_without_inputs())
    last: dict[str, Any] = {}
    for body in (None, b"", b"{}", b'{"ISEXCLUSIVE": false, "parallelism": "2", "loglevel": 3, "parallelExport": "Separate"}'):
        response = runs.server.http.post(f"/api/v1/agent/{agent}/start", headers=runs.key.header, content=body)
        assert response.status_code == 202, (body, response.text)
        assert runs.act(agent, response.json()["id"], "stop").status_code == 204
        last = response.json()
    assert (last["parallelism"], last["parallelExport"]) == (2, "Separated")


def test_what_cannot_be_read_is_400_and_says_what_is_wrong(runs: Runs) -> None:
    """Not JSON, no object, out of range, an unknown word, input that is no object, names that are not declared, values that lack."""
    agent = runs.organization.agent()
    rows: list[tuple[bytes, str | None]] = [
        (b"{", None),
        (b"[1]", None),
        (b'{"Parallelism": 0}', "parallelism"),
        (b'{"Parallelism": 51}', "parallelism"),
        (b'{"IsExclusive": "perhaps"}', "isExclusive"),
        (b'{"LogLevel": "Loud"}', "logLevel"),
        (b'{"Timeout": 3601}', "timeout"),
        (b'{"InputParameters": "nonsense"}', "inputParameters"),
        (b'{"InputParameters": "[1]"}', "inputParameters"),
        (b'{"InputParameters": {"category": ["a"]}}', "inputParameters.category"),
        (b'{"InputParameters": {"category": "a\\u0000"}}', "inputParameters.category"),
        (b'{"InputParameters": {"colour": "red", "account_password": "x"}}', "inputParameters.colour"),
        (b"{}", "inputParameters.account_password"),
    ]

    for body, field in rows:
        response = runs.server.http.post(f"/api/v1/agent/{agent}/start", headers=runs.key.header, content=body)
        refusal = problem(response, 400, "bad_request")
        assert (refusal.get("errors", [{}])[0].get("field")) == field, (body, refusal)
    assert runs.organization.get(f"/agent/{agent}/runs", runs.key).json() == []


def test_an_exclusive_start_is_refused_while_a_run_is_in_progress(runs: Runs) -> None:
    """409 by default; with `isExclusive` false it is accepted, and waits for the exclusive one to end."""
    agent = runs.agent(_without_inputs())
    first = runs.started(agent)

    refusal = problem(runs.start(agent), 409, "agent_already_running")
    assert "Run 1 of this agent is in progress" in refusal["detail"]
    beside = runs.started(agent, IsExclusive=False)

    assert runs.status(agent, beside)["message"] == "1st in the queue; exclusive: run 1 of this agent is active."
    runs.act(agent, first, "stop")
    assert runs.status(agent, beside)["message"].startswith("No worker is connected")


def test_a_space_runs_as_many_as_its_limit_and_tells_the_others_their_place(runs: Runs) -> None:
    """Two have slots, the others wait in order; stopping one of the two lets the first of them in."""
    organization = runs.organization
    space = organization.space()
    agents = [runs.agent(_without_inputs(f"Agent {number}"), space) for number in range(4)]
    ids = [runs.started(agent) for agent in agents]

    def messages() -> list[str]:
        return [runs.status(agent, run)["message"] for agent, run in zip(agents, ids, strict=True)]

    assert [text.partition(";")[0] for text in messages()[2:]] == ["1st in the queue", "2nd in the queue"]
    assert messages()[3] == "2nd in the queue; the Space runs 2 of 2."
    runs.act(agents[0], ids[0], "stop")

    texts = messages()
    assert texts[0] == "Stopped while it waited; nothing was done."
    assert texts[2].startswith("No worker is connected")
    assert texts[3] == "1st in the queue; the Space runs 2 of 2."


def test_five_runs_of_a_space_wait_behind_nobody_elses_five_hundred(runs: Runs) -> None:
    """Another Space's long queue takes no slot of theirs, and ranks them first when a worker comes."""
    organization = runs.organization
    crowded, small = organization.space("Crowded"), organization.space("Small")
    many = runs.agent(_without_inputs("Many"), crowded)
    few = runs.agent(_without_inputs("Few"), small)

    for _ in range(20):  # as good as five hundred: what counts is that they came first
        runs.started(many, IsExclusive=False)
    last = [runs.started(few, IsExclusive=False) for _ in range(5)]

    async def ranks(session: AsyncSession) -> list[tuple[int, int]]:
        query = select(Run.id, Run.queue_rank).where(Run.organization_id == organization.id, Run.admitted_at.is_not(None))
        return [(row[0], row[1]) for row in (await session.execute(query.order_by(Run.queue_rank, Run.admitted_at, Run.id))).all()]

    admitted = organization.write(ranks)
    assert [rank for _, rank in admitted] == [0, 0, 1, 1]
    assert [run for run, _ in admitted if run in last] == last[:2]


def test_lists_and_totals_show_runs_newest_first(runs: Runs) -> None:
    """A bare array of at most `maxRecords`, and counts by status without zeros."""
    agent = runs.agent(_without_inputs())
    for _ in range(3):
        runs.act(agent, runs.started(agent), "stop")
    runs.started(agent)

    run_list = runs.organization.get(f"/agent/{agent}/runs", runs.key).json()
    for each in run_list:
        fits(each)
    assert [each["sequence"] for each in run_list] == [4, 3, 2, 1]
    assert [each["sequence"] for each in runs.organization.get(f"/agent/{agent}/runs", runs.key, maxRecords=2).json()] == [4, 3]
    problem(runs.organization.get(f"/agent/{agent}/runs", runs.key, maxRecords=1001), 400, "bad_request")
    assert runs.organization.get(f"/agent/{agent}/runs/summary", runs.key).json() == {
        "totalCount": 4,
        "statusCounts": [
            {"status": 4, "statusName": "Queuing", "count": 1},
            {"status": 8, "statusName": "Stopped", "count": 3},
        ],
    }


def test_an_archived_agent_is_not_started(runs: Runs) -> None:
    """409, and no run is left behind."""
    agent = runs.agent(_without_inputs())
    runs.organization.post(f"/agent/{agent}/archive", runs.key)

    problem(runs.start(agent), 409, "agent_archived")

    assert runs.organization.get(f"/agent/{agent}/runs", runs.key).json() == []


def test_starting_and_stopping_need_the_role_operator(runs: Runs) -> None:
    """A viewer of the Space watches and does not start; an operator does both; read-only keys watch, runs-only keys do both."""
    organization = runs.organization
    space, viewer, operator = organization.space(), organization.user("Vera Viewer"), organization.user("Otto Operator")
    organization.member(space, viewer, Role.VIEWER)
    organization.member(space, operator, Role.OPERATOR)
    agent = runs.agent(_without_inputs(), space)

    watching, operating = Runs(organization, organization.key(viewer)), Runs(organization, organization.key(operator, Access.RUNS_ONLY))
    run = operating.started(agent)

    problem(watching.start(agent), 403, "denied")
    for verb in ("stop", "kill", "restart"):
        problem(watching.act(agent, run, verb), 403, "denied")
    problem(_delete(watching, agent, run), 403, "denied")
    assert watching.status(agent, run)["id"] == run
    reading = Runs(organization, organization.key(operator, Access.READ_ONLY))
    assert reading.status(agent, run)["id"] == run
    problem(reading.start(agent), 403, "insufficient_scope")
    assert operating.act(agent, run, "stop").status_code == 204


def test_deleting_takes_what_its_method_says_and_may_be_repeated(runs: Runs) -> None:
    """Files; files and input, after which there is no restart; all of it, for which a repeated request is answered as the first."""
    organization = runs.organization
    agent = runs.agent(_without_inputs())
    ids = organization.ended_run(agent)
    run = ids["runId"]
    assert len(runs.files(agent, run)) == 1

    problem(_delete(runs, agent, run, "Nonsense"), 400, "bad_request")
    for _ in range(2):
        assert _delete(runs, agent, run, "removeallfiles").status_code == 200
    assert runs.files(agent, run) == {}
    problem(organization.get(f"/agent/{agent}/run/{run}/file/{ids['fileId']}/download", runs.key), 404, "file-not-found")
    assert _delete(runs, agent, run, "RemoveAllFilesAndAgentInput").status_code == 200
    problem(runs.act(agent, run, "restart"), 409, "run_not_restartable")
    for _ in range(2):
        assert _delete(runs, agent, run).status_code == 200
    problem(organization.get(f"/agent/{agent}/run/{run}/status", runs.key), 404, "run-not-found")
    problem(_delete(runs, agent, run + 1000), 404, "run-not-found")
    removed = [row.reason for row in audit(organization, "run.deleted")]
    assert removed == ["RemoveAllFiles", "RemoveAllFiles", "RemoveAllFilesAndAgentInput", "RemoveEntireRun"]


def test_a_run_in_progress_is_not_deleted(runs: Runs) -> None:
    """400 until it has ended."""
    agent = runs.agent(_without_inputs())
    run = runs.started(agent)

    problem(_delete(runs, agent, run), 400, "run_in_progress")

    runs.act(agent, run, "stop")
    assert _delete(runs, agent, run).status_code == 200
    assert runs.organization.get(f"/agent/{agent}", runs.key).json()["status"] is None


def test_a_download_address_works_without_a_header_for_fifteen_minutes(runs: Runs) -> None:
    """An absolute address on our host; one that was changed, or is older, opens nothing."""
    agent = runs.agent(_without_inputs())
    ids = runs.organization.ended_run(agent)
    store = runs.server.services.engine.store
    runs.server.run(store.append(f"runs/{ids['runId']}/1/log.txt", b"line\n"))

    with clock.Frozen(datetime.now(UTC)) as frozen:
        response = runs.organization.get(f"/agent/{agent}/run/{ids['runId']}/file/{ids['fileId']}/download", runs.key)
        frozen.advance(timedelta(minutes=14))
        _check_download(runs, response.headers["location"])
        frozen.advance(timedelta(minutes=2))
        problem(httpx.get(response.headers["location"], trust_env=False, verify=PLAIN), 404, "file-not-found")


def _check_download(runs: Runs, address: str) -> None:
    assert address.startswith(runs.server.url)
    given = httpx.get(address, trust_env=False, verify=PLAIN)
    assert (given.status_code, given.text) == (200, "line\n")
    assert given.headers["content-disposition"].startswith("attachment")
    assert httpx.head(address, trust_env=False).headers["content-length"] == "5"
    problem(httpx.get(address[:-1] + ("0" if address[-1] != "0" else "1"), trust_env=False, verify=PLAIN), 404, "file-not-found")
    problem(httpx.get(address.replace("expires=", "expires=9"), trust_env=False, verify=PLAIN), 404, "file-not-found")


def test_every_change_of_status_is_recorded_with_its_cause(runs: Runs) -> None:
    """Who started it and who stopped it, a key with its name, in order; and one audit event for each."""
    agent = runs.agent(_without_inputs())
    run = runs.started(agent)
    runs.act(agent, run, "stop")

    transitions = runs.organization.write(lambda session: run_lists.transitions(session, run))

    assert [(each.ordinal, each.from_status, each.to_status, each.cause.value, each.actor_name) for each in transitions] == [
        (1, None, RunStatus.QUEUING, "api_key", runs.organization.admin.email),
        (2, RunStatus.QUEUING, RunStatus.STOPPED, "api_key", runs.organization.admin.email),
    ]
    for action in ("run.started", "run.stopped"):
        assert [row.target_name for row in audit(runs.organization, action) if row.target_id == run] == ["Quiet, run 1"]


def test_input_of_encrypted_parameters_is_sealed_at_rest(runs: Runs) -> None:
    """The row holds the plain values as JSON and nothing of the encrypted one."""
    agent = runs.organization.agent()
    run = runs.started(agent, InputParameters=json.dumps({"category": "poetry", "account_password": "s3cr3t-value"}))

    async def work(session: AsyncSession) -> Run:
        return await session.get_one(Run, run)

    row = runs.organization.write(work)
    assert json.loads(row.input or "") == {"category": "poetry"}
    assert row.sealed_input is not None
    assert b"s3cr3t" not in row.sealed_input


def test_runs_moved_to_history_are_found_and_not_restarted(runs: Runs) -> None:
    """`tableType` tells them apart, and a Failed run stays as it is."""
    agent = runs.agent(_without_inputs())
    run = runs.organization.ended_run(agent)["runId"]

    async def work(session: AsyncSession) -> None:
        await session.execute(update(Run).where(Run.id == run).values(status=RunStatus.FAILED, archived_at=clock.now()))

    runs.organization.write(work)

    assert runs.status(agent, run)["tableType"] == "history"
    problem(runs.act(agent, run, "restart"), 409, "run_not_restartable")


def _delete(runs: Runs, agent: int, run: int, method: str | None = None) -> httpx.Response:
    params = {"removeMethod": method} if method else {}
    key: Key = runs.key
    return runs.server.http.delete(f"/api/v1/agent/{agent}/run/{run}", headers=key.header, params=params)


def _without_inputs(name: str = "Quiet") -> str:
    return f"""version: 1
name: {name}
start_url: https://books.example/
record:
  selector: li
  fields:
    - name: title
"""


def test_runs_go_along_with_an_agent_that_is_moved(runs: Runs) -> None:
    """Those that ended and those that wait show the new Space, whose slots they take from then on."""
    organization = runs.organization
    old, new = organization.space("Old"), organization.space("New")
    agent = runs.agent(_without_inputs(), old)
    ended, waiting = organization.ended_run(agent)["runId"], runs.started(agent)

    async def work(session: AsyncSession) -> None:
        principal = organization.admin.principal
        await agents.move(session, principal, await agents.get_for_change(session, principal, agent), new, by=organization.admin.actor)

    organization.write(work)

    assert {runs.status(agent, run)["spaceId"] for run in (ended, waiting)} == {new}
    assert runs.act(agent, waiting, "stop").status_code == 204
