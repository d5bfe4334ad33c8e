"""The ASGI middleware, in front of a small application, with a running issuer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import grants
from latchpin.verify import RequireToken, Token, Verifier
from tests.support.apps import App, Apps, Tokens
from tests.verify.conftest import IDENTIFIER, Resource

METADATA = f"{IDENTIFIER}/.well-known/oauth-protected-resource"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the subject of the request's token; /runs needs runs:read, /late begins to answer and then needs it."""
    token: Token | None = scope.get("latchpin.token")
    if scope["path"] == "/late":
        await send({"type": "http.response.start", "status": 200, "headers": []})
    if token is not None and scope["path"] != "/":
        token.require_scope("runs:read")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": token.subject.encode() if token else b"nobody"})


Get = Callable[..., Any]


@pytest.fixture
def get(resource: Resource) -> Get:
    """A way to ask the guarded application, with headers."""
    guarded = RequireToken(
        application,
        resource.verifier,
        scopes=["agents:read"],
        resource_metadata=METADATA,
        api_keys=resource.introspector(),
        public=["/.well-known/oauth-protected-resource"],
    )

    async def ask(path: str, headers: Any = None, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=guarded, client=("192.0.2.7", 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://reports.example") as client:
            return await client.request(more.pop("method", "GET"), path, headers=headers, **more)

    return ask


@pytest.fixture
def tokens(apps: Apps, app: App, resource: Resource) -> Tokens:
    """Tokens for the resource, with agents:read."""
    return apps.tokens(app, resource=IDENTIFIER, scope="agents:read")


async def test_a_sound_token_reaches_the_application(get: Get, tokens: Tokens, apps: Apps) -> None:
    """The application finds the token in its scope; the scheme may be written in any case."""
    for scheme in ("Bearer", "bearer", "BEARER"):
        response = await get("/", {"Authorization": f"{scheme} {tokens.access}"})

        assert (response.status_code, response.text) == (200, str(apps.organization.admin.id))


async def test_without_a_token_the_way_to_one_is_told(get: Get) -> None:
    """401 names the metadata and the scopes, and no error, for nobody made one (security.md 52)."""
    response = await get("/")

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == f'Bearer scope="agents:read", resource_metadata="{METADATA}"'
    assert (await get("/", {"Authorization": "Basic YTpi"})).status_code == 401


async def test_a_bad_token_is_told_as_such(get: Get, tokens: Tokens, apps: Apps, app: App) -> None:
    """Junk, a token for another resource and a changed one get 401 with `invalid_token` (security.md 45, 52)."""
    for text in ("junk", apps.tokens(app).access, tokens.access[:-6] + "AAAAAA"):
        response = await get("/", {"Authorization": f"Bearer {text}"})

        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
        assert f'resource_metadata="{METADATA}"' in response.headers["www-authenticate"]
        assert response.headers["cache-control"] == "no-store"
        assert text not in response.text


async def test_a_missing_scope_is_403_with_all_that_are_needed(get: Get, tokens: Tokens, apps: Apps, app: App) -> None:
    """The middleware's own scopes and those that a route asks for are answered alike (security.md 51)."""
    response = await get("/runs", tokens.header)
    assert response.status_code == 403
    assert response.headers["www-authenticate"].startswith('Bearer error="insufficient_scope"')
    assert 'scope="runs:read"' in response.headers["www-authenticate"]
    assert response.json()["error"] == "insufficient_scope"

    lacking = apps.tokens(app, resource=IDENTIFIER, scope="runs:read")
    response = await get("/", lacking.header)
    assert (response.status_code, 'scope="agents:read"' in response.headers["www-authenticate"]) == (403, True)


@pytest.mark.parametrize("name", ["access_token", "Access_Token", "access%5Ftoken", "%61ccess_token"])
async def test_a_token_in_the_address_is_refused(name: str, get: Get, tokens: Tokens) -> None:
    """Alone and beside a sound header, however it is spelled, it gets 400 and is not used (security.md 53)."""
    for headers in ({}, tokens.header):
        response = await get(f"/?a=1&{name}={tokens.access}", headers)

        assert response.status_code == 400
        assert response.json()["error"] == "invalid_request"


async def test_a_token_in_the_body_or_a_cookie_is_not_looked_at(get: Get, tokens: Tokens) -> None:
    """Only the header counts (security.md 53)."""
    form = await get("/", method="POST", data={"access_token": tokens.access})
    cookie = await get("/", {"Cookie": f"access_token={tokens.access}"})

    assert (form.status_code, cookie.status_code) == (401, 401)


async def test_two_authorization_headers_are_refused(get: Get, tokens: Tokens) -> None:
    """Nobody has to guess which one counts."""
    header = ("Authorization", f"Bearer {tokens.access}")

    assert (await get("/", [header, header])).status_code == 400


async def test_a_public_path_needs_no_token(get: Get) -> None:
    """The metadata document is served to everybody; a path that only begins alike is not."""
    assert (await get("/.well-known/oauth-protected-resource")).text == "nobody"
    assert (await get("/.well-known/oauth-protected-resource/x")).status_code == 401


async def test_an_api_key_is_introspected_with_the_callers_address(get: Get, apps: Apps) -> None:
    """`Authorization: ApiKey` works where an introspector was given, and a key's networks count."""
    key = apps.organization.key(networks=("192.0.2.0/24",))
    elsewhere = apps.organization.key(networks=("198.51.100.0/24",))

    assert (await get("/", key.header)).text == str(apps.organization.admin.id)
    assert (await get("/", elsewhere.header)).status_code == 401


async def test_api_keys_are_unknown_where_nobody_introspects(resource: Resource, apps: Apps) -> None:
    """Without an introspector the scheme is not taken."""
    guarded = RequireToken(application, resource.verifier)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=guarded), base_url="http://reports.example") as client:
        assert (await client.get("/", headers=apps.organization.key().header)).status_code == 401


async def test_with_an_introspector_revocation_counts_at_once(resource: Resource, apps: Apps, app: App) -> None:
    """The next request after the end of the grant is refused (security.md 49)."""
    guarded = RequireToken(application, resource.introspector())
    code = apps.code(app, resource=IDENTIFIER, scope="agents:read")
    header = {"Authorization": f"Bearer {apps.redeem(app, code).json()['access_token']}"}

    async def work(session: AsyncSession) -> None:
        await grants.end(session, code.grant_id, reason="test", by=apps.organization.admin.actor)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=guarded), base_url="http://reports.example") as client:
        assert (await client.get("/", headers=header)).status_code == 200
        apps.organization.write(work)
        assert (await client.get("/", headers=header)).status_code == 401


async def test_without_its_issuer_it_lets_nobody_in(tokens: Tokens) -> None:
    """Where the keys cannot be had, the answer is 503 and says when to try again: never in, and never told that the token is bad."""
    guarded = RequireToken(application, Verifier("http://127.0.0.1:9", audience=IDENTIFIER))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=guarded), base_url="http://reports.example") as client:
        response = await client.get("/", headers=tokens.header)

    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    assert "www-authenticate" not in response.headers


async def test_a_refusal_after_the_answer_has_begun_is_not_hidden(get: Get, tokens: Tokens) -> None:
    """A second answer cannot be sent, so the server is told."""
    with pytest.raises(Exception, match="scope"):
        await get("/late", tokens.header)


async def test_what_is_no_request_passes() -> None:
    """The lifespan of the application is not guarded; a websocket without a token is closed."""
    seen: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        seen.append(message)

    guarded = RequireToken(inner, Verifier("https://latchpin.example", audience=IDENTIFIER))
    await guarded({"type": "lifespan"}, receive, send)
    await guarded({"type": "websocket", "path": "/", "query_string": b"", "headers": []}, receive, send)

    assert seen == ["lifespan", {"type": "websocket.close", "code": 1008}]
