"""Tokens that are bound to a key, at two nodes of two processes each: what one has taken no other takes (security.md 87, 88)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from latchpin.oauth.client_admin import EXCHANGE
from latchpin.oauth.grants.token_exchange import API_KEY
from tests.support.apps import TOKEN
from tests.support.databases import Templates
from tests.support.office import office
from tests.support.plain_http import PLAIN
from tests.support.processes import Serving, serving
from tests.support.proofs import Prover

LIST = "/api/v1/agent/all"
URL = "https://latchpin.example"
ROUNDS, AT_ONCE = 10, 16
pytestmark = [pytest.mark.slow, pytest.mark.both_databases("proofs are taken once by a conflict in each database")]


@dataclass(frozen=True, slots=True)
class Nodes:
    """Two `latchpin serve` behind one public address."""

    first: Serving
    second: Serving
    ports: tuple[str, str]

    def client(self, node: int) -> httpx.Client:
        """Return what talks to one of them, on connections of its own so that its processes take turns."""
        return httpx.Client(
            base_url=self.ports[node], timeout=30, trust_env=False, verify=PLAIN, limits=httpx.Limits(max_keepalive_connections=0)
        )


@pytest.fixture(scope="module")
def nodes(kind: str, templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Both on one fresh database, with one secrets file."""
    place = tmp_path_factory.mktemp(f"bound-{kind}")
    with (
        templates.fresh(kind, place) as url,
        serving(place, url, workers=2, ready=False, public_url=URL) as first,
        serving(place, url, workers=2, ready=False, public_url=URL) as second,
    ):
        ports = []
        for each in (first, second):
            each.url = f"http://127.0.0.1:{each.settings.port}"  # past the proxy that the public address stands for
            each.wait_for("/health/ready", 200)
            ports.append(each.url)
        yield Nodes(first, second, (ports[0], ports[1]))
    for each in (first, second):
        assert '"error"' not in each.output.read_text(encoding="utf-8")


@dataclass
class Holder:
    """Who has a key of the deployment's API, and a token for it that is bound to a key of their own."""

    prover: Prover
    token: str
    form: dict[str, str]

    def proof(self) -> str:
        """Return a sound proof for one GET of the list."""
        return self.prover.proof("GET", URL + LIST, self.token)

    def get(self, http: httpx.Client, proof: str) -> int:
        """Return the status of one GET with a proof."""
        return http.get(LIST, headers={"Authorization": f"DPoP {self.token}", "DPoP": proof}).status_code


async def holder(nodes: Nodes) -> Holder:
    """Issue a key, and exchange it at the first node."""
    async with office(nodes.first) as own:
        (key,) = await own.keys(await own.user(), 1)
    prover, form = Prover(), {"grant_type": EXCHANGE, "subject_token": key.secret, "subject_token_type": API_KEY}
    with nodes.client(0) as http:
        response = prover.send(http, "POST", TOKEN, url=URL + TOKEN, data=form)
    assert response.status_code == 200, response.text
    return Holder(prover, str(response.json()["access_token"]), form)


async def test_a_proof_counts_once_at_all_nodes(nodes: Nodes) -> None:
    """Either way round, at the API and at the token endpoint; the nonce of one counts at the other."""
    own = await holder(nodes)
    with nodes.client(0) as one, nodes.client(1) as two:
        for here, there in ((one, two), (two, one)) * ROUNDS:
            proof = own.proof()
            headers = {"DPoP": own.prover.proof("POST", URL + TOKEN)}

            assert [own.get(here, proof), own.get(there, proof), own.get(here, proof)] == [200, 401, 401]
            responses = [http.post(TOKEN, data=own.form, headers=headers) for http in (here, there)]
            assert [each.status_code for each in responses] == [200, 400]
            assert responses[1].json()["error"] == "invalid_dpop_proof"


async def test_one_of_many_who_send_a_proof_at_once_is_let_in(nodes: Nodes) -> None:
    """Four processes get it in the same moment, and one row decides."""
    own = await holder(nodes)

    async def status(client: httpx.AsyncClient, proof: str) -> int:
        return (await client.get(LIST, headers={"Authorization": f"DPoP {own.token}", "DPoP": proof})).status_code

    limits = httpx.Limits(max_keepalive_connections=0)
    clients = [httpx.AsyncClient(base_url=each, timeout=60, trust_env=False, verify=PLAIN, limits=limits) for each in nodes.ports]
    for _ in range(ROUNDS):
        proof = own.proof()
        statuses = await asyncio.gather(*(status(clients[turn % 2], proof) for turn in range(AT_ONCE)))
        assert sorted(statuses) == [200] + [401] * (AT_ONCE - 1)
    for client in clients:
        await client.aclose()


async def test_another_key_refreshes_at_no_node(nodes: Nodes) -> None:
    """And its owner refreshes at any, after all of that (security.md 88)."""
    thief, prover = Prover(), Prover()
    async with office(nodes.first) as own, httpx.AsyncClient(base_url=nodes.ports[0], timeout=30, trust_env=False, verify=PLAIN) as app:
        granted = await own.granted(app, await own.app(), await own.user())

    def refresh(node: int, token: str, who: Prover | None) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": granted.client_id}
        with nodes.client(node) as http:
            return http.post(TOKEN, data=form) if who is None else who.send(http, "POST", TOKEN, url=URL + TOKEN, data=form)

    bound = refresh(0, granted.refresh or "", prover).json()["refresh_token"]
    refused = [refresh(node, bound, who) for node in (0, 1) for who in (thief, None)]
    renewed = refresh(1, bound, prover)

    assert [(each.status_code, each.json()["error"]) for each in refused] == [(400, "invalid_grant"), (400, "invalid_dpop_proof")] * 2
    assert renewed.status_code == 200
    assert refresh(0, renewed.json()["refresh_token"], prover).json()["token_type"] == "DPoP"
