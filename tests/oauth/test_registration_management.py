"""An app that registered itself looks after its own entry (RFC 7592)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.storage.models import AuditEvent, OAuthClient
from tests.oauth.test_registration import NATIVE, PATH, as_app, register
from tests.support.apps import Apps
from tests.support.people import Organization

CALLBACK = "http://127.0.0.1/callback"


class Entry:
    """One registration as its app sees it."""

    def __init__(self, organization: Organization, **changes: Any) -> None:
        self.organization = organization
        self.http = organization.server.http
        self.made = register(organization.server, **changes).json()
        self.client_id: str = self.made["client_id"]
        self.token: str = self.made["registration_access_token"]

    def call(self, method: str, token: str | None = None, *, client_id: str | None = None, body: Any = None) -> httpx.Response:
        """Call the management endpoint; with "" no token is sent."""
        bearer_token = self.token if token is None else token
        headers = {"Authorization": f"Bearer {bearer_token}"} if bearer_token else {}
        return self.http.request(method, f"{PATH}/{client_id or self.client_id}", headers=headers, json=body)

    def replace(self, **changes: Any) -> httpx.Response:
        """Send the entry whole, with what the test says differently; None leaves a member out."""
        body = {"client_id": self.client_id, **NATIVE, **changes}
        return self.call("PUT", body={name: value for name, value in body.items() if value is not None})

    def row(self) -> OAuthClient:
        """Return what the database has."""

        async def work(session: AsyncSession) -> OAuthClient:
            client = await session.scalar(select(OAuthClient).where(OAuthClient.client_id == self.client_id))
            assert client is not None
            session.expunge(client)
            return client

        return self.organization.write(work)


@pytest.fixture
def entry(organization: Organization) -> Entry:
    """A native app's registration."""
    return Entry(organization)


def test_an_app_reads_its_entry(entry: Entry) -> None:
    """With all that it registered (security.md 80, RFC 7592 section 2.1)."""
    response = entry.call("GET")

    assert response.status_code == 200
    assert response.json() == entry.made
    assert response.headers["cache-control"] == "no-store"


def test_a_secret_is_told_once(organization: Organization) -> None:
    """It is kept as a digest, so reading the entry cannot tell it (security.md 80)."""
    registration = Entry(organization, token_endpoint_auth_method="client_secret_post")

    assert "client_secret" in registration.made
    assert "client_secret" not in registration.call("GET").json()


def test_the_registration_token_is_kept_as_a_digest(entry: Entry) -> None:
    """The database alone opens no entry (security.md 80)."""
    row = entry.row()

    assert row.registration_digest is not None
    assert len(row.registration_digest) == 32
    assert entry.token.encode() not in row.registration_digest
    assert len(entry.token) > 43


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_an_app_replaces_its_entry(entry: Entry) -> None:
    """What it leaves out goes (security.md 80, RFC 7592 section 2.2)."""
    response = entry.replace(client_name="Better app", grant_types=None)

    assert response.status_code == 200, response.text
    assert response.json()["client_name"] == entry.call("GET").json()["client_name"] == "Better app"
    assert response.json()["grant_types"] == ["authorization_code"]
    assert entry.row().version == 2


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_what_an_app_bound_itself_to_it_changes_like_the_rest(entry: Entry) -> None:
    """It counts for the next request; nobody is asked again, since it only narrows (RFC 9126 section 6, RFC 9449 section 5.2)."""
    flags = {"require_pushed_authorization_requests": True, "dpop_bound_access_tokens": True}

    bound = entry.replace(**flags).json()
    assert {name: bound[name] for name in flags} == flags
    assert (entry.row().require_pushed, entry.row().dpop_bound, entry.row().version) == (True, True, 1)

    assert entry.replace().status_code == 200
    assert (entry.row().require_pushed, entry.row().dpop_bound) == (False, False)


@pytest.mark.parametrize("said", [{"redirect_uris": ["http://127.0.0.1/other"]}, {"token_endpoint_auth_method": "client_secret_basic"}])
@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_other_addresses_or_another_proof_ask_every_user_again(entry: Entry, said: dict[str, Any]) -> None:
    """A consent was for what the app was then."""
    assert entry.replace(**said).status_code == 200
    assert entry.row().version == 2


def test_an_app_that_becomes_confidential_gets_a_secret(entry: Entry) -> None:
    """And loses it when it becomes public again."""
    became = entry.replace(token_endpoint_auth_method="client_secret_post").json()
    stays = entry.replace(token_endpoint_auth_method="client_secret_post", client_secret=became["client_secret"])
    public = entry.replace()

    assert (stays.status_code, "client_secret" in stays.json()) == (200, False)
    assert "client_secret" not in public.json()


@pytest.mark.parametrize(
    "said",
    [
        {"client_id": None},
        {"client_id": "app_another"},
        {"client_secret": "chosen by the app itself"},
        {"registration_access_token": "x"},
        {"client_id_issued_at": 1},
        {"grant_types": ["client_credentials"]},
        {"redirect_uris": ["http://partner.example/callback"]},
    ],
)
def test_an_unsound_replacement_changes_nothing(entry: Entry, said: dict[str, Any]) -> None:
    """The same checks as at registration, and those of RFC 7592 section 2.2."""
    response = entry.replace(client_name="Changed", **said)

    assert response.status_code == 400
    assert response.json()["error"] in ("invalid_client_metadata", "invalid_redirect_uri")
    assert entry.call("GET").json() == entry.made


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_change_counts_at_once(entry: Entry) -> None:
    """A code that was made for an old address is still bound to it, and an app that gave up refreshing cannot refresh."""
    apps = Apps(entry.organization)
    app = as_app(entry.organization, entry.client_id)
    tokens = apps.tokens(app, redirect_uri=CALLBACK)

    assert entry.replace(grant_types=["authorization_code"]).status_code == 200

    assert apps.refresh(app, tokens.refresh).json()["error"] == "unauthorized_client"


def test_an_app_removes_itself_with_all_that_users_allowed_it(entry: Entry) -> None:
    """Its tokens end with it (security.md 80, RFC 7592 section 2.3)."""
    apps = Apps(entry.organization)
    app = as_app(entry.organization, entry.client_id)
    tokens = apps.tokens(app, redirect_uri=CALLBACK)

    response = entry.call("DELETE")

    assert (response.status_code, response.content) == (204, b"")
    assert apps.get("/agent/all", tokens).status_code == 401
    assert apps.refresh(app, tokens.refresh).json()["error"] == "invalid_client"
    assert entry.call("GET").status_code == 401


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_nobody_else_looks_after_an_entry(entry: Entry, organization: Organization, method: str) -> None:
    """No token, a wrong one, that of another app, an access token: one and the same answer (security.md 80)."""
    another, apps = Entry(organization), Apps(organization)
    access = apps.tokens(as_app(organization, entry.client_id), redirect_uri=CALLBACK).access
    body = {"client_id": entry.client_id, **NATIVE, "client_name": "Taken over"} if method == "PUT" else None

    responses = [entry.call(method, token, body=body) for token in ("", "wrong", another.token, entry.token[:-1], access)]
    responses.append(entry.call(method, client_id="app_unknown", body=body))
    responses.append(entry.call(method, client_id=apps.register().client_id, body=body))
    responses.append(entry.call(method, client_id="latchpin-control-center", body=body))

    assert {(each.status_code, each.json()["error"]) for each in responses} == {(401, "invalid_token")}
    assert len({each.text for each in responses}) == 1
    assert responses[0].headers["www-authenticate"].startswith("Bearer")
    assert entry.call("GET").json() == entry.made


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_what_an_app_does_with_its_entry_is_in_the_trail(entry: Entry) -> None:
    """Who registered, what changed, when it went; and no secret."""
    entry.replace(token_endpoint_auth_method="client_secret_post")
    entry.call("DELETE")

    async def work(session: AsyncSession) -> list[AuditEvent]:
        pk = await session.scalar(select(OAuthClient.id).where(OAuthClient.client_id == entry.client_id))
        rows = await session.scalars(
            select(AuditEvent).where(AuditEvent.target_kind == "client", AuditEvent.target_id == pk).order_by(AuditEvent.id)
        )
        return list(rows.all())

    events = entry.organization.write(work)

    assert [each.action for each in events] == ["client.created", "client.changed", "client.secret_added", "client.revoked"]
    assert events[0].address == "127.0.0.1"
    assert entry.token not in str([each.changes for each in events])
