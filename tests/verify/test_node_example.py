"""The lines for Node in docs/howto/verify-tokens.md, run by Node as they stand but for the issuer's address (security.md 41, 45 to 48)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from latchpin.kit.clock import Frozen
from latchpin.oauth.endpoints.token import PATH as TOKEN
from tests.conftest import missing
from tests.support.apps import App, Apps
from tests.support.proofs import Prover
from tests.support.tokens import claims
from tests.verify.conftest import IDENTIFIER, Resource

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "verify-tokens.md"
# Counts what the example fetches, and answers each text with its claims or with why it was refused.
DRIVER = """
const real = globalThis.fetch;
let fetched = 0;
globalThis.fetch = (...what) => { fetched += 1; return real(...what); };
const { verify } = await import("./verify.mjs");
let input = "";
for await (const part of process.stdin) input += part;
const answers = [];
for (const text of JSON.parse(input)) {
  answers.push(await verify(text).then((claims) => ({ claims }), (error) => ({ refused: String(error.message) })));
}
console.log(JSON.stringify({ answers, fetched }));
"""


class Node:
    """The example in a folder of its own; `verify` asks it about texts, each run being a process that knows no keys yet."""

    def __init__(self, folder: Path, issuer: str) -> None:
        node_path = shutil.which("node")
        if node_path is None:
            missing("the example for Node", "there is no node; install Debian's package nodejs")
        self._node, self._folder = str(node_path), folder
        (code,) = [block for block in re.findall(r"```js\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL) if "verify" in block]
        (folder / "verify.mjs").write_text(code.replace("https://latchpin.example", issuer), encoding="utf-8")
        (folder / "driver.mjs").write_text(DRIVER, encoding="utf-8")
        self.fetched = 0

    def verify(self, *texts: str) -> list[dict[str, Any]]:
        """Return `claims` or `refused` for each text."""
        done = subprocess.run(
            [self._node, "driver.mjs"], cwd=self._folder, input=json.dumps(texts), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        output = json.loads(done.stdout)
        self.fetched = output["fetched"]
        results: list[dict[str, Any]] = output["answers"]
        return results


@pytest.fixture
def node(tmp_path: Path, resource: Resource) -> Node:
    """The example, for a partner's API."""
    return Node(tmp_path, resource.issuer)


def test_a_token_for_the_api_is_taken(node: Node, apps: Apps, app: App) -> None:
    """With its claims; the keys are fetched once for many tokens."""
    token = apps.tokens(app, resource=IDENTIFIER, scope="openid runs:read").access

    results = node.verify(token, token, token)

    assert results == [{"claims": claims(token)}] * 3
    assert node.fetched == 1


def test_what_is_no_token_for_the_api_is_refused(node: Node, apps: Apps, app: App) -> None:
    """An ID token, one for our own API, one that was changed, and what is none at all."""
    tokens = apps.tokens(app, resource=IDENTIFIER, scope="openid runs:read")
    head, body, signature = tokens.access.split(".")
    other = apps.tokens(app, resource=IDENTIFIER).access.split(".")

    texts = (
        tokens.answer["id_token"],
        apps.tokens(app).access,
        tokens.access[:-6] + "AAAAAA",
        f"{head}.{other[1]}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{tokens.access}.",
        f" {tokens.access}",
        "junk",
        "a.b.c",
        "",
    )

    assert ["refused" in result for result in node.verify(*texts, tokens.access)] == [True] * len(texts) + [False]


def test_a_token_under_another_key_or_algorithm_is_refused(node: Node, apps: Apps, app: App) -> None:
    """Unsigned, signed with the public key as a password, by a stranger's key under our name, or under a name that nobody knows."""
    token = apps.tokens(app, resource=IDENTIFIER).access
    payload, unverified_header = claims(token), jwt.get_unverified_header(token)
    stranger = rsa.generate_private_key(65537, 2048)
    header = {"typ": "at+jwt", "kid": unverified_header["kid"]}

    forged = [
        jwt.encode(payload, "", algorithm="none", headers=header),
        jwt.encode(payload, "p" * 32, algorithm="HS256", headers=header),
        jwt.encode(payload, stranger, algorithm="RS256", headers=header),
        jwt.encode(payload, stranger, algorithm="RS256", headers={**header, "kid": "unknown"}),
        jwt.encode(payload, stranger, algorithm="RS512", headers=header),
    ]

    assert ["refused" in result for result in node.verify(token, *forged)] == [False] + [True] * len(forged)
    assert node.fetched == 1  # an unknown key is looked for once a minute at most


@pytest.mark.parametrize(("hours", "reason"), [(-1, "expired"), (1, "from the future")])
def test_a_token_of_another_time_is_refused(node: Node, apps: Apps, app: App, clock: Frozen, hours: int, reason: str) -> None:
    """By the clock of the machine that Node runs on."""
    clock.advance(timedelta(hours=hours))

    (result,) = node.verify(apps.tokens(app, resource=IDENTIFIER).access)

    assert result == {"refused": f"invalid token: {reason}"}


def test_a_token_of_another_issuer_is_refused(tmp_path: Path, apps: Apps, app: App, resource: Resource) -> None:
    """Even where the keys are the same: the address must be the very one."""
    other = Node(tmp_path, f"{resource.issuer}/")

    (result,) = other.verify(apps.tokens(app, resource=IDENTIFIER).access)

    assert result == {"refused": "invalid token: of another issuer, or for somebody else"}


def test_a_token_that_is_bound_to_a_key_is_refused(node: Node, apps: Apps) -> None:
    """As a bearer token it is nothing: the example checks no proofs (RFC 9449)."""
    form = {"grant_type": "client_credentials", "resource": IDENTIFIER, **apps.service().proof}
    bound = Prover().send(apps.server.http, "POST", TOKEN, data=form).json()["access_token"]

    (result,) = node.verify(bound)

    assert result == {"refused": "invalid token: bound to a key, so it needs a proof"}
