"""HEAD answers as GET does, without the body (RFC 9110 section 9.3.2): API, pages, documents, health."""

from __future__ import annotations

import httpx
import pytest

from latchpin.identity.scopes import Access
from latchpin.oauth.endpoints.token import PATH as TOKEN
from latchpin.oauth.endpoints.userinfo import PATH as USERINFO
from tests.contracts import routes
from tests.contracts.routes import Route
from tests.support.apps import Apps
from tests.support.people import Organization
from tests.support.proofs import Prover
from tests.support.server import Server
from tests.support.signed_in import SignedIn
from tests.support.wire import LIST, audit, raw, statements, until

READABLE = [route for route in routes.every() if route.method == "GET"]
OPEN = (
    "/login",
    "/errors",
    "/errors/conflict",
    "/errors/nothing",
    "/api-docs",
    "/api-docs/openapi.json",
    "/health/live",
    "/health/ready",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource",
    "/api/oauth/certs",
)
PAGES = ("/", "/agents", "/spaces", "/account", "/organization/users", "/organization/apps", "/organization/policy", "/audit", "/nothing")
ITS_OWN = {"date", "x-request-id", "ratelimit", "connection"}


def like(head: httpx.Response, get: httpx.Response) -> None:
    """Check that HEAD told all that GET tells, and sent no body."""
    headers = {name: value for name, value in head.headers.items() if name not in ITS_OWN}

    assert head.content == b""
    assert (head.status_code, headers) == (get.status_code, {name: value for name, value in get.headers.items() if name not in ITS_OWN})
    assert int(head.headers["content-length"]) == len(get.content)


@pytest.fixture(scope="module")
def admin(server: Server) -> SignedIn:
    """An administrator's session."""
    return SignedIn(server, Organization(server).admin)


@pytest.mark.parametrize("route", READABLE, ids=lambda route: route.name)
def test_every_route_that_answers_get_answers_head(admin: SignedIn, route: Route) -> None:
    """The same status and headers, the length of the body among them, and no body."""
    query = route.query(name="Retail", query="price")

    like(admin.request("HEAD", route.filled(), params=query), admin.request("GET", route.filled(), params=query))


@pytest.mark.parametrize("path", OPEN)
def test_what_is_open_to_everybody_answers_head(server: Server, path: str) -> None:
    """Pages, documents and health checks; a load balancer may ask with either."""
    like(server.http.head(path), server.http.get(path))


@pytest.mark.parametrize("path", PAGES)
def test_pages_of_people_answer_head(server: Server, admin: SignedIn, path: str) -> None:
    """With the session, and without it the way to the sign-in page."""
    with server.client() as nobody:
        away = nobody.head(path)

    assert away.content == b""
    assert away.status_code == (404 if path == "/nothing" else 303)
    like(admin.request("HEAD", path), admin.request("GET", path))


def test_head_needs_what_get_needs(organization: Organization, other: Organization) -> None:
    """The same credential, scope and Space; a refusal has no body either."""
    http = organization.server.http
    agent = organization.agent()
    billing = organization.key(access=Access.BILLING_ONLY)
    path = f"/api/v1/agent/{agent}"

    assert http.head(path, headers=organization.key().header).status_code == 200
    for headers, status in ((None, 401), (billing.header, 403), (other.key().header, 404)):
        response = http.head(path, headers=headers)
        assert (response.status_code, response.content) == (status, b"")
    assert 'scope="agents:read"' in http.head(path, headers=billing.header).headers["www-authenticate"]


@pytest.mark.parametrize("path", [LIST, USERINFO])
def test_a_proof_for_head_is_for_head(organization: Organization, path: str) -> None:
    """A token that is bound to a key needs a proof for the method that is sent (RFC 9449 section 4.2), and not for GET."""
    apps, prover, http = Apps(organization), Prover(), organization.server.http
    app = apps.service()
    token = prover.send(http, "POST", TOKEN, data={"grant_type": "client_credentials", **app.proof}).json()["access_token"]

    def status(method: str, proof_method: str) -> int:
        proof = prover.proof(proof_method, f"{organization.server.url}{path}", token)
        return http.request(method, path, headers={"Authorization": f"DPoP {token}", "DPoP": proof}).status_code

    assert status("HEAD", "HEAD") == status("GET", "GET") != 401
    assert status("HEAD", "GET") == status("GET", "HEAD") == 401


def test_head_is_worked_out_once(organization: Organization) -> None:
    """It asks the database as often as GET, counts once against the limit, and the log and the trail say HEAD."""
    key, server = organization.key(), organization.server
    server.http.get(LIST, headers=key.header)

    with statements(server) as of_get:
        before = server.http.get(LIST, headers=key.header)
    with statements(server) as of_head:
        after = server.http.head(LIST, headers=key.header)

    assert len(of_head) == len(of_get)
    left = [int(response.headers["ratelimit"].partition("r=")[2].partition(";")[0]) for response in (before, after)]
    assert left[0] - left[1] == 1
    until(lambda: f'"method":"HEAD","path":"{LIST}"' in server.log.getvalue())
    assert f"HEAD {LIST}" in {row.reason for row in audit(organization, "api_key.used", target_id=key.id)}


def test_nothing_that_changes_things_answers_head(organization: Organization) -> None:
    """A route for POST alone refuses HEAD and does nothing."""
    agent, key = organization.agent(), organization.key()

    response = organization.server.http.head(f"/api/v1/agent/{agent}/archive", headers=key.header)

    assert (response.status_code, response.content, response.headers["allow"]) == (405, b"", "POST")
    assert organization.server.http.get(f"/api/v1/agent/{agent}", headers=key.header).status_code == 200


def test_no_body_follows_a_head_on_the_same_connection(server: Server) -> None:
    """What comes after the headers is the next answer; a body there would be taken for it (request smuggling's other end)."""
    both = b"HEAD /login HTTP/1.1\r\nHost: test\r\n\r\nGET /health/live HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"

    first, _, rest = raw(server, both).partition(b"\r\n\r\n")

    assert first.startswith(b"HTTP/1.1 200 ")
    assert rest.startswith(b"HTTP/1.1 200 ")
    assert rest.endswith(b'{"status":"ok"}')
