"""A browser session at the API: what the Control Center's own pages would send."""

from __future__ import annotations

from typing import Any

import httpx

from latchpin import problem_types
from tests.support.people import PASSWORD, Person
from tests.support.server import Server


class SignedIn:
    """A person signed in, asking the API from a page of ours."""

    def __init__(self, server: Server, person: Person) -> None:
        self._server = server
        with server.client(headers={"Sec-Fetch-Site": "same-origin"}) as client:
            response = client.post("/login", data={"email": person.email, "password": PASSWORD, "next": "/"})
            assert response.status_code == 303, response.text
            cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        self.headers = {"Cookie": cookies, "Sec-Fetch-Site": "same-origin"}

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask the server."""
        headers = {**self.headers, **more.pop("headers", {})}
        return self._server.http.request(method, path, headers=headers, **more)

    def get(self, path: str, **params: Any) -> httpx.Response:
        """Get below /api/v1/admin."""
        return self.request("GET", f"/api/v1/admin{path}", params=params)

    def post(self, path: str, body: object = None) -> httpx.Response:
        """Post below /api/v1/admin."""
        return self.request("POST", f"/api/v1/admin{path}", json=body)

    def put(self, path: str, body: object) -> httpx.Response:
        """Put below /api/v1/admin."""
        return self.request("PUT", f"/api/v1/admin{path}", json=body)

    def patch(self, path: str, body: object) -> httpx.Response:
        """Patch below /api/v1/admin."""
        return self.request("PATCH", f"/api/v1/admin{path}", json=body)

    def delete(self, path: str) -> httpx.Response:
        """Delete below /api/v1/admin."""
        return self.request("DELETE", f"/api/v1/admin{path}")


def problem(response: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """Check that an answer is a problem document of this status and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "instance", "errorCode", "requestId"} <= set(body)
    assert body["status"] == status
    assert body["instance"] == response.request.url.path
    assert code is None or body["errorCode"] == code
    assert problem_types.get(body["type"].rpartition("/")[2]).code == body["errorCode"], "the type has no page: see latchpin/problem_types"
    return body


def fields(response: httpx.Response, status: int = 422) -> dict[str, str]:
    """Check that an entry was refused and return its fields with what is said of them."""
    return {each["field"]: each["message"] for each in problem(response, status).get("errors", [])}
