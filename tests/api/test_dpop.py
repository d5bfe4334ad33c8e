"""Access tokens that are bound to a key of the client, at the API (RFC 9449 section 7; security.md 87)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.support.apps import TOKEN, App, Apps
from tests.support.people import Organization
from tests.support.proofs import Prover, of_each_algorithm
from tests.support.server import Server
from tests.support.tokens import claims

Serve = Callable[..., Server]
LIST = "/api/v1/agent/all"
PROVERS = of_each_algorithm()


@dataclass
class Client:
    """A service with a key, and a token that is bound to it."""

    organization: Organization
    app: App
    prover: Prover
    token: str

    @property
    def server(self) -> Server:
        """Where it calls."""
        return self.organization.server

    @property
    def url(self) -> str:
        """The address that it calls."""
        return self.server.url + LIST

    def proof(self, **changed: Any) -> str:
        """Return a proof for a GET of the list with the token, sound but for what the test says."""
        return self.prover.proof("GET", self.url, self.token, **changed)

    def get(self, proof: str | None, *, scheme: str = "DPoP", http: httpx.Client | None = None, **headers: str) -> httpx.Response:
        """Ask for the list once with a proof, or with none."""
        sent = {"Authorization": f"{scheme} {self.token}", **headers} | ({"DPoP": proof} if proof is not None else {})
        return (http or self.server.http).get(LIST, headers=sent)


def bound(organization: Organization, prover: Prover | None = None) -> Client:
    """Register a service, and get a token for its key; the prover knows the server's nonce then."""
    apps, key = Apps(organization), prover or Prover()
    app = apps.service()
    answer = key.send(organization.server.http, "POST", TOKEN, data={"grant_type": "client_credentials", **app.proof})
    assert answer.status_code == 200, answer.text
    return Client(organization, app, key, str(answer.json()["access_token"]))


@pytest.fixture
def client(organization: Organization) -> Client:
    """A service with a bound token."""
    return bound(organization)


def told(answer: httpx.Response) -> tuple[int, str, str]:
    """Return what a refusal says: status, error code, and the error of the header, which is of the scheme DPoP."""
    (challenge,) = answer.headers.get_list("www-authenticate")
    assert challenge.startswith('DPoP realm="latchpin", error="')
    assert challenge.endswith(', algs="ES256 EdDSA PS256 RS256"')
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["errorCode"], challenge.split('"')[3]


@pytest.mark.parametrize("alg", sorted(PROVERS))
def test_a_bound_token_opens_the_api_with_its_proof(organization: Organization, alg: str) -> None:
    """With a key of each algorithm; the token names the key, and the scheme's name may be written in any case."""
    client = bound(organization, PROVERS[alg])

    assert claims(client.token)["cnf"] == {"jkt": PROVERS[alg].jkt}
    assert client.get(client.proof()).status_code == 200
    assert client.get(client.proof(), scheme="dpop").status_code == 200


def test_the_answer_to_a_proof_says_dpop(organization: Organization) -> None:
    """`token_type` is DPoP then, and Bearer without one (section 5)."""
    server, app, prover = organization.server, Apps(organization).service(), Prover()
    form = {"grant_type": "client_credentials", **app.proof}

    answer = prover.send(server.http, "POST", TOKEN, data=form)
    without = server.http.post(TOKEN, data=form)

    assert (answer.json()["token_type"], without.json()["token_type"]) == ("DPoP", "Bearer")
    assert "cnf" not in claims(without.json()["access_token"])
