"""Apps that are known by the address of their metadata document (draft-ietf-oauth-client-id-metadata-document)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit.clock import Frozen
from latchpin.oauth import client_admin, documents, registration
from latchpin.storage.models import OAuthClient
from latchpin.storage.models.oauth_client import ClientSource
from tests.support.apps import App, Apps
from tests.support.authorizing import Journey
from tests.support.documents import EC_KEY, RSA_KEY, Page, Publisher, published
from tests.support.nodes import node
from tests.support.people import Organization
from tests.support.plain_http import PLAIN
from tests.support.server import Server

AUTHORIZE = "/api/oauth/authorize"
METADATA = "/.well-known/oauth-authorization-server"
CALLBACK = "https://far.example/callback"
Serve = Callable[..., Server]


class Far:
    """An app that publishes its document, and a deployment that lets it come from the loopback address."""

    def __init__(self, server: Server, publisher: Publisher) -> None:
        self.server, self.publisher = server, publisher
        self.organization = Organization(server)

    def authorize(self, client_id: str, redirect_uri: str = CALLBACK) -> httpx.Response:
        """Begin an authorization; who is taken for an app is sent to sign in."""
        params = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "code_challenge": "c" * 43,
            "code_challenge_method": "S256",
        }
        return self.server.http.get(AUTHORIZE, params=params)

    def is_let(self, client_id: str, redirect_uri: str = CALLBACK) -> bool:
        """Whether the app is taken for one."""
        response = self.authorize(client_id, redirect_uri)
        assert response.status_code in (303, 400), response.text
        return response.status_code == 303

    def why(self, client_id: str) -> str:
        """Return why an app is not taken for one."""
        response = self.authorize(client_id)
        assert response.status_code == 400, response.text
        assert "location" not in response.headers
        return str(response.json()["error_description"])

    def row(self, client_id: str) -> OAuthClient | None:
        """Return what the database has."""

        async def work(session: AsyncSession) -> OAuthClient | None:
            client = await session.scalar(select(OAuthClient).where(OAuthClient.client_id == client_id))
            if client is not None:
                session.expunge(client)
            return client

        return self.organization.write(work)

    def app(self, client_id: str) -> App:
        """Return the app as the tests' short ways know it."""
        assert self.is_let(client_id)
        row = self.row(client_id)
        assert row is not None
        return App(row.id, client_id)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """Where apps publish."""
    with published() as document_server:
        yield document_server


@pytest.fixture
def far(serve: Serve, publisher: Publisher) -> Far:
    """A deployment of the test's own."""
    return Far(serve(client_documents_private=True), publisher)


def test_an_app_is_known_by_its_document(far: Far) -> None:
    """It gets a code, tokens, and calls the API, and it never registered."""
    client_id = far.publisher.client(client_name="Far app")
    apps, app = Apps(far.organization), far.app(client_id)
    far.organization.agent("Book prices")

    tokens = apps.tokens(app, redirect_uri=CALLBACK)
    refreshed = apps.refresh(app, tokens.refresh)

    assert [each["name"] for each in apps.get("/agent/all", tokens).json()] == ["Book prices"]
    assert refreshed.status_code == 200, refreshed.text
    row = far.row(client_id)
    assert row is not None
    assert (row.source, row.name, row.organization_id) == (ClientSource.DOCUMENT, "Far app", None)


def test_metadata_says_that_documents_are_taken(far: Far, serve: Serve) -> None:
    """And where they are not, none is fetched (security.md 81)."""
    client_id = far.publisher.client()
    closed = Far(serve(client_documents=False, client_documents_private=True), far.publisher)

    assert far.server.http.get(METADATA).json()["client_id_metadata_document_supported"] is True
    assert closed.server.http.get(METADATA).json()["client_id_metadata_document_supported"] is False
    assert "unknown" in closed.why(client_id)
    assert far.publisher.asked == []


@pytest.mark.parametrize(
    "client_id",
    [
        "https://far.example",
        "https://far.example/",
        "https://far.example?path=/app.json",
        "https://far.example/app.json#fragment",
        "https://far.example/app.json#",
        "https://user@far.example/app.json",
        "https://user:password@far.example/app.json",
        "https://@far.example/app.json",
        "https://far.example/./app.json",
        "https://far.example/a/../app.json",
        "https://far.example/a/..",
        "https://far.example/a/%2e%2e/app.json",
        "https://far.example/%2E/app.json",
        "https://far.example/a/.%2e/app.json",
        "https://far.example/app json",
        "https://far.example/app\\json",
        "https://far.example/äpp.json",
        "https://FAR.example/app.json",
        "https://far.example:port/app.json",
        "https:///app.json",
        "https://[::1/app.json",
        "https://far.example/" + "a" * 500,
    ],
)
def test_an_address_that_cannot_be_a_document_is_refused(server: Server, publisher: Publisher, client_id: str) -> None:
    """No path, a fragment, a user, dot segments in any writing (security.md 68)."""
    assert "client_id" in Far(server, publisher).why(client_id)


@pytest.mark.parametrize(
    "client_id", ["http://far.example/app.json", "HTTPS://far.example/app.json", "ftp://far.example/a", "//far.example/a"]
)
def test_an_address_that_is_not_https_is_no_document(server: Server, publisher: Publisher, client_id: str) -> None:
    """It is an unknown client like any other (security.md 68)."""
    assert "unknown" in Far(server, publisher).why(client_id)


@pytest.mark.parametrize(
    "client_id",
    ["https://far.example/app.json", "https://far.example:8443/a/b?c=d", "https://far.example/..a/b.", "https://far.example/a//b"],
)
def test_sound_addresses_are_sound(client_id: str) -> None:
    """A port, a query and unusual segments are no fault."""
    assert documents.client_id_problem(client_id) is None


def test_private_addresses_are_refused(server: Server, publisher: Publisher) -> None:
    """A deployment without the setting for development connects to none (security.md 71)."""
    far = Far(server, publisher)

    reasons = [
        far.why(f"https://{host}/app.json") for host in (f"127.0.0.1:{publisher.port}", f"localhost:{publisher.port}", "169.254.169.254")
    ]

    assert all("no public address" in each for each in reasons)
    assert publisher.asked == []


def test_a_document_must_name_its_own_address(far: Far) -> None:
    """One character more, less, or other, and it is somebody else's (security.md 69)."""
    own = f"{far.publisher.url}/app.json"
    client_ids = [
        own + "x",
        own + "/",
        own + "?",
        own + "%20",
        own[:-1],
        own.replace("app", "App"),
        own.replace("http", "https"),
        " " + own,
    ]

    for each in client_ids:
        assert "the very address" in far.why(far.publisher.client(client_id=each))
    assert far.row(own) is None


def test_a_document_must_be_whole(far: Far) -> None:
    """Without its name or addresses nobody could be asked (security.md 69)."""
    for member in ("client_id", "client_name", "redirect_uris"):
        assert member in far.why(far.publisher.client(without=member))


_SECRETS: list[dict[str, Any]] = [
    {"client_secret": "hidden"},
    {"client_secret": ""},
    {"client_secret_expires_at": 0},
    {"token_endpoint_auth_method": "client_secret_post"},
    {"token_endpoint_auth_method": "client_secret_basic"},
    {"token_endpoint_auth_method": "client_secret_jwt"},
    {"token_endpoint_auth_method": "tls_client_auth"},
    {"token_endpoint_auth_method": "private_key_jwt"},
    {"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}},
    {"jwks": {"keys": [EC_KEY.as_dict(private=True)]}},
    {"jwks": {"keys": [RSA_KEY.as_dict(private=False)]}, "jwks_uri": "https://far.example/keys"},
]


def test_a_document_holds_no_secret(far: Far) -> None:
    """Everybody can read it: no secret, no method that needs one, no symmetric or private key (security.md 72)."""
    wrongly_let = [metadata for metadata in _SECRETS if far.is_let(far.publisher.client(**metadata))]

    assert wrongly_let == []
    assert far.is_let(far.publisher.client())


_UNSOUND: list[dict[str, Any]] = [
    {"client_name": " "},
    {"client_name": ["Far app"]},
    {"client_name": "two\nlines"},
    {"redirect_uris": []},
    {"redirect_uris": ["http://far.example/callback"]},
    {"redirect_uris": ["javascript:alert(1)"]},
    {"redirect_uris": "https://far.example/callback"},
    {"redirect_uris": [CALLBACK, "https://far.example/#"]},
    {"grant_types": ["client_credentials"]},
    {"response_types": ["token"]},
    {"scope": "everything"},
    {"require_pushed_authorization_requests": "true"},
    {"dpop_bound_access_tokens": "yes"},
]


def test_an_unsound_document_is_refused(far: Far) -> None:
    """By the same rules as every app's addresses (security.md 6)."""
    wrongly_let = [metadata for metadata in _UNSOUND if far.is_let(far.publisher.client(**metadata))]

    assert wrongly_let == []
    assert far.is_let(far.publisher.client())


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_document_can_bind_its_app_to_more(far: Far, clock: Frozen) -> None:
    """To requests sent ahead and tokens with proof of a key, until it says otherwise (security.md 89)."""
    client_id = far.publisher.client(require_pushed_authorization_requests=True, dpop_bound_access_tokens=True)
    app = far.app(client_id)
    row = far.row(client_id)
    assert row is not None
    assert (row.require_pushed, row.dpop_bound) == (True, True)
    journey = Journey(Apps(far.organization), app, far.organization.admin, redirect_uri=CALLBACK)
    with closing(journey.browser.http):
        assert journey.ask().status_code == 400
        assert "wants to act for" in journey.go_on(journey.pushed()).text

        far.publisher.client()
        clock.advance(timedelta(hours=1, seconds=1))

        assert "wants to act for" in journey.ask().text


def test_what_a_document_says_for_other_servers_is_passed_over(far: Far) -> None:
    """One document serves many; service rights are still given by administrators only, and a logo is not fetched (security.md 76)."""
    client_id = far.publisher.client(
        grant_types=["authorization_code", "client_credentials", "urn:example:other"], logo_uri=f"{far.publisher.url}/logo.png"
    )

    app = far.app(client_id)

    assert Apps(far.organization).own(app).json()["error"] == "unauthorized_client"
    assert far.publisher.asked == ["/app.json"]


def test_a_document_fetch_follows_no_redirect(far: Far) -> None:
    """And takes 200, JSON and 5 KB only (security.md 70)."""
    sound = far.publisher.client("/sound.json")
    far.publisher.pages["/moved.json"] = Page(b"{}", 302, {"Location": sound, "Content-Type": "application/json"})
    far.publisher.pages["/page.json"] = Page(far.publisher.pages["/sound.json"].body, headers={"Content-Type": "text/html"})
    long = far.publisher.client("/long.json", software_id="x" * 5000)

    reasons = [far.why(far.publisher.url + path) for path in ("/moved.json", "/page.json", "/gone.json")] + [far.why(long)]

    assert ["302" in reasons[0], "content type" in reasons[1], "404" in reasons[2], "longer" in reasons[3]] == [True] * 4
    assert far.publisher.asked.count("/sound.json") == 0


def test_a_document_is_kept_as_its_server_says_within_bounds(far: Far, clock: Frozen) -> None:
    """Five minutes at least, a day at most, an hour where nothing is said (security.md 73)."""
    lifetimes = {None: 3600, "max-age=600": 600, "max-age=0": 300, "no-store": 300, "max-age=1": 300, "max-age=999999": 86400}

    for number, (cache, fresh) in enumerate(lifetimes.items()):
        client_id, path = far.publisher.client(f"/{number}.json", cache=cache), f"/{number}.json"
        far.is_let(client_id)
        clock.advance(timedelta(seconds=fresh - 1))
        far.is_let(client_id)
        within = far.publisher.asked.count(path)
        clock.advance(timedelta(seconds=7))
        far.is_let(client_id)

        assert (cache, within, far.publisher.asked.count(path)) == (cache, 1, 2)


def test_what_is_refused_is_not_kept(far: Far) -> None:
    """Once its app has mended it, a document counts with the next request (security.md 73)."""
    client_id = far.publisher.client(without="redirect_uris")
    refused = far.is_let(client_id)
    far.publisher.pages["/app.json"] = Page(b"{}", 500)
    failed = far.is_let(client_id)
    far.publisher.client()

    assert (refused, failed, far.is_let(client_id)) == (False, False, True)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_another_version_of_an_app_asks_for_consent_again(far: Far, clock: Frozen) -> None:
    """The consent was for the app as it was (security.md 73)."""
    client_id, key = far.publisher.client(), RSA_KEY.as_dict(private=False)
    first = far.app(client_id)
    versions = []
    changes: list[dict[str, Any]] = [
        {"redirect_uris": [CALLBACK, "https://far.example/another"]},
        {"jwks_uri": "https://far.example/keys"},
        {"jwks": {"keys": [key]}},
        {"jwks": {"keys": [EC_KEY.as_dict(private=False), key]}},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [EC_KEY.as_dict(private=False), key]}},
        {"client_name": "Farther app"},
    ]
    for change in changes:
        far.publisher.client(**change)
        clock.advance(timedelta(hours=2))
        assert far.app(client_id) == first
        versions.append(getattr(far.row(client_id), "version", None))

    assert versions == [2, 3, 4, 5, 6, 7]


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_the_same_document_or_what_nobody_sees_asks_nobody_again(far: Far, clock: Frozen) -> None:
    """Nothing changed of what was consented to (security.md 73)."""
    client_id = far.publisher.client()
    far.app(client_id)
    clock.advance(timedelta(hours=2))
    far.app(client_id)
    far.publisher.client(dpop_bound_access_tokens=True)
    clock.advance(timedelta(hours=2))
    far.app(client_id)

    row = far.row(client_id)
    assert row is not None
    assert (row.version, row.dpop_bound, len(far.publisher.asked)) == (1, True, 3)


def test_an_address_that_left_the_document_is_no_longer_let(far: Far, clock: Frozen) -> None:
    """With the first request after the document was fetched again."""
    client_id = far.publisher.client(redirect_uris=[CALLBACK, "https://far.example/old"])
    before = far.is_let(client_id, "https://far.example/old")
    far.publisher.client()
    clock.advance(timedelta(hours=2))

    assert (before, far.is_let(client_id, "https://far.example/old"), far.is_let(client_id)) == (True, False, True)


def test_an_app_stays_for_a_day_while_its_document_cannot_be_reached(far: Far, clock: Frozen) -> None:
    """Its server's trouble is not its users'; it is asked again once a minute."""
    client_id = far.publisher.client()
    far.is_let(client_id)
    far.publisher.pages["/app.json"] = Page(b"{}", 503)
    clock.advance(timedelta(hours=2))

    stays = [far.is_let(client_id) for _ in range(3)]
    fetches = len(far.publisher.asked)
    clock.advance(timedelta(minutes=2))
    stays.append(far.is_let(client_id))
    later_fetches = len(far.publisher.asked)
    clock.advance(timedelta(hours=24))

    assert stays == [True] * 4
    assert (fetches, later_fetches) == (2, 3)
    assert not far.is_let(client_id)


def test_an_app_ends_with_its_document(far: Far, clock: Frozen) -> None:
    """Gone, or not its own any more: nothing is served from memory."""
    for number, page in enumerate((Page(b"{}", 404), Page(b"{}", 410), Page(json.dumps({"client_id": "another"}).encode()))):
        client_id = far.publisher.client(f"/{number}.json")
        assert far.is_let(client_id)
        far.publisher.pages[f"/{number}.json"] = page
        clock.advance(timedelta(hours=2))

        assert not far.is_let(client_id)


def test_no_document_undoes_a_revocation(far: Far, clock: Frozen) -> None:
    """A revoked app stays revoked, and its document is not even fetched; a purge does not bring it back."""
    client_id = far.publisher.client()
    app = far.app(client_id)

    async def revoke(session: AsyncSession) -> None:
        row = await session.get(OAuthClient, app.pk)
        assert row is not None
        await client_admin.revoke(session, row, by=far.organization.admin.actor)

    far.organization.write(revoke)
    refused = far.is_let(client_id)
    clock.advance(timedelta(days=60))
    far.organization.write(registration.purge_expired)

    assert (refused, far.is_let(client_id), len(far.publisher.asked)) == (False, False, 1)


def test_many_who_name_a_document_at_once_cause_one_fetch(far: Far) -> None:
    """Who comes meanwhile waits for the same answer (security.md 74)."""
    client_id = far.publisher.client()

    async def all_() -> list[int]:
        async with httpx.AsyncClient(base_url=far.server.url, trust_env=False, verify=PLAIN, timeout=20) as http:
            params = {"client_id": client_id, "redirect_uri": CALLBACK, "response_type": "code"}
            responses = await asyncio.gather(*(http.get(AUTHORIZE, params=params) for _ in range(20)))
            return [each.status_code for each in responses]

    assert set(asyncio.run(all_())) == {303}
    assert far.publisher.asked == ["/app.json"]


def test_two_nodes_that_meet_a_document_at_once_know_one_app(far: Far) -> None:
    """Whoever comes second takes what the first has written."""
    release = threading.Event()
    client_id = far.publisher.client()
    far.publisher.pages["/app.json"].wait = release

    with node(far.server) as other, ThreadPoolExecutor(2) as pool:
        params = {"client_id": client_id, "redirect_uri": CALLBACK, "response_type": "code"}
        futures = [pool.submit(http.get, AUTHORIZE, params=params) for http in (far.server.http, other)]
        far.publisher.wait_for(2)
        release.set()
        statuses = [each.result().status_code for each in futures]

    assert statuses == [303, 303]
    assert far.row(client_id) is not None


def test_an_address_can_cause_so_many_fetches(far: Far) -> None:
    """Then it waits, while those who use known apps do not (security.md 74)."""
    client_id = far.publisher.client()
    far.is_let(client_id)

    statuses = [far.authorize(f"{far.publisher.url}/none-{number}.json").status_code for number in range(25)]

    assert statuses[-1] == 429
    assert len(far.publisher.asked) <= 20
    assert far.is_let(client_id)


def test_so_many_apps_are_known_by_documents(serve: Serve, publisher: Publisher, clock: Frozen) -> None:
    """And unused ones leave after a day, so that the room is not taken for good (security.md 74, 78)."""
    far = Far(serve(client_documents_private=True, registration_most=2), publisher)
    first, second, third = (publisher.client(f"/{number}.json") for number in range(3))
    apps = Apps(far.organization)
    apps.tokens(far.app(first), redirect_uri=CALLBACK)
    far.is_let(second)

    full = far.authorize(third)
    clock.advance(timedelta(hours=25))
    far.organization.write(registration.purge_expired)

    assert (full.status_code, full.json()["error"]) == (503, "temporarily_unavailable")
    assert far.is_let(third)
    assert (far.row(first) is None, far.row(second) is None) == (False, True)


def test_junk_leaves_nothing_behind(far: Far) -> None:
    """No row, whoever names what."""
    for path in ("/a.json", "/b.json"):
        far.is_let(far.publisher.url + path)

    async def work(session: AsyncSession) -> int:
        return await session.scalar(select(func.count()).where(OAuthClient.source == ClientSource.DOCUMENT)) or 0

    assert far.organization.write(work) == 0


def test_a_local_program_may_use_any_port(far: Far) -> None:
    """By the name localhost too, which apps that are known by documents get (security.md 4, 5)."""
    client_id = far.publisher.client(redirect_uris=["http://localhost/callback", "http://127.0.0.1/callback"])

    assert far.is_let(client_id, "http://localhost:33418/callback")
    assert far.is_let(client_id, "http://127.0.0.1:33418/callback")
    assert not far.is_let(client_id, "http://localhost:33418/other")
