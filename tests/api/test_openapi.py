"""The OpenAPI document and its explorer: true, complete, and from our own origin alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from msgspec.json import Decoder

from latchpin.api import examples
from latchpin.automation import definitions
from tests.contracts import routes
from tests.contracts.routes import Route
from tests.support import user_access
from tests.support.people import Organization
from tests.support.server import Server
from tests.support.signed_in import SignedIn

CONTRACT = {
    "GET /api/v1/agent/all": "agents:read",
    "GET /api/v1/agent/search": "agents:read",
    "GET /api/v1/agent/search/count": "agents:read",
    "GET /api/v1/agent/personal/count": "agents:read",
    "GET /api/v1/agent/{agentId}": "agents:read",
    "GET /api/v1/agent/{agentId}/input-parameters": "agents:read",
    "GET /api/v1/agent/{agentId}/versions": "agents:read",
    "POST /api/v1/agent/{agentId}/version/{versionNumber}/restore": "agents:write",
    "POST /api/v1/agent/{agentId}/archive": "agents:write",
    "POST /api/v1/agent/{agentId}/unarchive": "agents:write",
    "POST /api/v1/agent/{agentId}/start": "agents:write",
    "GET /api/v1/agent/{agentId}/runs": "runs:read",
    "GET /api/v1/agent/{agentId}/runs/summary": "runs:read",
    "GET /api/v1/agent/{agentId}/run/{runId}/status": "runs:read",
    "POST /api/v1/agent/{agentId}/run/{runId}/stop": "agents:write",
    "POST /api/v1/agent/{agentId}/run/{runId}/kill": "agents:write",
    "POST /api/v1/agent/{agentId}/run/{runId}/restart": "agents:write",
    "DELETE /api/v1/agent/{agentId}/run/{runId}": "agents:write",
    "GET /api/v1/agent/{agentId}/run/{runId}/files": "runs:read",
    "GET /api/v1/agent/{agentId}/run/{runId}/file/{fileId}/download": "runs:read",
    "GET /api/v1/spaces": "spaces:read",
    "GET /api/v1/spaces/{spaceId}": "spaces:read",
    "GET /api/v1/spaces/{spaceId}/agents": "spaces:read",
    "GET /api/v1/spaces/{spaceId}/agents/count": "spaces:read",
    "GET /api/v1/spaces/search": "spaces:read",
}


def _validator(schema: dict[str, Any]) -> Any:
    """A validator of a schema that refers into the document."""
    return jsonschema_rs.Draft202012Validator({**schema, "components": routes.document()["components"]}, validate_formats=True)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


@pytest.fixture(scope="module")
def served_document(server: Server) -> dict[str, Any]:
    """The document as the server gives it out."""
    response = server.http.get("/api-docs/openapi.json")
    assert response.headers["content-type"] == "application/json"
    document: dict[str, Any] = response.json()
    return document


def test_the_document_is_public_and_fits_any_host(served_document: dict[str, Any]) -> None:
    """It is served without a credential, and names no host: the server is where it came from."""
    assert served_document["openapi"] == "3.1.0"
    assert [server["url"] for server in served_document["servers"]] == ["/"]
    assert served_document["paths"] == routes.document()["paths"]


def test_the_document_is_sound() -> None:
    """Every reference leads somewhere, every operation has an id of its own, and Schemathesis can read all of it."""
    document = routes.document()
    for reference in set(_references(document)):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in node, reference
            node = node[part]
    names = [route.name for route in routes.every()]
    assert len(names) == len(set(names))
    loaded = schemathesis.openapi.from_dict(document)
    loaded.validate()
    assert len(list(loaded.get_all_operations())) == len(names)


def _arrays(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") == "array":
            yield node
        for name, value in node.items():
            if name not in ("example", "default"):
                yield from _arrays(value)
    elif isinstance(node, list):
        for value in node:
            yield from _arrays(value)


def test_every_list_says_what_is_in_it() -> None:
    """Generators leave out a type that has a list of nobody knows what, and the routes that answer with it."""
    arrays = list(_arrays(routes.document()))

    assert len(arrays) > 20
    assert [each for each in arrays if "items" not in each] == []


def test_it_says_whom_to_ask_and_under_which_license() -> None:
    """The software's license by its SPDX identifier, and the deployment's own address."""
    info = routes.document()["info"]

    assert info["license"] == {"name": "Apache License 2.0", "identifier": "Apache-2.0"}
    assert info["contact"] == {"name": "The administrators of this deployment", "url": "http://127.0.0.1:8080"}


def test_choices_are_those_of_the_route() -> None:
    """`status` filters runs in one list and apps in another."""
    choices = {
        route.name: parameter["schema"].get("enum")
        for route in routes.every()
        for parameter in route.operation["parameters"]
        if parameter["name"] == "status"
    }

    assert choices == {"listAgents": None, "listApps": ["", "waiting", "active", "blocked", "revoked"]}


def test_the_contracts_routes_are_there_with_their_scopes() -> None:
    """Paths, names and scopes are those of the wire contract; all else below /api/v1 is marked as our own."""
    for route in routes.every():
        line = f"{route.method} {route.path}"
        if route.path.startswith("/api/v1/admin/"):
            assert route.operation["x-latchpin"] is True, line
        elif route.path.startswith("/api/v1"):
            assert route.scope == CONTRACT.get(line), line
            assert "x-latchpin" not in route.operation
    assert set(CONTRACT) <= {f"{route.method} {route.path}" for route in routes.every()}


def test_a_route_is_described_for_people(subtests: pytest.Subtests) -> None:
    """Summary, description with the needed scope, tag, described parameters in wire names, and refusals."""
    for route in routes.every():
        with subtests.test(route=route.name):
            _is_described(route)


def _is_described(route: Route) -> None:
    operation = route.operation
    assert operation["summary"] and operation["description"] and len(operation["tags"]) == 1  # noqa: PT018  one thought
    if route.scope:
        assert f"`{route.scope}`" in operation["description"]
        assert operation["security"] == [{"ApiKey": []}, {"Bearer": []}, {"Session": []}]
    for parameter in operation["parameters"]:
        assert re.fullmatch("[a-z]+([A-Z][a-z]+)*", parameter["name"]), parameter["name"]
    assert route.parameters == {each["name"] for each in operation["parameters"] if each["in"] == "path"}
    statuses = set(operation["responses"])
    assert {"500", "503"} <= statuses
    if not route.is_public:
        assert {"400", "401", "403", "429"} <= statuses
    if route.parameters:
        assert "404" in statuses
    if route.body is not None:
        assert {"413", "415", "422"} <= statuses


def test_every_refusal_is_a_problem_document() -> None:
    """Each has the one schema, and a sample that fits it and its status."""
    components = routes.document()["components"]
    for name, response in components["responses"].items():
        content = response["content"]["application/problem+json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, name
        _validator(content["schema"]).validate(content["example"])
    for route in routes.every():
        for status, response in route.operation["responses"].items():
            if int(status) >= 400:
                response_name = response["$ref"].removeprefix("#/components/responses/")
                assert components["responses"][response_name]["content"]["application/problem+json"]["example"]["status"] == int(status)


def test_the_limit_and_the_wait_are_described() -> None:
    """Rate limit headers on every answer behind a credential, Retry-After on 429, WWW-Authenticate on 401 and 403."""
    document = routes.document()
    responses = document["components"]["responses"]
    assert "Retry-After" in responses["TooManyRequests"]["headers"]
    assert "WWW-Authenticate" in responses["NotAuthenticated"]["headers"]
    assert "WWW-Authenticate" in responses["NotAllowed"]["headers"]
    for route in routes.every():
        success = next(response for status, response in route.operation["responses"].items() if status.startswith(("2", "3")))
        assert ("X-RateLimit-Limit" in success["headers"]) is not route.is_public, route.name


def test_every_sample_answer_fits_its_schema(subtests: pytest.Subtests) -> None:
    """A sample that does not validate would teach something wrong."""
    for route in routes.every():
        for status, response in route.operation["responses"].items():
            if not status.startswith("2"):
                continue
            with subtests.test(route=route.name, status=status):
                assert ("content" in response) is (status != "204")
                for content in response.get("content", {}).values():
                    _validator(content["schema"]).validate(content["example"])


def test_every_sample_body_fits_its_schema(subtests: pytest.Subtests) -> None:
    """And a definition in it is one that can be saved."""
    for route in routes.every():
        if route.body is None:
            continue
        with subtests.test(route=route.name):
            _validator(route.operation["requestBody"]["content"]["application/json"]["schema"]).validate(route.body)
            if "definition" in route.body:
                definitions.parse(route.body["definition"])


def _shape(value: Any) -> Any:
    """The names in a JSON value, without the values; of a list, those of its first element."""
    if isinstance(value, dict):
        return {name: _shape(inner) for name, inner in value.items() if name not in ("changes", "inputParameters")}
    return [_shape(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def test_samples_look_like_what_is_answered(server: Server) -> None:
    """Each sample of a GET has exactly the names that the server sends, for things that exist."""
    organization = Organization(server)
    space, user = organization.space("Retail"), organization.user()
    agent, key = organization.agent("Prices", space), organization.key(user)
    admin = SignedIn(server, organization.admin)
    admin.put(f"/spaces/{space}/members/{user.id}", {"role": "viewer"})
    event = admin.get("/audit", maxRecords=1).json()["events"][0]["id"]
    ids = {"agentId": agent, "spaceId": space, "userId": user.id, "keyId": key.id, "eventId": event}
    ids |= user_access.opened(organization, user) | organization.ended_run(agent)

    for route in routes.every():
        if route.method == "GET" and route.name != "downloadRunFile":  # which leads elsewhere
            response = admin.request("GET", route.filled(ids), params=route.query(name="Retail", query="price"))
            assert response.status_code == 200, (route.name, response.text)
            assert _shape(response.json()) == _shape(examples.response(route.name)), route.name


def test_the_explorer_loads_nothing_from_elsewhere(server: Server) -> None:
    """One page at both addresses, no inline script, files of our own under names that carry their content's hash."""
    page = server.http.get("/api-docs")
    assert server.http.get("/api-docs/index.html").text == page.text
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "http" not in policy

    assert not re.search(r"<script>|<style|\son\w+=|style=", page.text)
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert all(address.startswith("/") for address in addresses)
    files = [address for address in addresses if "/assets/" in address]
    assert len(files) == 6
    for address in files:
        response = server.http.get(address)
        assert response.status_code == 200
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["content-type"].count("charset") <= 1
    assert server.http.get("/api-docs/assets/swagger-ui-bundle.js").status_code == 404
    assert server.http.get("/api-docs/assets/..%2Fopenapi.py").status_code == 404


def test_the_document_is_json_that_needs_no_guessing(server: Server) -> None:
    """It decodes strictly, and it is the same twice."""
    first, second = server.http.get("/api-docs/openapi.json").content, server.http.get("/api-docs/openapi.json").content

    assert first == second
    assert Decoder(dict[str, Any]).decode(first) == json.loads(first)
