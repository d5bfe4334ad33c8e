"""Clients that nobody here wrote, against the running server, told nothing but the issuer's address.

Authlib's OAuth and OpenID Connect client, the Python MCP SDK's OAuth client, and PyJWT with the published keys.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
import jwt
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from authlib.integrations.starlette_client import OAuth
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.support import certificates
from tests.support.apps import CALLBACK, Apps, Tokens
from tests.support.consenting import Consenting
from tests.support.documents import RSA_KEY, published
from tests.support.people import Organization
from tests.support.server import Server


@pytest.fixture
def apps(organization: Organization) -> Apps:
    """Apps of an organization that has one agent."""
    organization.agent("Book prices")
    return Apps(organization)


def test_authlib_signs_a_user_in_with_openid_connect(apps: Apps) -> None:
    """A web app with Authlib's own flow: discovery, PKCE, nonce, ID token, userinfo, and a call of the API."""
    organization = apps.organization
    app = apps.register(confidential=True, redirect_uris=("https://testserver/callback",), auth_method="client_secret_basic")
    web = _authlib_app(organization.server.url, app.client_id, app.secret or "")

    with TestClient(web, base_url="https://testserver", follow_redirects=False) as browser:
        away = browser.get("/sign-in").headers["location"]
        back = Consenting(organization.server, organization.admin).authorize(away)
        signed_in = browser.get(back.removeprefix("https://testserver")).json()

    assert signed_in["userinfo"]["sub"] == str(organization.admin.id)
    assert signed_in["userinfo"]["email"] == organization.admin.email
    assert signed_in["agents"] == ["Book prices"]


def _authlib_app(issuer: str, client_id: str, client_secret: str) -> Starlette:
    oauth = OAuth()
    oauth.register(
        "latchpin",
        client_id=client_id,
        client_secret=client_secret,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile email agents:read", "code_challenge_method": "S256", "trust_env": False},
    )

    async def sign_in(request: Request) -> Response:
        response: Response = await oauth.latchpin.authorize_redirect(request, "https://testserver/callback")
        return response

    async def callback(request: Request) -> Response:
        token = await oauth.latchpin.authorize_access_token(request)
        agents = (await oauth.latchpin.get(f"{issuer}/api/v1/agent/all", token=token)).json()
        return JSONResponse({"userinfo": token["userinfo"], "agents": [each["name"] for each in agents]})

    routes = [Route("/sign-in", sign_in), Route("/callback", callback)]
    return Starlette(routes=routes, middleware=[Middleware(SessionMiddleware, secret_key="only for this test")])


def test_authlib_trades_a_code_and_refreshes(apps: Apps) -> None:
    """The plain OAuth client: PKCE, a refresh token, and its rotation."""
    issuer, app = apps.server.url, apps.register()
    metadata = apps.server.http.get("/.well-known/oauth-authorization-server").json()
    with OAuth2Client(app.client_id, scope="agents:read offline_access", redirect_uri=CALLBACK, trust_env=False) as client:
        client.code_challenge_method = "S256"
        verifier = "v" * 64
        address, _ = client.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)
        back = Consenting(apps.server, apps.organization.admin).authorize(address)
        first = client.fetch_token(metadata["token_endpoint"], authorization_response=back, code_verifier=verifier)
        second = client.refresh_token(metadata["token_endpoint"], first["refresh_token"])

        assert second["refresh_token"] != first["refresh_token"]
        assert client.get(f"{issuer}/api/v1/agent/all").json()[0]["name"] == "Book prices"


def test_authlib_sends_its_request_ahead(apps: Apps) -> None:
    """Authlib makes the request, proves its app and takes the answer; the browser carries the reference alone (RFC 9126)."""
    issuer, app = apps.server.url, apps.register(confidential=True, auth_method="client_secret_basic", require_pushed=True)
    metadata = apps.server.http.get("/.well-known/oauth-authorization-server").json()
    with OAuth2Client(app.client_id, app.secret, scope="agents:read", redirect_uri=CALLBACK, trust_env=False) as client:
        client.code_challenge_method = "S256"
        verifier = "v" * 64
        whole, state = client.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)
        ahead = client.post(
            metadata["pushed_authorization_request_endpoint"],
            data=dict(parse_qsl(urlsplit(whole).query)),
            auth=client.client_auth(client.token_endpoint_auth_method),
        )
        query = urlencode({"client_id": app.client_id, "request_uri": ahead.json()["request_uri"]})
        back = Consenting(apps.server, apps.organization.admin).authorize(f"{metadata['authorization_endpoint']}?{query}")
        client.fetch_token(metadata["token_endpoint"], authorization_response=back, code_verifier=verifier, state=state)

        assert ahead.status_code == 201
        assert client.get(f"{issuer}/api/v1/agent/all").json()[0]["name"] == "Book prices"


def test_authlib_gets_a_token_for_a_service(apps: Apps) -> None:
    """client_credentials with HTTP Basic, the library's default."""
    app = apps.register(
        confidential=True, auth_method="client_secret_basic", grant_types=("client_credentials",), redirect_uris=(), scopes=("agents:read",)
    )
    with OAuth2Client(app.client_id, app.secret, trust_env=False) as client:
        client.fetch_token(f"{apps.server.url}/api/oauth/token", grant_type="client_credentials")

        assert client.get(f"{apps.server.url}/api/v1/agent/all").status_code == 200


def test_authlib_proves_itself_with_a_key_at_every_endpoint(apps: Apps) -> None:
    """Its own assertions as they are by default: an hour long, for the address of the request."""
    keys = json.dumps({"keys": [RSA_KEY.as_dict(private=False)]})
    app = apps.register(
        auth_method="private_key_jwt", grant_types=("client_credentials",), redirect_uris=(), scopes=("agents:read",), jwks=keys
    )
    metadata = apps.server.http.get("/.well-known/oauth-authorization-server").json()
    secret = RSA_KEY.as_pem(private=True)
    with OAuth2Client(app.client_id, secret, token_endpoint_auth_method="private_key_jwt", trust_env=False) as client:
        client.register_client_auth_method(PrivateKeyJWT())
        token = client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
        own = client.client_auth("private_key_jwt")
        introspection = client.post(metadata["introspection_endpoint"], data={"token": token["access_token"]}, auth=own).json()
        revoked = client.post(metadata["revocation_endpoint"], data={"token": token["access_token"]}, auth=own)

        assert introspection["active"] is True
        assert revoked.status_code == 200, revoked.text
        assert client.get(f"{apps.server.url}/api/v1/agent/all").status_code == 401


def test_authlib_revokes_a_token_by_the_method_that_it_chooses(apps: Apps) -> None:
    """An app that sends its secret in the form: for revocation the library takes HTTP Basic, whatever it was told for tokens."""
    app = apps.service("agents:read")
    method = "client_secret_post"
    with OAuth2Client(app.client_id, app.secret, token_endpoint_auth_method=method, trust_env=False) as client:
        token = client.fetch_token(f"{apps.server.url}/api/oauth/token", grant_type="client_credentials")
        revoked = client.revoke_token(f"{apps.server.url}/api/oauth/revoke", token["access_token"])

        assert revoked.status_code == 200, revoked.text
        assert client.get(f"{apps.server.url}/api/v1/agent/all").status_code == 401


@dataclass
class _Kept:
    """Where the MCP client keeps what it has."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None
    answers: list[str] = field(default_factory=list)

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def _mcp_provider(organization: Organization, storage: _Kept, **more: Any) -> OAuthClientProvider:
    person = Consenting(organization.server, organization.admin)

    async def redirect(address: str) -> None:
        storage.answers.append(await asyncio.to_thread(person.authorize, address))

    async def callback() -> AuthorizationCodeResult:
        params = parse_qs(urlsplit(storage.answers[-1]).query)
        return AuthorizationCodeResult(code=params["code"][0], state=params["state"][0], iss=params["iss"][0])

    metadata = OAuthClientMetadata(
        client_name="MCP client",
        redirect_uris=[AnyUrl("http://127.0.0.1:3030/callback")],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    return OAuthClientProvider(f"{organization.server.url}/api/v1", metadata, storage, redirect, callback, **more)


async def _ask(organization: Organization, provider: OAuthClientProvider) -> list[str]:
    async with httpx2.AsyncClient(auth=provider, timeout=30, trust_env=False) as client:
        response = await client.get(f"{organization.server.url}/api/v1/agent/all")
        assert response.status_code == 200, response.text
        return [each["name"] for each in response.json()]


@pytest.fixture
def kept() -> _Kept:
    """The MCP client's storage, empty."""
    return _Kept()


@pytest.mark.anyio
async def test_the_mcp_client_finds_everything_registers_itself_and_is_let_in(apps: Apps, kept: _Kept) -> None:
    """From the 401's `resource_metadata` to metadata, dynamic registration, resource indicator, PKCE, `iss`, token and call."""
    assert await _ask(apps.organization, _mcp_provider(apps.organization, kept)) == ["Book prices"]
    assert kept.client is not None
    assert kept.tokens is not None


@pytest.mark.anyio
async def test_the_mcp_client_refreshes_what_it_kept(apps: Apps, kept: _Kept) -> None:
    """With a kept refresh token and no access token, nobody is asked again."""
    provider = _mcp_provider(apps.organization, kept)
    await _ask(apps.organization, provider)
    assert kept.tokens is not None
    assert kept.tokens.refresh_token
    before = kept.tokens.refresh_token
    provider.context.token_expiry_time = 1.0

    assert await _ask(apps.organization, provider) == ["Book prices"]
    assert kept.tokens.refresh_token != before
    assert len(kept.answers) == 1


@pytest.mark.anyio
async def test_the_mcp_client_asks_for_all_that_metadata_lists_and_gets_what_its_app_may(apps: Apps, kept: _Kept) -> None:
    """An app that an administrator limited to one scope: the client takes its scopes from our documents, not from its registration."""
    address = "http://127.0.0.1:3030/callback"
    limited = apps.register(application_type="native", redirect_uris=(address,), scopes=("agents:read",))
    kept.client = OAuthClientInformationFull(
        client_id=limited.client_id, redirect_uris=[AnyUrl(address)], token_endpoint_auth_method="none", issuer=apps.server.url
    )

    assert await _ask(apps.organization, _mcp_provider(apps.organization, kept)) == ["Book prices"]
    assert kept.tokens is not None
    assert kept.tokens.scope == "agents:read offline_access"


@pytest.mark.anyio
async def test_the_mcp_client_is_known_by_its_metadata_document(
    serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: _Kept
) -> None:
    """An https address as client_id: nothing is registered, the document is fetched over TLS and read."""
    tls, trusted = certificates.loopback(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    organization = Organization(serve(client_documents_private=True))
    organization.agent("Book prices")
    with published(tls=tls) as publisher:
        about_itself: dict[str, Any] = {"redirect_uris": ["http://127.0.0.1:3030/callback"], "token_endpoint_auth_method": "none"}
        client_id = publisher.client("/mcp.json", client_name="MCP client", **about_itself)

        assert await _ask(organization, _mcp_provider(organization, kept, client_metadata_url=client_id)) == ["Book prices"]

        assert kept.client is not None
        assert kept.client.client_id == client_id
        assert publisher.asked == ["/mcp.json"]


def test_pyjwt_verifies_a_token_with_the_published_keys(apps: Apps) -> None:
    """Any JWT library needs the issuer's address and nothing else."""
    tokens: Tokens = apps.tokens(apps.register())
    metadata = apps.server.http.get("/.well-known/oauth-authorization-server").json()
    keys = jwt.PyJWKClient(metadata["jwks_uri"])

    claims = jwt.decode(
        tokens.access,
        keys.get_signing_key_from_jwt(tokens.access),
        algorithms=["RS256"],
        issuer=metadata["issuer"],
        audience=metadata["issuer"],
        options={"require": ["exp", "iat", "iss", "sub", "aud", "jti"]},
    )

    assert claims["sub"] == str(apps.organization.admin.id)
    assert claims["spaces"] == []
