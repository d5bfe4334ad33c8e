"""An agent crawls a real site: its run is started, watched, stopped, and its files are downloaded."""

from __future__ import annotations

import json

import pytest

from latchpin.storage.models.agent import RunStatus
from tests.support import site
from tests.support.signed_in import problem
from tests.support.site import Site, page
from tests.support.workers import Runs, until_seen

pytestmark = pytest.mark.both_databases("each database hands runs out in its own way")


def test_a_run_collects_every_record_of_the_site(runs: Runs, shop: Site) -> None:
    """Thirty products over three lists and thirty details end as Completed with thirty records, in the file and in the counters."""
    agent = runs.agent(site.agent(shop.url))

    run = runs.wait(agent, runs.started(agent))

    assert run["status"] == RunStatus.COMPLETED, run
    records = [json.loads(line) for line in runs.text(agent, run["id"], "records.jsonl").splitlines()]
    assert sorted(each["price"] for each in records) == [number + 0.5 for number in range(1, 31)]
    assert {each["title"]: each["stock"] for each in records} == {f"Product {number}": number % 7 for number in range(1, 31)}
    assert (run["dataCount"], run["exportCount"], run["pageCount"], run["errorCount"]) == (30, 30, 33, 0)


def test_a_run_can_be_watched_while_it_goes_on(runs: Runs, shop: Site) -> None:
    """Running with counters that grow, `isActive` and `lastActivity` on the agent, and a log that can be read; then stopped cleanly."""
    agent = runs.agent(site.agent(shop.url, path="/slow", follow=False))
    run_id = runs.started(agent)

    running = runs.wait(agent, run_id, RunStatus.RUNNING)
    until_seen(lambda: runs.status(agent, run_id)["dataCount"] == 3)
    summary = runs.organization.get(f"/agent/{agent}", runs.key).json()
    assert (summary["isActive"], summary["status"]) == (True, RunStatus.RUNNING)
    assert summary["lastActivity"] is not None
    assert running["serverName"]
    until_seen(lambda: "3 records" in runs.text(agent, run_id, "log.txt"))

    assert runs.act(agent, run_id, "stop").status_code == 204
    assert runs.status(agent, run_id)["status"] == RunStatus.STOPPING
    shop.gate.set()
    stopped = runs.wait(agent, run_id)
    shop.gate.clear()

    assert stopped["status"] == RunStatus.STOPPED
    assert stopped["message"] == f"Stopped by {runs.organization.admin.email}."
    assert stopped["exportCount"] == stopped["dataCount"] == len(runs.text(agent, run_id, "records.jsonl").splitlines())
    assert not runs.organization.get(f"/agent/{agent}", runs.key).json()["isActive"]
    assert runs.act(agent, run_id, "stop").status_code == 204  # again, on a run that has ended


def test_a_second_kill_ends_the_run_at_once(runs: Runs, shop: Site) -> None:
    """The first call is a stop, which waits for the page at hand; the second ends the child process, and what was saved stays."""
    agent = runs.agent(site.agent(shop.url, path="/slow", follow=False))
    run_id = runs.started(agent)
    until_seen(lambda: runs.status(agent, run_id)["dataCount"] == 3)

    assert runs.act(agent, run_id, "kill").status_code == 204
    assert runs.status(agent, run_id)["status"] == RunStatus.STOPPING
    assert runs.act(agent, run_id, "kill").status_code == 204
    killed = runs.wait(agent, run_id)

    assert killed["status"] == RunStatus.STOPPED
    assert killed["message"] == "Killed. 3 records were saved."
    assert len(runs.text(agent, run_id, "records.jsonl").splitlines()) == 3
    assert "Killed." in runs.text(agent, run_id, "log.txt")


def test_a_run_that_cannot_read_a_page_fails_and_can_be_restarted(runs: Runs, shop: Site) -> None:
    """Failure with the address and the status; Restart begins the same run again, and its records are not doubled."""
    shop.pages["/flaky"] = 404, {}, b"gone"
    agent = runs.agent(site.agent(shop.url, path="/flaky"))
    run_id = runs.started(agent)

    failed = runs.wait(agent, run_id)
    assert failed["status"] == RunStatus.FAILURE
    assert failed["message"] == f"No page could be read. {shop.url}/flaky answered 404"
    assert runs.organization.get(f"/agent/{agent}", runs.key).json()["status"] == RunStatus.FAILURE

    shop.pages["/flaky"] = page('<li class="product"><a href="/product/1">One</a></li>')
    restarted = runs.act(agent, run_id, "restart")
    assert (restarted.status_code, restarted.json()["id"]) == (202, run_id)
    done = runs.wait(agent, run_id, RunStatus.COMPLETED)

    assert (done["dataCount"], done["errorCount"], done["sequence"]) == (1, 0, failed["sequence"])
    assert set(runs.files(agent, run_id)) == {"log.txt", "records-2.jsonl", "log-2.txt", "requests-2.jsonl"}
    problem(runs.act(agent, run_id, "restart"), 409, "run_not_restartable")


def test_a_synchronous_start_answers_with_the_records(runs: Runs, shop: Site) -> None:
    """A JSON array; a failed run is 422 with its message; one that takes longer than `Timeout` is 408 with the run's id, and goes on."""
    agent = runs.agent(site.agent(shop.url))
    response = runs.start(agent, IsRunSynchronously=True)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/json")
    assert len(response.json()) == 30

    refusal = problem(runs.start(runs.agent(site.agent(shop.url, path="/gone")), isRunSynchronously=True), 422, "run_failed")
    assert "answered 404" in refusal["detail"]

    slow = runs.agent(site.agent(shop.url, path="/slow", follow=False))
    late = problem(runs.start(slow, isrunsynchronously=True, timeout=1), 408, "run_timeout")
    assert runs.status(slow, late["runId"])["endTime"] is None
    runs.act(slow, late["runId"], "kill")
    runs.act(slow, late["runId"], "kill")
    runs.wait(slow, late["runId"], RunStatus.STOPPED)
    problem(runs.start(agent, IsRunSynchronously=True, Parallelism=2), 400, "bad_request")


def test_input_parameters_reach_the_site_and_secrets_stay_out_of_the_log(runs: Runs, shop: Site) -> None:
    """A value in the address and an encrypted one in a header, which is neither logged nor listed nor stored in the clear."""
    text = site.agent(shop.url, path="/list?page={page}", follow=False, max_pages=1)
    text += "input_parameters:\n  - name: page\n    default: '1'\n  - name: token\n    encrypted: true\n"
    text += "request:\n  headers:\n    Authorization: Bearer {token}\n"
    agent = runs.agent(text)

    run_id = runs.started(agent, InputParameters=json.dumps({"page": 3, "TOKEN": "s3cr3t-value"}), LogMode="TextAndHtml")
    run = runs.wait(agent, run_id, RunStatus.COMPLETED)

    assert run["dataCount"] == 10
    assert {headers["authorization"] for _, headers in shop.seen if "authorization" in headers} == {"Bearer s3cr3t-value"}
    for name in runs.files(agent, run_id):
        assert "s3cr3t" not in runs.text(agent, run_id, name), name
    assert "<h1>Log of Shop</h1>" in runs.text(agent, run_id, "log.html")
    refusal = problem(runs.start(agent, inputParameters={"page": 1, "pages": 2}), 400, "bad_request")
    assert [each["field"] for each in refusal["errors"]] == ["inputParameters.pages", "inputParameters.token"]


def test_robots_and_foreign_hosts_are_respected(runs: Runs, shop: Site) -> None:
    """What robots.txt disallows is not fetched, whatever the definition says, and a record's link to another host is left out."""
    definition = site.agent(shop.url, path="/private") + "request:\n  obey_robots: false\n"
    refused = runs.agent(definition)
    failed = runs.wait(refused, runs.started(refused))
    assert failed["message"] == f"No page could be read. {shop.url}/private is not allowed by the site's robots.txt"
    assert "/private" not in shop.paths()

    shop.pages["/away"] = page('<li class="product"><a href="http://other.example/product/1">One</a></li>')
    leading = runs.agent(site.agent(shop.url, path="/away"))
    run = runs.wait(leading, runs.started(leading), RunStatus.COMPLETED)

    assert (run["dataCount"], run["errorCount"]) == (1, 1)
    assert "other.example/product/1 is outside of the allowed domains" in runs.text(leading, run["id"], "log.txt")


def test_agents_reach_nothing_inside(runs: Runs, shop: Site) -> None:
    """Another port of the very host that was allowed is refused, directly and by a redirect; the message says who can change that."""
    with site.site() as inside:
        direct = runs.agent(site.agent(inside.url))
        failed = runs.wait(direct, runs.started(direct), RunStatus.FAILURE)
        assert "is not a public address" in failed["message"]
        assert "LATCHPIN_AGENT_NETWORKS" in failed["message"]

        shop.pages["/lead"] = 302, {"Location": inside.url + "/list"}, b""
        led = runs.agent(site.agent(shop.url, path="/lead"))
        failed = runs.wait(led, runs.started(led), RunStatus.FAILURE)
        assert "is not a public address" in failed["message"]
        assert inside.seen == []


def test_the_requests_of_a_run_are_listed(runs: Runs, shop: Site) -> None:
    """Address, status, milliseconds and bytes of each, in JSON Lines."""
    agent = runs.agent(site.agent(shop.url, follow=False, max_pages=2))
    run = runs.wait(agent, runs.started(agent), RunStatus.COMPLETED)

    requests = [json.loads(line) for line in runs.text(agent, run["id"], "requests.jsonl").splitlines()]

    assert [(each["url"].removeprefix(shop.url), each["status"]) for each in requests] == [
        ("/robots.txt", 200),
        ("/list", 200),
        ("/list?page=2", 200),
    ]
    assert all(each["ms"] >= 0 and each["bytes"] > 0 for each in requests)
    assert (run["requestCount"], run["traffic"]) == (3, sum(each["bytes"] for each in requests))
    assert run["message"] == "Ended at the limit of 2 pages (max_pages)."
    agents_name = {headers["user-agent"] for path, headers in shop.seen if path == "/list?page=2"}
    assert any(name.startswith("Latchpin/") and "(+" in name for name in agents_name)
