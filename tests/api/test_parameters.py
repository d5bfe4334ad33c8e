"""Parameters and texts of requests: what the document says of them holds, on every route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts import routes
from tests.contracts.routes import Route
from tests.support import user_access
from tests.support.people import Organization
from tests.support.server import Server
from tests.support.signed_in import SignedIn, fields, problem

NUL = "a\0b"


@pytest.fixture(scope="module")
def home(server: Server) -> Organization:
    """An organization that these tests share."""
    return Organization(server)


@pytest.fixture(scope="module")
def admin(home: Organization) -> SignedIn:
    """An administrator's session, which every route lets in."""
    return SignedIn(home.server, home.admin)


@pytest.fixture(scope="module")
def ids(home: Organization, admin: SignedIn) -> dict[str, int]:
    """One of everything that a path can name."""
    person, space = home.user(), home.space()
    admin.put(f"/spaces/{space}/members/{person.id}", {"role": "viewer"})
    path_ids = {"agentId": home.agent(space_id=space), "versionNumber": 1, "spaceId": space, "userId": person.id}
    return path_ids | {"keyId": home.key(person).id} | user_access.opened(home, person)


def _with_query() -> Iterator[tuple[Route, dict[str, Any]]]:
    for route in routes.every():
        for parameter in route.operation["parameters"]:
            if parameter["in"] == "query":
                yield route, parameter


def _texts(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The ways in which a schema takes text that is nothing in particular."""
    kinds: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return [kind for kind in kinds if kind.get("type") == "string" and "enum" not in kind and "format" not in kind]


def _properties(route: Route) -> dict[str, Any]:
    """The members of a route's body with their schemas."""
    schema = route.operation["requestBody"]["content"]["application/json"]["schema"]
    properties: dict[str, Any] = routes.document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
    return properties


def test_a_repeated_parameter_is_refused(admin: SignedIn, subtests: pytest.Subtests) -> None:
    """To take one of two values in silence would answer a question that nobody asked; twice the same is refused as well."""
    for route, parameter in _with_query():
        name = parameter["name"]
        for values in (("1", "1"), ("1", "2")):
            with subtests.test(route=route.name, parameter=name, values=values):
                query = [*route.query().items(), *((name, value) for value in values)]
                response = admin.request(route.method, route.filled(), params=[pair for pair in query if pair != (name, "x")])

                assert fields(response, 400) == {name: "Give this parameter once."}


def test_all_repeated_parameters_are_named(home: Organization) -> None:
    """In `errors`, and in the detail for programs that show nothing else."""
    response = home.server.http.get("/api/v1/agent/all?spaceId=1&spaceId=2&name=a&name=b&sortOrder=1", headers=home.key().header)

    assert set(fields(response, 400)) == {"spaceId", "name"}
    assert "spaceId: Give this parameter once." in problem(response, 400, "bad_request")["detail"]


def test_who_may_not_ask_learns_nothing_of_parameters(home: Organization) -> None:
    """Credential and right come first."""
    key = home.key()
    assert home.server.http.get("/api/v1/agent/all?spaceId=1&spaceId=2").status_code == 401
    assert home.server.http.get("/api/v1/admin/users?search=a&search=b", headers=key.header).status_code == 403


def test_a_parameter_that_the_route_does_not_know_may_be_repeated(home: Organization) -> None:
    """It is passed over, as it is when it comes once."""
    assert home.server.http.get("/api/v1/agent/all?tag=a&tag=b&name=x", headers=home.key().header).status_code == 200


def test_a_download_takes_each_part_of_its_permission_once(home: Organization) -> None:
    """A signed address with a second `expires` beside the signed one is refused."""
    response = home.server.http.get("/api/files/1/a.csv?expires=1&expires=9999999999&signature=x")

    assert fields(response, 400) == {"expires": "Give this parameter once."}


@pytest.mark.both_databases("PostgreSQL keeps no NUL in a text, SQLite does")
def test_nul_in_a_parameter_is_refused(admin: SignedIn, subtests: pytest.Subtests) -> None:
    """On either database, as the document says."""
    for route, parameter in _with_query():
        if texts := _texts(parameter["schema"]):
            with subtests.test(route=route.name, parameter=parameter["name"]):
                response = admin.request(route.method, route.filled(), params={**route.query(), parameter["name"]: NUL})

                assert "NUL" in problem(response, 400, "bad_request")["detail"]
                assert all(kind["pattern"] == r"^[^\x00]*$" and kind["maxLength"] for kind in texts)


@pytest.mark.both_databases("PostgreSQL keeps no NUL in a text, SQLite does")
def test_nul_in_a_body_is_refused(admin: SignedIn, ids: dict[str, int], subtests: pytest.Subtests) -> None:
    """Every text in every body that a route takes; nothing is changed."""
    for route in routes.every():
        if route.body is None:
            continue
        for name, schema in _properties(route).items():
            if not _texts(schema):
                continue
            with subtests.test(route=route.name, member=name):
                response = admin.request(route.method, route.filled(ids), json={**route.body, name: NUL})

                assert response.status_code in (400, 422), response.text
                refused = {each["field"].partition(".")[0] for each in response.json()["errors"]}
                assert name in refused or name == "definition", response.text  # whose errors have lines and columns


def test_a_text_that_must_be_there_says_so(admin: SignedIn, ids: dict[str, int], subtests: pytest.Subtests) -> None:
    """`minLength` stands where an empty text is refused: at search terms, names, addresses and definitions."""
    seen = set()
    for route, parameter in _with_query():
        least = [kind.get("minLength", 0) for kind in _texts(parameter["schema"])]
        if parameter["required"] or any(least):
            with subtests.test(route=route.name, parameter=parameter["name"]):
                assert least == [1]
                response = admin.request(route.method, route.filled(), params={parameter["name"]: ""})
                assert parameter["name"] in fields(response, 400)
                seen.add(parameter["name"])
    for route in routes.every():
        if route.body is not None:
            for name, schema in _properties(route).items():
                if name in ("name", "fullName", "email", "identifier", "definition"):
                    with subtests.test(route=route.name, member=name):
                        assert [kind["minLength"] for kind in _texts(schema)] == [1]
                        assert admin.request(route.method, route.filled(ids), json={**route.body, name: ""}).status_code == 422
                        seen.add(name)
    assert seen == {"query", "name", "fullName", "email", "identifier", "definition"}
