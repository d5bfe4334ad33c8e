"""The examples, as they are in examples/, against a running issuer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from fastapi.testclient import TestClient
from sqlalchemy.ext.asyncio import AsyncSession

from examples import verify_fastapi, verify_flask
from latchpin.oauth import client_admin
from tests.support.apps import App, Apps
from tests.support.consenting import Consenting
from tests.support.ports import free_port
from tests.verify.conftest import IDENTIFIER, Resource

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_an_api_takes_tokens_for_itself_only(framework: str, apps: Apps, app: App, resource: Resource) -> None:
    """Each example lets a token for it in, and answers 401, 403 and 400 with the right header where it must (security.md 45, 51, 53)."""
    get: Any
    if framework == "fastapi":
        get = TestClient(verify_fastapi.build(resource.issuer, IDENTIFIER), base_url=IDENTIFIER).get
    else:
        get = httpx.Client(transport=httpx.WSGITransport(app=verify_flask.build(resource.issuer, IDENTIFIER)), base_url=IDENTIFIER).get
    sound = apps.tokens(app, resource=IDENTIFIER, scope="runs:read")
    narrow = apps.tokens(app, resource=IDENTIFIER, scope="agents:read")

    metadata = get("/.well-known/oauth-protected-resource")
    assert metadata.json()["authorization_servers"] == [resource.issuer]
    response = get("/reports", headers=sound.header)
    assert (response.status_code, response.json()["for"]) == (200, str(apps.organization.admin.id))
    anonymous = get("/reports")
    assert anonymous.status_code == 401
    assert f'resource_metadata="{IDENTIFIER}/.well-known/oauth-protected-resource"' in anonymous.headers["www-authenticate"]
    assert "error=" not in anonymous.headers["www-authenticate"]
    elsewhere = get("/reports", headers=apps.tokens(app).header)
    assert (elsewhere.status_code, 'error="invalid_token"' in elsewhere.headers["www-authenticate"]) == (401, True)
    lacking = get("/reports", headers=narrow.header)
    assert (lacking.status_code, 'scope="runs:read"' in lacking.headers["www-authenticate"]) == (403, True)
    assert (get(f"/reports?access_token={sound.access}")).status_code == 400


@contextmanager
def partner(issuer: str, client_id: str, port: int) -> Iterator[httpx.Client]:
    """Run the partner app; yields a browser's client of it that follows no redirect."""
    environ = {**os.environ, "LATCHPIN_ISSUER": issuer, "CLIENT_ID": client_id, "PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "partner_app.py")], env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"Partner app at")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_the_partner_app_asks_with_pkce_and_state(apps: Apps) -> None:
    """Its sign-in link leads to the issuer's authorization endpoint with all that OAuth 2.1 asks for, and a foreign answer is refused."""
    port = free_port()
    app = apps.register(redirect_uris=(f"http://127.0.0.1:{port}/callback",))
    with partner(apps.server.url, app.client_id, port) as browser:
        assert "Sign in with Latchpin" in browser.get("/").text

        target = urlsplit(browser.get("/login").headers["location"])
        params = {name: values[0] for name, values in parse_qs(target.query).items()}
        assert f"{target.scheme}://{target.netloc}{target.path}" == f"{apps.server.url}/api/oauth/authorize"
        assert (params["client_id"], params["code_challenge_method"]) == (app.client_id, "S256")
        assert len(params["code_challenge"]) == 43

        forged = browser.get("/callback", params={"code": "x", "state": "wrong", "iss": apps.server.url})
        assert "does not belong" in forged.text
        browser.get("/login")
        mixed_up = browser.get("/callback", params={"code": "x", "state": "wrong", "iss": "https://other.example"})
        assert "does not belong" in mixed_up.text


def test_the_partner_app_walks_the_whole_way(apps: Apps) -> None:
    """Sign-in, consent, the user's agents, refresh; and after the app's grants were ended it says so and asks for another sign-in."""
    organization, port = apps.organization, free_port()
    person = organization.user()
    organization.agent("Of Grace", owner=person)
    app = apps.register(redirect_uris=(f"http://127.0.0.1:{port}/callback",))
    with partner(apps.server.url, app.client_id, port) as browser:
        back = Consenting(apps.server, person).authorize(browser.get("/login").headers["location"])
        assert browser.get(back).headers["location"] == "/"
        assert "<li>Of Grace</li>" in browser.get("/").text

        assert browser.get("/refresh").headers["location"] == "/"
        assert "<li>Of Grace</li>" in browser.get("/").text

        async def take_back(session: AsyncSession) -> None:
            await client_admin.revoke(session, await client_admin.get(session, organization.id, app.pk), by=organization.admin.actor)

        organization.write(take_back)
        text = browser.get("/").text
        assert "Of Grace" not in text
        assert "Sign in again" in text


def test_the_python_of_the_page_on_verification_works(apps: Apps, app: App, resource: Resource) -> None:
    """The lines with PyJWT in docs/howto/verify-tokens.md, as they stand but for the two addresses (security.md 41, 45, 46)."""
    page = (EXAMPLES.parent / "docs" / "howto" / "verify-tokens.md").read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "import jwt" in block]
    names: dict[str, Any] = {}
    exec(code.replace("https://latchpin.example", resource.issuer), names)  # noqa: S102  our own documentation
    tokens = apps.tokens(app, resource=IDENTIFIER, scope="openid runs:read")

    assert names["verify"](tokens.access)["sub"] == str(apps.organization.admin.id)
    for text in (tokens.answer["id_token"], apps.tokens(app).access, tokens.access[:-6] + "AAAAAA", "junk"):
        with pytest.raises(jwt.PyJWTError):
            names["verify"](text)
