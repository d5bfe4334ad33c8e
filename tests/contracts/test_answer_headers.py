"""What every answer below /api/v1 carries, whoever makes it: route, gate, framework or the outermost layer."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.contracts import routes
from tests.support.people import Organization
from tests.support.server import Server
from tests.support.signed_in import SignedIn
from tests.support.wire import LIST, raw

CHANGING = ("POST", "PUT", "PATCH", "DELETE")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
BROKEN = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
TOO_LARGE = b"Content-Type: application/json\r\nContent-Length: 10000000\r\n\r\n"


@pytest.fixture(scope="module")
def api() -> list[routes.Route]:
    """Every route below /api/v1."""
    return [route for route in routes.every() if route.path.startswith("/api/v1")]


def guarded(response: httpx.Response) -> bool:
    """Whether no cache keeps an answer and no browser guesses its type, each said once."""
    header_names = [name for name, _ in response.headers.multi_items()]
    return (
        "no-store" in response.headers.get("cache-control", "")
        and response.headers.get("x-content-type-options") == "nosniff"
        and header_names.count("cache-control") == header_names.count("x-content-type-options") == 1
    )


def test_no_answer_of_any_route_is_stored_or_guessed(organization: Organization, api: list[routes.Route]) -> None:
    """Answers, refusals, HEAD, wrong methods and preflights of every route: with a key, with a session and with neither."""
    server = organization.server
    agent = organization.agent(space_id=organization.space())
    ids = {"agentId": agent, "versionNumber": 1, "userId": organization.admin.id, **organization.ended_run(agent)}
    callers: dict[str, dict[str, str]] = {
        "nobody": {},
        "key": organization.key().header,
        "session": SignedIn(server, organization.admin).headers,
        "page": {"Origin": "https://elsewhere.example"},
    }
    seen, lacking = set(), []
    for address in sorted({route.filled(defaultdict(lambda: routes.NOBODY, ids)) for route in api}):
        for method, (who, headers) in itertools.product(METHODS, callers.items()):
            if who == "session" and method in CHANGING:
                continue  # they would end the session that asks; what they answer is below
            response = server.http.request(method, address, headers=headers)
            seen.add(response.status_code)
            if not guarded(response):
                lacking.append((method, address, who, response.status_code))
    assert lacking == []
    assert {200, 204, 401, 404, 405} <= seen


def _changes(organization: Organization, server: Server) -> Iterator[httpx.Response]:
    """Answers to requests that make, change and refuse something."""
    admin, key = SignedIn(server, organization.admin), organization.key()
    agent = organization.agent()
    restore = f"/api/v1/agent/{agent}/version/1/restore"
    yield admin.post("/spaces", {"name": "Retail", "scope": "Private"})
    yield admin.post("/spaces", {"name": 7})
    yield admin.request("POST", "/api/v1/admin/spaces", content=b"{}", headers={"Content-Type": "text/plain"})
    yield admin.request("POST", "/api/v1/admin/spaces", content=b"{", headers={"Content-Type": "application/json"})
    yield server.http.post(restore, headers=key.header, json={"content": "again"})
    yield server.http.get("/api/v1/nothing", headers=key.header)
    yield server.http.get("/api/v1", headers=key.header)
    yield server.http.get("/api/v1/agent/abc", headers=key.header)
    yield server.http.get("//api//v1/agent/all", headers=key.header)
    yield server.http.get(f"{LIST}?a=%00")
    yield server.http.get(f"{LIST}?access_token=x")
    for ending in (BROKEN, TOO_LARGE):
        line = f"POST {restore} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAuthorization: ApiKey {key.secret}\r\n"
        status, *lines = raw(server, line.encode() + ending).partition(b"\r\n\r\n")[0].split(b"\r\n")
        headers = [(name, value) for name, _, value in (each.partition(b": ") for each in lines)]
        yield httpx.Response(int(status.split()[1]), headers=headers)


def test_no_change_and_no_refusal_is_stored_or_guessed(organization: Organization) -> None:
    """What was made, and each kind of refusal, down to a body that breaks off and an address that the router never sees."""
    responses = list(_changes(organization, organization.server))

    assert [response for response in responses if not guarded(response)] == []
    assert {response.status_code for response in responses} >= {201, 400, 401, 404, 413, 415, 422}


def test_a_refusal_for_too_many_requests_is_not_stored_or_guessed(serve: Callable[..., Server]) -> None:
    """429 is the gate's own answer."""
    organization = Organization(serve(rate_limit=1, rate_limit_queue=0))
    key = organization.key()

    responses = [organization.get("/agent/all", key) for _ in range(2)]

    assert [response.status_code for response in responses] == [200, 429]
    assert all(guarded(response) for response in responses)
