"""Access tokens that are bound to a key of the client, at the API (RFC 9449 section 7; security.md 87)."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from latchpin.kit import clock as kit_clock
from latchpin.kit.clock import Frozen
from latchpin.storage.models import AssertionId
from tests.support.apps import TOKEN, App, Apps
from tests.support.nodes import node
from tests.support.people import Organization
from tests.support.proofs import Prover, of_each_algorithm, small_rsa
from tests.support.server import Server
from tests.support.tokens import claims, reasons
from tests.support.wire import statements

Serve = Callable[..., Server]
LIST = "/api/v1/agent/all"
BAD_PROOF = (401, "invalid_dpop_proof", "invalid_dpop_proof")
BAD_TOKEN = (401, "invalid_token", "invalid_token")
NO_NONCE = (401, "use_dpop_nonce", "use_dpop_nonce")
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

    def get(
        self, proof: str | None, *, scheme: str = "DPoP", http: httpx.Client | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Ask for the list once with a proof, or with none."""
        sent = {"Authorization": f"{scheme} {self.token}", **(headers or {})} | ({"DPoP": proof} if proof is not None else {})
        return (http or self.server.http).get(LIST, headers=sent)


def bound(organization: Organization, prover: Prover | None = None) -> Client:
    """Register a service, and get a token for its key; the prover knows the server's nonce then."""
    apps, key = Apps(organization), prover or Prover()
    app = apps.service()
    response = key.send(organization.server.http, "POST", TOKEN, data={"grant_type": "client_credentials", **app.proof})
    assert response.status_code == 200, response.text
    return Client(organization, app, key, str(response.json()["access_token"]))


@pytest.fixture
def client(organization: Organization) -> Client:
    """A service with a bound token."""
    return bound(organization)


def told(response: httpx.Response) -> tuple[int, str, str]:
    """Return what a refusal says: status, error code, and the error of the header, which is of the scheme DPoP."""
    (challenge,) = response.headers.get_list("www-authenticate")
    assert challenge.startswith('DPoP realm="latchpin", error="')
    assert challenge.endswith(', algs="ES256 Ed25519 EdDSA PS256 RS256"')
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["errorCode"], challenge.split('"')[3]


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

    response = prover.send(server.http, "POST", TOKEN, data=form)
    without = server.http.post(TOKEN, data=form)

    assert (response.json()["token_type"], without.json()["token_type"]) == ("DPoP", "Bearer")
    assert "cnf" not in claims(without.json()["access_token"])


# ---- what a proof must be for (security.md 87) ----


def test_a_proof_is_for_one_method(client: Client) -> None:
    """Another `htm` is another request."""
    for htm in ("POST", "get", ""):
        assert told(client.get(client.proof(htm=htm))) == BAD_PROOF


def test_a_proof_is_for_one_address(client: Client) -> None:
    """Another `htu` is another request; the query does not count, and what the request calls the host neither."""
    elsewhere = "https://evil.example" + LIST

    for htu in (client.server.url + "/api/v1/spaces", elsewhere, LIST, client.url + "/"):
        assert told(client.get(client.proof(htu=htu))) == BAD_PROOF
    assert told(client.get(client.proof(htu=elsewhere), headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})) == BAD_PROOF
    assert client.get(client.proof(htu=client.url + "?page=1#x")).status_code == 200
    assert client.get(client.proof(), headers={"Host": "evil.example"}).status_code == 200


def test_an_escaped_address_is_compared_as_it_was_sent(client: Client) -> None:
    """A proof for `/agent/a%2Fb` is none for `/agent/a/b`."""
    path = "/api/v1/agent/%31%2F2"
    headers = {"Authorization": f"DPoP {client.token}"}

    sound = client.prover.proof("GET", client.server.url + "/api/v1/agent/1%2f2", client.token)
    other = client.prover.proof("GET", client.server.url + "/api/v1/agent/1/2", client.token)

    assert client.server.http.get(path, headers={**headers, "DPoP": sound}).status_code in (400, 404)
    assert client.server.http.get(path, headers={**headers, "DPoP": other}).status_code == 401


def test_a_proof_is_for_one_token(organization: Organization) -> None:
    """Another `ath`, or none, as an interceptor would have to send with another token."""
    prover = Prover()
    one, other = bound(organization, prover), bound(organization, prover)

    assert told(one.get(other.proof())) == BAD_PROOF
    assert told(one.get(one.proof(ath=None))) == BAD_PROOF
    assert one.get(one.proof()).status_code == 200


@pytest.mark.parametrize("seconds", [-61, 61])
def test_a_proof_of_another_time_is_refused(client: Client, clock: Frozen, seconds: int) -> None:
    """Stale or made in advance; the detail tells the time, since a wrong clock is the usual cause."""
    client.get(client.proof())  # the nonce is of the frozen clock's time
    response = client.get(client.proof(iat=kit_clock.timestamp() + seconds))

    assert told(response) == BAD_PROOF
    assert str(int(kit_clock.timestamp())) in response.json()["detail"]


def test_a_proof_counts_once(client: Client) -> None:
    """The very same, and another with the same `jti`."""
    proof = client.proof(jti="the-one")

    assert client.get(proof).status_code == 200
    assert told(client.get(proof)) == BAD_PROOF
    assert told(client.get(client.proof(jti="the-one"))) == BAD_PROOF
    assert client.get(client.proof()).status_code == 200


def test_a_proof_counts_once_however_many_send_it_at_once(client: Client) -> None:
    """One of twenty gets the answer."""
    proof = client.proof()

    with ThreadPoolExecutor(20) as pool:
        statuses = Counter(response.status_code for response in pool.map(client.get, [proof] * 20))

    assert statuses == {200: 1, 401: 19}


def test_proofs_that_come_at_once_all_count(client: Client) -> None:
    """Those who share a commit are told apart."""
    proofs = [client.proof() for _ in range(30)]

    with ThreadPoolExecutor(15) as pool:
        assert {response.status_code for response in pool.map(client.get, proofs)} == {200}


def test_two_keys_may_use_the_same_name(organization: Organization) -> None:
    """A `jti` is its key's own."""
    one, other = bound(organization), bound(organization)

    assert one.get(one.proof(jti="same")).status_code == 200
    assert other.get(other.proof(jti="same")).status_code == 200


def test_a_proof_is_of_the_key_that_the_token_is_bound_to(client: Client) -> None:
    """A thief who has the token makes proofs with a key of their own."""
    thief = Prover()
    thief.nonce = client.prover.nonce

    assert told(client.get(thief.proof("GET", client.url, client.token))) == BAD_PROOF
    assert told(client.get(client.proof(header={"jwk": thief.jwk}))) == BAD_PROOF
    assert told(client.get(thief.proof("GET", client.url, client.token, header={"jwk": client.prover.jwk}))) == BAD_PROOF


def test_a_token_cannot_be_bound_to_a_small_rsa_key(client: Client) -> None:
    """1024 bits can be factored; neither at the token endpoint nor here."""
    small = small_rsa()
    small.nonce = client.prover.nonce
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyJWT's own, while it signs
        proof = small.proof("GET", client.url, client.token)
        response = small.send(client.server.http, "POST", TOKEN, data={"grant_type": "client_credentials", **client.app.proof})

    assert told(client.get(proof)) == BAD_PROOF
    assert (response.status_code, response.json()["error"]) == (400, "invalid_dpop_proof")


def test_there_is_exactly_one_proof(client: Client) -> None:
    """None, an empty one, two headers, two in one, and something else are not one."""
    two = [("Authorization", f"DPoP {client.token}"), ("DPoP", client.proof()), ("DPoP", client.proof())]

    for proof in (None, "", "x", f"{client.proof()}, {client.proof()}", client.token):
        assert told(client.get(proof)) == BAD_PROOF
    assert told(client.server.http.get(LIST, headers=two)) == BAD_PROOF


# ---- nonces (section 9) ----


def test_a_proof_without_our_nonce_is_asked_for_once_more(client: Client) -> None:
    """401 `use_dpop_nonce` with a nonce, and the same request with it is let in (security.md 87)."""
    refused = client.get(client.proof(nonce=None))
    invented = client.get(client.proof(nonce="invented"))

    assert (told(refused), told(invented)) == (NO_NONCE, NO_NONCE)
    assert refused.headers["dpop-nonce"] == invented.headers["dpop-nonce"]
    assert client.get(client.proof(nonce=refused.headers["dpop-nonce"])).status_code == 200


def test_a_missing_nonce_is_no_guess(serve: Serve) -> None:
    """It is neither noted as a refusal nor counted against the address; and only who holds the key gets so far."""
    organization = Organization(serve(bad_key_limit=3))
    client = bound(organization)
    thief = Prover()

    assert {told(client.get(client.proof(nonce=None))) for _ in range(10)} == {NO_NONCE}
    assert told(client.get(thief.proof("GET", client.url, client.token))) == BAD_PROOF
    assert reasons(organization, "access_token.refused") == ["DPoP proof of another key"]


def test_a_nonce_lives_for_five_to_ten_minutes(client: Client, clock: Frozen) -> None:
    """The last one still counts, and its answer brings the next."""
    first = client.get(client.proof(nonce=None)).headers["dpop-nonce"]
    fresh = client.get(client.proof(nonce=first))
    clock.advance(timedelta(minutes=5))
    later = client.get(client.proof(nonce=first))
    clock.advance(timedelta(minutes=5))
    late = client.get(client.proof(nonce=first))

    assert (fresh.status_code, later.status_code, told(late)) == (200, 200, NO_NONCE)
    assert "dpop-nonce" not in fresh.headers
    assert later.headers["dpop-nonce"] not in (first, late.headers["dpop-nonce"])


def test_every_node_knows_every_nonce(serve: Serve) -> None:
    """Nothing is kept: they are computed from the deployment's secrets."""
    client = bound(Organization(serve()))

    with node(client.server) as other:
        assert client.get(client.proof(), http=other).status_code == 200


def test_nonces_can_be_off(serve: Serve) -> None:
    """For clients that cannot repeat a request; all else is asked for as before."""
    client = bound(Organization(serve(dpop_nonce="off")))

    response = client.get(client.proof())

    assert client.prover.nonce is None
    assert (response.status_code, "dpop-nonce" in response.headers) == (200, False)
    assert told(client.get(client.proof(htm="POST"))) == BAD_PROOF


# ---- two nodes (security.md 87) ----


def test_two_nodes_share_the_list_of_used_proofs(serve: Serve) -> None:
    """What one process has taken no other takes."""
    client = bound(Organization(serve()))
    first, second = client.proof(), client.proof()

    with node(client.server) as other:
        assert client.get(first).status_code == 200
        assert told(client.get(first, http=other)) == BAD_PROOF
        assert client.get(second, http=other).status_code == 200
        assert told(client.get(second)) == BAD_PROOF


def test_one_of_two_nodes_takes_a_proof_that_both_get_at_once(serve: Serve) -> None:
    """One row decides."""
    client = bound(Organization(serve()))

    with node(client.server) as other, ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            proof = client.proof()
            futures = [pool.submit(client.get, proof, http=http) for http in (None, other, None, other)]
            assert sorted(each.result().status_code for each in futures) == [200, 401, 401, 401]


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_used_proof_is_remembered_until_no_node_can_take_it(serve: Serve, clock: Frozen) -> None:
    """By a node whose clock is a minute behind, too; and forgotten after."""
    client = bound(Organization(serve(dpop_nonce="off")))
    proof, used = client.proof(), client.server.services.proofs.used
    assert client.get(proof).status_code == 200

    clock.advance(timedelta(seconds=100))
    client.server.run(used.purge_expired())
    clock.advance(timedelta(seconds=-50))  # as on the other node

    assert told(client.get(proof)) == BAD_PROOF
    assert client.server.run(_used(client.server)) > 0
    clock.advance(timedelta(minutes=5))
    assert client.get(client.proof()).status_code == 200
    client.server.run(used.purge_expired())
    assert client.server.run(_used(client.server)) == 1


# ---- bound and unbound (section 7.2; security.md 87) ----


def test_a_bound_token_is_no_bearer_token(client: Client) -> None:
    """Whoever copied it has nothing, with the proof of an earlier request or without."""
    for proof in (None, client.proof()):
        response = client.get(proof, scheme="Bearer")
        assert told(response) == BAD_TOKEN
        assert "DPoP" in response.json()["detail"]
    assert told(client.get(None, scheme="Bearer")) == BAD_TOKEN


def test_an_unbound_token_is_no_bound_one(organization: Organization) -> None:
    """A client that believes to be safe learns that it is not."""
    client = bound(organization)
    response = organization.server.http.post(TOKEN, data={"grant_type": "client_credentials", **client.app.proof})
    client.token = str(response.json()["access_token"])

    assert told(client.get(client.proof())) == BAD_TOKEN
    assert told(client.get(None)) == BAD_TOKEN
    assert client.get(None, scheme="Bearer").status_code == 200
    assert client.get(client.proof(), scheme="Bearer").status_code == 200  # a proof that nobody asked for


def test_an_unsound_token_is_told_in_its_own_scheme(client: Client, clock: Frozen) -> None:
    """So that the client refreshes."""
    clock.advance(timedelta(minutes=20))

    assert told(client.get(client.proof())) == BAD_TOKEN
    client.token = "x.y.z"
    assert told(client.get(client.proof())) == BAD_TOKEN


def test_a_remembered_token_still_needs_its_proof(client: Client) -> None:
    """Its signature is checked once, each request's proof always."""
    assert client.get(client.proof()).status_code == 200
    assert told(client.get(None)) == BAD_PROOF
    assert told(client.get(None, scheme="Bearer")) == BAD_TOKEN
    assert told(client.get(client.proof(ath=None))) == BAD_PROOF
    assert client.get(client.proof()).status_code == 200


def test_a_missing_scope_is_told_in_the_scheme_of_the_token(organization: Organization) -> None:
    """As RFC 9449 section 7.1 has it, with the scope that is needed."""
    client = bound(organization)
    path = "/api/v1/agent/1/archive"

    response = client.prover.send(organization.server.http, "POST", path, client.token)

    assert told(response) == (403, "insufficient_scope", "insufficient_scope")
    assert 'scope="agents:write"' in response.headers["www-authenticate"]


def test_an_api_key_needs_no_proof(organization: Organization) -> None:
    """And is none under the scheme of a bound token."""
    key = organization.key()
    http = organization.server.http

    assert http.get(LIST, headers={**key.header, "DPoP": "x"}).status_code == 200
    assert http.get(LIST, headers={"Authorization": f"DPoP {key.secret}"}).json()["errorCode"] == "unauthenticated"


def test_two_credentials_are_refused_in_every_scheme(client: Client) -> None:
    """One header, one credential (RFC 6750 section 2)."""
    for second in (f"Bearer {client.token}", f"DPoP {client.token}", f"dpop {client.token}"):
        headers = {"Authorization": f"DPoP {client.token}, {second}", "DPoP": client.proof()}
        assert client.server.http.get(LIST, headers=headers).json()["errorCode"] == "two_credentials"


# ---- what is written down, and what a web page may ----


def test_the_trail_tells_why_a_proof_was_refused(organization: Organization) -> None:
    """With the grant that was tried, each reason for itself."""
    client, thief = bound(organization), Prover()
    thief.nonce = client.prover.nonce
    used = client.proof()
    client.get(used)

    for proof in (
        used,
        None,
        "x",
        client.proof(htm="PUT"),
        client.proof(iat=1),
        client.proof(ath="x"),
        thief.proof("GET", client.url, client.token),
        client.proof(header={"jwk": thief.jwk}),
        client.proof(header={"jwk": {"kty": "EC"}}),
    ):
        assert told(client.get(proof)) == BAD_PROOF
    client.get(None, scheme="Bearer")

    assert sorted(map(str, reasons(organization, "access_token.refused"))) == [
        "DPoP proof for another request",
        "DPoP proof for another token",
        "DPoP proof of another key",
        "DPoP proof of another time",
        "DPoP proof that cannot be read",
        "DPoP proof used twice",
        "DPoP proof with a wrong signature",
        "DPoP proof with an unacceptable key or algorithm",
        "no DPoP proof",
        "token bound to a key, sent as Bearer",
    ]


def test_refused_proofs_count_against_their_address(serve: Serve) -> None:
    """As any other refused credential."""
    client = bound(Organization(serve(bad_key_limit=3)))

    statuses = [client.get("x").status_code for _ in range(5)]

    assert statuses == [401, 401, 401, 429, 429]
    assert client.get(client.proof()).status_code == 200


def test_a_used_proof_counts_against_the_limit_and_a_bad_one_does_not(serve: Serve) -> None:
    """Who holds the token without its key must not be able to use up its owner's requests."""
    client = bound(Organization(serve(rate_limit=3, rate_limit_queue=0)))

    for _ in range(5):
        client.get(None)

    assert [client.get(client.proof()).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_a_web_page_may_use_a_bound_token(client: Client) -> None:
    """The preflight lets the header in, and the script reads the nonce."""
    page = {"Origin": "https://app.example"}
    preflight = client.server.http.options(LIST, headers={**page, "Access-Control-Request-Headers": "authorization, dpop"})
    refused, let = client.get(client.proof(nonce=None), headers=page), client.get(client.proof(), headers=page)

    assert "dpop" in preflight.headers["access-control-allow-headers"]
    assert "dpop-nonce" in refused.headers["access-control-expose-headers"]
    assert (let.status_code, let.headers["access-control-allow-origin"]) == (200, "*")


def test_head_has_a_proof_of_its_own(client: Client) -> None:
    """A proof for GET is none for HEAD."""
    headers = {"Authorization": f"DPoP {client.token}"}
    of_head = client.prover.proof("HEAD", client.url, client.token)

    assert client.server.http.head(LIST, headers={**headers, "DPoP": client.proof()}).status_code == 401
    assert client.server.http.head(LIST, headers={**headers, "DPoP": of_head}).status_code == 200


def test_a_proof_costs_one_statement_and_no_other_credential_pays_for_it(client: Client) -> None:
    """The INSERT that decides; a bearer token and a key of a client that is known cost what they did before."""
    plain = client.server.http.post(TOKEN, data={"grant_type": "client_credentials", **client.app.proof}).json()["access_token"]
    key = client.organization.key()
    ways = {"bound": client.prover, "bearer": {"Authorization": f"Bearer {plain}"}, "key": key.header}

    def cost(way: Any) -> list[str]:
        with statements(client.server) as queries:
            response = client.get(client.proof()) if way is client.prover else client.server.http.get(LIST, headers=way)
        assert response.status_code == 200
        return [each for each in queries if "oauth_assertions" in each]

    costs = {name: [cost(way), cost(way)][1] for name, way in ways.items()}

    assert {name: len(each) for name, each in costs.items()} == {"bound": 1, "bearer": 0, "key": 0}


async def _used(server: Server) -> int:
    async with server.database.read() as session:
        return int(await session.scalar(select(func.count()).select_from(AssertionId)) or 0)
