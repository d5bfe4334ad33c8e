"""What readers do themselves between the blocks, by the words of the comments that stand there (tests/support/fenced.py)."""

from __future__ import annotations

import json
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from tests.docs.reader import Reader
from tests.docs.terminal import Terminal
from tests.support import fenced
from tests.support.plain_http import PLAIN

RESOURCE = "https://reports.example"
CALLBACK = "http://127.0.0.1:9000/callback"


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo that runs, with what it printed."""

    url: str
    facts: dict[str, str]

    def administrator(self) -> Reader:
        """Sign in as the demo's administrator."""
        return Reader(self.url, self.facts["admin_email"], self.facts["admin_password"])

    def user(self) -> Reader:
        """Sign in as the demo's ordinary user."""
        return Reader(self.url, self.facts["user_email"], self.facts["user_password"])


Step = Callable[[Terminal, Demo], None]
STEPS: dict[str, Step] = {}


def _step(words: str) -> Callable[[Step], Step]:
    def keep(step: Step) -> Step:
        STEPS[words] = step
        return step

    return keep


@_step("a key in SEQUENTUM_API_KEY")
def _key(terminal: Terminal, demo: Demo) -> None:
    terminal.shell(f"export SEQUENTUM_API_KEY={demo.facts['api_key']}")


@_step("a key in API_KEY")
def _key_to_trade(terminal: Terminal, demo: Demo) -> None:
    terminal.shell(f"API_KEY={demo.facts['api_key']}")


@_step("a deployment")
def _deployment(terminal: Terminal, _demo: Demo) -> None:
    terminal.shell("latchpin init")


@_step("the definition above in book-prices.yaml")
def _definition(terminal: Terminal, _demo: Demo) -> None:
    page = fenced.ROOT / "docs" / "howto" / "write-an-agent.md"
    first = next(block for block in fenced.blocks(page) if block.language == "yaml")
    Path(terminal.directory, "book-prices.yaml").write_text(first.code, encoding="utf-8")


@_step("client_id of the answer in CLIENT_ID")
def _client_id(terminal: Terminal, _demo: Demo) -> None:
    terminal.shell(f"CLIENT_ID={json.loads(terminal.output)['client_id']}")


@_step("code of the address in CODE")
def _code(terminal: Terminal, demo: Demo) -> None:
    match = re.search(r"http\S+", terminal.output)
    assert match, terminal.output
    with demo.user() as reader:
        terminal.shell(f"CODE={_code_of(reader.agree(match[0]))}")


@_step("access_token of the answer in TOKEN, and refresh_token in REFRESH")
def _tokens(terminal: Terminal, _demo: Demo) -> None:
    tokens = json.loads(terminal.output)
    terminal.shell(f"TOKEN={tokens['access_token']} REFRESH={tokens['refresh_token']}")


@_step("refresh_token of the answer in REFRESH")
def _refresh(terminal: Terminal, _demo: Demo) -> None:
    terminal.shell(f"REFRESH={json.loads(terminal.output)['refresh_token']}")


@_step("an API resource, and a token for it in TOKEN")
def _resource_for_shell(terminal: Terminal, demo: Demo) -> None:
    client_id, secret, token = _resource(demo)
    terminal.shell(f"export ISSUER={demo.url} CLIENT_ID={client_id} CLIENT_SECRET={secret} TOKEN={token}")


@_step("an API resource, and a token for it in text")
def _resource_for_python(terminal: Terminal, demo: Demo) -> None:
    client_id, secret, token = _resource(demo)
    terminal.python(f"client_id, client_secret, text = {client_id!r}, {secret!r}, {token!r}")


@_step("an ASGI application in app")
def _application(terminal: Terminal, _demo: Demo) -> None:
    terminal.python("async def app(scope, receive, send): ...")


@_step("client_id, a code and its verifier")
def _code_for_python(terminal: Terminal, demo: Demo) -> None:
    metadata = {"client_name": "Reports", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    metadata["grant_types"] = ["authorization_code", "refresh_token"]
    response = httpx.post(f"{demo.url}/api/oauth/register", json=metadata, trust_env=False, verify=PLAIN)
    client_id, verifier = response.json()["client_id"], secrets.token_urlsafe(48)
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "scope": "agents:read offline_access",
        "state": secrets.token_urlsafe(16),
        "code_challenge": urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    with demo.user() as reader:
        code = _code_of(reader.agree(f"{demo.url}/api/oauth/authorize?{urlencode(query)}"))
    terminal.python(f"client_id, code, verifier = {client_id!r}, {code!r}, {verifier!r}")


@_step("a request with a bound token and its proof")
def _bound_request(terminal: Terminal, demo: Demo) -> None:
    service = _service(demo)
    page = fenced.ROOT / "docs" / "howto" / "bind-tokens.md"
    client = next(block for block in fenced.blocks(page) if block.language == "python")
    terminal.python(client.code)
    terminal.python(f"""
from types import SimpleNamespace
client = Client({demo.url!r})
form = {{"grant_type": "client_credentials", "resource": {RESOURCE!r}}}
text = client.send("POST", "/api/oauth/token", data=form, auth={service!r}).json()["access_token"]
proof = client.proof("GET", {RESOURCE + "/reports"!r}, text)
request = SimpleNamespace(method="GET", path="/reports", headers={{"DPoP": proof}})
""")


def _resource(demo: Demo) -> tuple[str, str, str]:
    """Return client_id and secret of the server of an API resource, and a token that is meant for it."""
    with demo.administrator() as reader:
        existing = [each for each in reader.administer("GET", "/resources") if each["identifier"] == RESOURCE]
        if existing:
            created = {"resource": existing[0], **reader.administer("POST", f"/resources/{existing[0]['id']}/rotate-secret", {})}
        else:
            created = reader.administer("POST", "/resources", {"name": "Reports", "identifier": RESOURCE})
    form = {"grant_type": "client_credentials", "resource": RESOURCE}
    response = httpx.post(f"{demo.url}/api/oauth/token", data=form, auth=_service(demo), trust_env=False, verify=PLAIN)
    return created["resource"]["clientId"], created["clientSecret"], response.json()["access_token"]


def _service(demo: Demo) -> tuple[str, str]:
    body = {
        "name": "Reports job",
        "authMethod": "client_secret_basic",
        "grantTypes": ["client_credentials"],
        "scopes": ["runs:read"],
    }
    with demo.administrator() as reader:
        created = reader.administer("POST", "/apps", body)
    return created["app"]["clientId"], created["clientSecret"]


def _code_of(address: str) -> str:
    return parse_qs(urlsplit(address).query)["code"][0]
