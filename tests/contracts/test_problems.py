"""One shape for every refusal below /api, whatever is wrong, on every route (RFC 9457)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.contracts import routes
from tests.contracts.routes import Route
from tests.support.people import Organization
from tests.support.server import Server
from tests.support.signed_in import SignedIn, fields, problem
from tests.support.wire import raw

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
IMPOSSIBLE = ("0", "-1", "2147483648", "99999999999999999999999999", "1.5", "abc", "1e3", "%00")
NOT_JSON = {
    "open": b"{",
    "word": b"nonsense",
    "NaN": b'{"a": NaN}',
    "not UTF-8": b'{"content": "\xff"}',
    "half a character": b'{"content": "\\ud800"}',
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
}
LENIENT = ("restoreVersion", "startAgent")  # the contract's own bodies, which are read leniently
SMUGGLED = ("role", "organizationId", "scopes", "id", "createdBy", "isAdministrator")


@pytest.fixture(scope="module")
def api() -> list[Route]:
    """Every route that asks for a credential."""
    return [route for route in routes.every() if not route.is_public]


@pytest.fixture(scope="module")
def with_body(api: list[Route]) -> list[Route]:
    """Those that take a body."""
    return [route for route in api if route.body is not None]


@pytest.fixture(scope="module")
def strict(with_body: list[Route]) -> list[Route]:
    """Those whose body is our own."""
    return [route for route in with_body if route.name not in LENIENT]


@pytest.fixture(scope="module")
def admin(server: Server) -> SignedIn:
    """An administrator's session, which every route lets in."""
    return SignedIn(server, Organization(server).admin)


def test_a_wrong_method_is_405_and_says_which_are_right(admin: SignedIn, api: list[Route], subtests: pytest.Subtests) -> None:
    """Allow names the methods of the document, with HEAD beside GET; the answer to HEAD has no body, as HTTP demands."""
    for path in sorted({route.path for route in api}):
        allowed_methods = {route.method for route in api if route.path == path}
        if "GET" in allowed_methods:
            allowed_methods.add("HEAD")
        address = next(route for route in api if route.path == path).filled()
        for method in METHODS:
            if method in allowed_methods:
                continue
            with subtests.test(path=path, method=method):
                response = admin.request(method, address)
                assert set(response.headers["allow"].split(", ")) == allowed_methods
                if method == "HEAD":
                    assert (response.status_code, response.content) == (405, b"")
                else:
                    problem(response, 405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v2/agent/all", "/api/v1/nothing", "/api/v1/agent", "/api/v1/agent/1/nothing"])
def test_an_unknown_address_is_a_problem_document(admin: SignedIn, path: str) -> None:
    """404 says where the addresses are listed."""
    assert "/api-docs" in problem(admin.request("GET", path), 404, "not_found")["detail"]


@pytest.mark.parametrize("number", IMPOSSIBLE)
@pytest.mark.both_databases("an id that PostgreSQL cannot compare with an integer must not come to it")
def test_an_impossible_id_is_refused(admin: SignedIn, api: list[Route], number: str, subtests: pytest.Subtests) -> None:
    """Ids that nothing can have are 400 or 404, never a failure of the database."""
    for route in api:
        if not route.parameters:
            continue
        with subtests.test(route=route.name):
            address = route.path
            for name in route.parameters:
                address = address.replace(f"{{{name}}}", number)

            response = admin.request(route.method, address, json=route.body)

            assert response.status_code in (400, 404), response.text
            assert response.headers["content-type"] == "application/problem+json"


def test_what_is_not_json_is_400(admin: SignedIn, with_body: list[Route], subtests: pytest.Subtests) -> None:
    """Broken and endlessly nested JSON is refused before anything is looked at."""
    for route, (kind, body) in itertools.product(with_body, NOT_JSON.items()):
        with subtests.test(route=route.name, body=kind):
            response = admin.request(route.method, route.filled(), content=body, headers={"Content-Type": "application/json"})

            problem(response, 400, "bad_request")


def test_a_huge_body_is_413(server: Server, admin: SignedIn, with_body: list[Route], subtests: pytest.Subtests) -> None:
    """The largest body is a setting (1 MB); one that says it is larger is refused before any of it is sent."""
    headers = {**admin.headers, "Host": "test", "Connection": "close", "Content-Type": "application/json", "Content-Length": "1100000"}
    for route in with_body:
        with subtests.test(route=route.name):
            lines = [f"{route.method} {route.filled()} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]

            head, _, body = raw(server, ("\r\n".join(lines) + "\r\n\r\n").encode()).partition(b"\r\n\r\n")

            assert head.startswith(b"HTTP/1.1 413 ")
            assert b"content-type: application/problem+json" in head
            assert b'"errorCode":"request_too_large"' in body


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""])
def test_another_content_type_is_415(admin: SignedIn, strict: list[Route], content_type: str, subtests: pytest.Subtests) -> None:
    """What a web page's form can send is not taken for JSON."""
    for route in strict:
        with subtests.test(route=route.name):
            response = admin.request(route.method, route.filled(), content=b"{}", headers={"Content-Type": content_type})

            problem(response, 415, "unsupported_content_type")


@pytest.mark.parametrize("body", [[], "text", 7, True], ids=["list", "text", "number", "truth value"])
def test_json_that_is_no_object_is_422(admin: SignedIn, strict: list[Route], body: Any, subtests: pytest.Subtests) -> None:
    """The refusal says what is wanted."""
    for route in strict:
        with subtests.test(route=route.name):
            response = admin.request(route.method, route.filled(), json=body)

            assert problem(response, 422, "invalid")["detail"] == "Enter a JSON object."


def test_a_field_that_is_not_offered_is_refused(admin: SignedIn, strict: list[Route], subtests: pytest.Subtests) -> None:
    """Nobody sets a role, an organization or scopes by adding them to a body (mass assignment)."""
    for route, name in itertools.product(strict, SMUGGLED):
        if name in route.body:
            continue
        with subtests.test(route=route.name, field=name):
            response = admin.request(route.method, route.filled(), json={**route.body, name: "Administrator"})

            assert fields(response) == {name: "There is no such field here."}


def test_an_unknown_parameter_is_ignored(admin: SignedIn, api: list[Route], subtests: pytest.Subtests) -> None:
    """Clients of other versions send parameters of other versions."""
    for route in api:
        if route.method != "GET" or route.parameters:
            continue
        with subtests.test(route=route.name):
            query = route.query(name="Retail", query="price")
            plain = admin.request("GET", route.path, params=query)

            more = admin.request("GET", route.path, params={**query, "organizationId": "7", "fields": "id", "_": "1"})

            assert more.status_code == plain.status_code


def test_a_key_in_the_openapi_document_is_no_key() -> None:
    """The document's samples hold nothing that looks like a whole key."""
    text = repr(routes.document())

    assert "sk-lp_" in text
    assert not any(len(word) > 20 for word in text.replace("'", " ").split() if word.startswith("sk-lp_"))
