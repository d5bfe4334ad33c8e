"""The outermost layer: the request's id, and one line in the log for each request."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from latchpin.identity import credentials
from tests.support.deployments import Deployments
from tests.support.people import Organization
from tests.support.server import Server
from tests.support.wire import LIST, audit, get, until


@pytest.fixture
def behind_proxy(shared: Callable[..., Server]) -> Organization:
    """An organization on a deployment that trusts the proxy the tests connect from."""
    return Organization(shared(trusted_proxies=(ipaddress.ip_network("127.0.0.0/8"),)))


def _line(server: Server, request_id: str) -> dict[str, Any]:
    """Return the access line of a request, when it has been written."""
    access_lines: list[dict[str, Any]] = []

    def look() -> bool:
        lines = [json.loads(line) for line in server.log.getvalue().splitlines() if request_id in line]
        access_lines[:] = [line for line in lines if line["event"] == "request"]
        return bool(access_lines)

    until(look)
    (line,) = access_lines
    return line


def test_every_answer_carries_a_request_id(organization: Organization) -> None:
    """Two requests never have the same one, and a refusal repeats it in its body."""
    responses = [organization.server.http.get(LIST) for _ in range(20)]

    ids = {response.headers["x-request-id"] for response in responses}
    assert len(ids) == 20
    assert {response.json()["requestId"] for response in responses} == ids


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_trusted_proxys_request_id_is_kept(behind_proxy: Organization) -> None:
    """It is echoed, logged and audited, so that both logs name the request alike."""
    server, given = behind_proxy.server, f"caller-{behind_proxy.id:08d}.A_z"
    key = behind_proxy.key()
    behind_proxy.revoke(key)

    response = server.http.get(LIST, headers={**key.header, "X-Request-Id": given})

    assert response.headers["x-request-id"] == given
    assert _line(server, given)["status"] == 401
    assert [row.target_id for row in audit(behind_proxy, "api_key.refused", request_id=given)] == [key.id]


def test_a_request_id_from_anybody_else_is_replaced(organization: Organization) -> None:
    """A caller does not choose how the logs and the audit trail name his request: two of them could look like one."""
    _, body = get(organization.server, b"X-Request-Id: caller-00000001")

    assert "caller-00000001" not in body.decode() + organization.server.log.getvalue()


@pytest.mark.parametrize(
    "given",
    [b"short", b"x" * 65, b"with blank 1", b"quote\"'<script>", b"new\xe9line-12345", credentials.new_api_key().encode()],
    ids=["short", "long", "blank", "quotes", "latin", "key"],
)
def test_an_unsound_request_id_is_replaced(behind_proxy: Organization, given: bytes) -> None:
    """Nobody writes markup, endless text or a key into our log by way of the request id, not even through a proxy."""
    _, body = get(behind_proxy.server, b"X-Request-Id: " + given)

    assert json.loads(body)["requestId"].encode() != given


def test_two_request_ids_count_as_none(behind_proxy: Organization) -> None:
    """A header that came twice is not joined into one."""
    _, body = get(behind_proxy.server, b"X-Request-Id: request-one", b"X-Request-Id: request-two")

    assert not json.loads(body)["requestId"].startswith("request-")


def test_a_sound_traceparent_stands_in_the_line(organization: Organization) -> None:
    """The line names the caller's trace and step; what is not sound is left out (W3C Trace Context section 3.2)."""
    server, trace, parent = organization.server, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    trace_ids = []
    for header in (f"00-{trace}-{parent}-01", f"00-{trace}-{parent}-0", f"00-{'0' * 32}-{parent}-01", "rubbish"):
        response = server.http.get("/health/live", headers={"traceparent": header})
        line = _line(server, response.headers["x-request-id"])
        trace_ids.append((line.get("trace_id"), line.get("parent_id")))

    assert trace_ids == [(trace, parent), (None, None), (None, None), (None, None)]


def test_a_request_that_failed_leaves_a_line_of_level_error(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    """So does the error, under the same id and trace, while another request fails too; the caller is told nothing of it."""
    server, both = serve(), asyncio.Barrier(2)
    traces = ["a" * 32, "b" * 32]

    async def fail() -> None:
        await both.wait()
        raise RuntimeError("the test's own")

    def ask(trace: str) -> str:
        response = server.http.get("/health/ready", headers={"traceparent": f"00-{trace}-{'c' * 16}-01"})
        assert response.status_code == 500
        assert "the test's own" not in response.text  # the log tells it, the caller is told nothing
        assert "RuntimeError" not in response.text
        return response.headers["x-request-id"]

    monkeypatch.setattr(server.database, "require_ready", fail)
    with ThreadPoolExecutor(2) as threads:
        ids = list(threads.map(ask, traces))

    lines = [_line(server, each) for each in ids]
    errors = [json.loads(each) for each in server.log.getvalue().splitlines() if "the test's own" in each]
    assert [(line["status"], line["level"], line["trace_id"]) for line in lines] == [(500, "error", trace) for trace in traces]
    assert {(line["level"], line["request_id"], line["trace_id"]) for line in errors} == {
        ("error", *each) for each in zip(ids, traces, strict=True)
    }


@pytest.mark.parametrize(("access_log", "lines"), [(True, 1), (False, 0)])
def test_the_access_log_has_a_setting_of_its_own(deployments: Deployments, access_log: bool, lines: int) -> None:
    """LATCHPIN_LOG_LEVEL=error takes no request line away, LATCHPIN_ACCESS_LOG=off takes all."""
    with deployments.own("sqlite", log_level="error", access_log=access_log) as server:
        server.http.get("/health/live")

    assert [json.loads(line)["path"] for line in server.log.getvalue().splitlines()].count("/health/live") == lines


def test_a_request_leaves_one_line_without_query_and_credential(organization: Organization) -> None:
    """The line has method, path, status, time, id, address and caller, and nothing that might be secret (security.md 101)."""
    server, key = organization.server, organization.key()

    response = organization.get("/agent/all", key, name="a secret search")

    line = _line(server, response.headers["x-request-id"])
    assert line.pop("at").endswith("Z")
    assert line.pop("ms") > 0
    assert line == {
        "level": "info",
        "event": "request",
        "method": "GET",
        "path": LIST,
        "status": 200,
        "request_id": response.headers["x-request-id"],
        "address": "127.0.0.1",
        "caller": f"key:{key.id}",
    }
    assert key.secret not in server.log.getvalue()
    assert "secret search" not in server.log.getvalue()


def test_a_path_cannot_forge_a_line(organization: Organization) -> None:
    """Line breaks in a path stay inside their line."""
    status, body = get(organization.server, path="/api/v1/x%0a%7b%22event%22:%22forged%22%7d")

    line = _line(organization.server, json.loads(body)["requestId"])
    assert status == 401
    assert "\n" in line["path"]
    assert '\n{"event":"forged"}' not in organization.server.log.getvalue()


def test_a_path_does_not_steer_the_terminal_of_who_reads_the_log(organization: Organization) -> None:
    """Control characters beyond ASCII, which JSON would leave as they are, are written as escapes."""
    status, body = get(organization.server, path="/api/v1/%C2%9B31m%E2%80%AE%1B%5B31m")

    line = _line(organization.server, json.loads(body)["requestId"])
    assert status == 401
    assert line["path"] == "/api/v1/\x9b31m\u202e\x1b[31m"
    assert not {"\x9b", "\u202e", "\x1b"} & set(organization.server.log.getvalue())


def test_a_refusal_is_a_problem_document(organization: Organization) -> None:
    """Every error has type, title, status, detail, instance, code and request id, and is never kept by a cache (property 7)."""
    key = organization.key()
    responses = [
        organization.server.http.get(LIST),
        organization.get("/agent/999999", key),
        organization.get("/agent/all", key, pageIndex=0),
        organization.get("/nothing", key),
        organization.server.http.put(LIST, headers=key.header),
        organization.get("/spaces", organization.key(access="billing-only")),  # type: ignore[arg-type]
    ]

    for response in responses:
        body = response.json()
        assert {"type", "title", "status", "detail", "instance", "errorCode", "requestId"} <= set(body)
        assert body["status"] == response.status_code
        assert body["instance"] == response.request.url.path
        assert body["type"].startswith(f"{organization.server.url}/errors/")
        assert "message" not in body
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["cache-control"] == "no-store"
