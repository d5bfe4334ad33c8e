"""The outermost layer: the request's id, and one line in the log for each request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from latchpin.identity import credentials
from tests.support.people import Organization
from tests.support.server import Server
from tests.support.wire import LIST, audit, get, until


def _line(server: Server, request_id: str) -> dict[str, Any]:
    """Return the access line of a request, when it has been written."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        lines = [json.loads(line) for line in server.log.getvalue().splitlines() if request_id in line]
        found[:] = [line for line in lines if line["event"] == "request"]
        return bool(found)

    until(look)
    (line,) = found
    return line


def test_every_answer_carries_a_request_id(organization: Organization) -> None:
    """Two requests never have the same one, and a refusal repeats it in its body."""
    answers = [organization.server.http.get(LIST) for _ in range(20)]

    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 20
    assert {answer.json()["requestId"] for answer in answers} == ids


def test_a_callers_request_id_is_kept(organization: Organization) -> None:
    """A sound id of the caller's own is echoed, logged and audited, so that both sides find the same request."""
    server, given = organization.server, f"caller-{organization.id:08d}.A_z"
    key = organization.key()
    organization.revoke(key)

    response = server.http.get(LIST, headers={**key.header, "X-Request-Id": given})

    assert response.headers["x-request-id"] == given
    assert _line(server, given)["status"] == 401
    assert [row.target_id for row in audit(organization, "api_key.refused", request_id=given)] == [key.id]


@pytest.mark.parametrize(
    "given",
    [b"short", b"x" * 65, b"with blank 1", b"quote\"'<script>", b"new\xe9line-12345", credentials.new_api_key().encode()],
    ids=["short", "long", "blank", "quotes", "latin", "key"],
)
def test_an_unsound_request_id_is_replaced(organization: Organization, given: bytes) -> None:
    """Nobody writes markup, endless text or a key into our log by way of the request id."""
    _, body = get(organization.server, b"X-Request-Id: " + given)

    assert json.loads(body)["requestId"].encode() != given


def test_two_request_ids_count_as_none(organization: Organization) -> None:
    """A header that came twice is not joined into one."""
    _, body = get(organization.server, b"X-Request-Id: request-one", b"X-Request-Id: request-two")

    assert not json.loads(body)["requestId"].startswith("request-")


def test_a_request_leaves_one_line_without_query_and_credential(organization: Organization) -> None:
    """The line has method, path, status, time, id, address and caller, and nothing that might be secret (security.md 101)."""
    server, key = organization.server, organization.key()

    response = organization.get("/agent/all", key, name="a secret search")

    line = _line(server, response.headers["x-request-id"])
    assert line.pop("at").endswith("Z")
    assert line.pop("ms") > 0
    assert line == {
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


def test_a_refusal_is_a_problem_document(organization: Organization) -> None:
    """Every error has type, title, status, detail, instance, code and request id, and is never kept by a cache (property 7)."""
    key = organization.key()
    answers = [
        organization.server.http.get(LIST),
        organization.get("/agent/999999", key),
        organization.get("/agent/all", key, pageIndex=0),
        organization.get("/nothing", key),
        organization.server.http.put(LIST, headers=key.header),
        organization.get("/spaces", organization.key(access="billing-only")),  # type: ignore[arg-type]
    ]

    for answer in answers:
        body = answer.json()
        assert {"type", "title", "status", "detail", "instance", "errorCode", "requestId"} <= set(body)
        assert body["status"] == answer.status_code
        assert body["instance"] == answer.request.url.path
        assert body["type"].startswith(f"{organization.server.url}/errors/")
        assert "message" not in body
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"
