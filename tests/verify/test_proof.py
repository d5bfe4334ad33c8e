"""Tokens that are bound to a key, at a partner's own API (RFC 9449 section 7; security.md 87)."""

from __future__ import annotations

import string
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchpin.identity.dpop import ALGORITHMS
from latchpin.kit import clock as kit_clock
from latchpin.kit.clock import Frozen
from latchpin.verify import InvalidProof, InvalidToken, Proof, Proofs, RequireToken, VerificationError, Verifier
from latchpin.verify.errors import PROOFS
from latchpin.verify.proof import normalised
from latchpin.verify.token import Token, of_claims
from tests.support.apps import TOKEN, App, Apps
from tests.support.proofs import Prover, b64, of_each_algorithm, small_rsa
from tests.verify.conftest import IDENTIFIER, Resource

URL = f"{IDENTIFIER}/runs"
PROVERS = of_each_algorithm()
TEXT = "an.access.token"
ONE = Prover()
METADATA = f"{IDENTIFIER}/.well-known/oauth-protected-resource"


def bound(prover: Prover = ONE) -> Token:
    """Return a token that is bound to a prover's key, as if it had been verified."""
    return of_claims({"sub": "1", "cnf": {"jkt": prover.jkt}})


def given_with(prover: Prover = ONE, method: str = "GET", url: str = URL, **changed: Any) -> Proof:
    """Return what comes with a GET of the address: a proof that is sound but for what is changed."""
    return Proof("GET", URL, prover.proof(method, url, TEXT, **changed))


def refused(proof: Proof | None, token: Token | None = None) -> type[VerificationError] | None:
    """Return how a token with a proof is refused, None where it is let in."""
    try:
        Proofs(clock=kit_clock.timestamp).check(token or bound(), TEXT, proof)
    except VerificationError as error:
        return type(error)
    return None


def test_a_proof_of_each_algorithm_counts() -> None:
    """Those that Latchpin takes too, Ed25519 under both of its names (RFC 9864 section 2.2)."""
    for alg, prover in PROVERS.items():
        assert refused(given_with(prover), bound(prover)) is None, alg
    assert set(PROOFS) == set(ALGORITHMS) == set(PROVERS)


CHANGES: dict[str, dict[str, Any]] = {
    "another method": {"method": "POST"},
    "method in small letters": {"htm": "get"},
    "another path": {"url": IDENTIFIER + "/run"},
    "another host": {"url": "https://evil.example/runs"},
    "a path alone": {"htu": "/runs"},
    "a number as address": {"htu": 7},
    "no hash of the token": {"ath": None},
    "the hash of another token": {"ath": b64(b"another")},
    "a hash that is none": {"ath": "é"},
    "no name": {"jti": None},
    "an empty name": {"jti": ""},
    "an endless name": {"jti": "x" * 257},
    "no time": {"iat": None},
    "a truth as time": {"iat": True},
    "a word as time": {"iat": "now"},
    "a far time": {"iat": 1e300},
    "a farther time": {"iat": 10**400},
    "another type": {"header": {"typ": "jwt"}},
    "no key": {"header": {"jwk": None}},
    "a shared secret": {"header": {"jwk": {"kty": "oct", "k": "AAAA"}}},
    "a private key": {"header": {"jwk": {**ONE.jwk, "d": "AAAA"}}},
    "an unreadable key": {"header": {"jwk": {**ONE.jwk, "x": "!"}}},
    "another curve": {"header": {"jwk": {**ONE.jwk, "crv": "P-384"}}},
    "another key": {"header": {"jwk": PROVERS["ES256"].jwk}},
    "a critical header": {"header": {"crit": ["x"], "x": 1}},
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=list(CHANGES))
def test_a_proof_for_something_else_is_refused(changed: dict[str, Any]) -> None:
    """Another method, address, token or key; unnamed; of no time; with a header that is not a proof's."""
    assert refused(given_with(**changed)) is InvalidProof


@pytest.mark.parametrize("seconds", [-61, 61])
def test_a_proof_of_another_time_is_refused(clock: Frozen, seconds: int) -> None:
    """Stale, or made in advance."""
    assert refused(given_with(iat=kit_clock.timestamp() + seconds)) is InvalidProof
    assert refused(given_with(iat=kit_clock.timestamp() + seconds // 2)) is None


def test_a_proof_of_another_key_is_refused() -> None:
    """Whoever copied the token has a key of their own at most."""
    assert refused(given_with(Prover())) is InvalidProof


def test_a_small_rsa_key_is_refused() -> None:
    """Even where a token were bound to it; and one that would keep us busy."""
    small, large = small_rsa(), PROVERS["RS256"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyJWT's own, while it signs
        proof = given_with(small)

    assert refused(proof, bound(small)) is InvalidProof
    assert refused(given_with(large, header={"jwk": {**large.jwk, "e": large.jwk["n"]}}), bound(large)) is InvalidProof


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "e30.e30.e30", "W10.W10.W10", "a.b.c, d.e.f", "x" * 9000])
def test_what_is_no_proof_is_refused(text: str) -> None:
    """Without an error of ours."""
    assert refused(Proof("GET", URL, text)) is InvalidProof


@given(st.data())
def test_any_single_changed_character_is_refused(data: st.DataObject) -> None:
    """Wherever it is."""
    proof = given_with()
    at = data.draw(st.integers(0, len(proof.header) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_.=").filter(lambda letter: letter != proof.header[at]))

    assert refused(Proof("GET", URL, proof.header[:at] + other + proof.header[at + 1 :])) is InvalidProof


def test_addresses_are_compared_as_they_are_meant() -> None:
    """RFC 3986 section 6.2; query and fragment do not count."""
    for htu in (URL + "?a=1#b", "HTTPS://REPORTS.example:443/runs", IDENTIFIER + "/./x/../runs", IDENTIFIER + "/%72uns"):
        assert refused(given_with(htu=htu)) is None
    assert normalised("https://[2001:DB8::1]:443/%7e%2f") == "https://[2001:db8::1]/~%2F"
    assert [normalised(each) for each in ("ftp://a/", "https://u@a/", "https://a:x/", "https://é/", "", "https:///x")] == [None] * 6


def test_a_proof_counts_once(clock: Frozen) -> None:
    """Until it is stale anyway; then its name is forgotten."""
    proofs, proof = Proofs(clock=kit_clock.timestamp), given_with()
    proofs.check(bound(), TEXT, proof)

    with pytest.raises(InvalidProof, match="used before"):
        proofs.check(bound(), TEXT, proof)
    clock.advance(timedelta(minutes=3))
    with pytest.raises(InvalidProof, match="seconds"):
        proofs.check(bound(), TEXT, proof)
    proofs.check(bound(), TEXT, given_with())
    assert len(proofs._first_use.__self__._until) == 1  # type: ignore[attr-defined]  # the memory, bounded by what is still fresh


def test_a_proof_counts_once_in_all_threads() -> None:
    """One of many who send it at once."""
    proofs, proof = Proofs(clock=kit_clock.timestamp), given_with()

    def is_let(_: int) -> bool:
        try:
            proofs.check(bound(), TEXT, proof)
        except InvalidProof:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(is_let, range(40))) == 1


async def test_several_processes_share_a_list() -> None:
    """By a hook that says whether a name is new; it may have to be waited for."""
    seen: dict[str, float] = {}

    def first_use(name: str, seconds: float) -> bool:
        return seen.setdefault(name, seconds) is seconds and len(name) < 100

    async def later(name: str, seconds: float) -> bool:
        return name not in seen and not seen.update({name: seconds})

    one, two = (Proofs(first_use=later, clock=kit_clock.timestamp) for _ in range(2))
    proof = given_with()
    await one.check_async(bound(), TEXT, proof)
    with pytest.raises(InvalidProof):
        await two.check_async(bound(), TEXT, proof)
    with pytest.raises(TypeError):
        one.check(bound(), TEXT, given_with())
    Proofs(first_use=first_use, clock=kit_clock.timestamp).check(bound(), TEXT, given_with())

    assert list(seen.values()) == [120, 120]


def test_a_bound_token_without_a_proof_is_refused() -> None:
    """As a bearer token it is worth nothing; one that is bound in a way that nobody here can check neither."""
    assert refused(None) is InvalidToken
    assert refused(None, of_claims({"cnf": {"x5t#S256": "x"}})) is InvalidToken
    assert refused(given_with(), of_claims({"cnf": {"x5t#S256": "x"}})) is InvalidToken
    assert refused(None, of_claims({"cnf": "x"})) is InvalidToken


def test_an_unbound_token_with_a_proof_is_refused() -> None:
    """A client that believes to be safe learns that it is not."""
    assert refused(None, of_claims({"sub": "1"})) is None
    assert refused(given_with(), of_claims({"sub": "1"})) is InvalidToken


def test_algorithms_can_only_be_narrowed() -> None:
    """To some of those that are taken."""
    with pytest.raises(ValueError, match="algorithms"):
        Proofs(algorithms=["HS256"])
    with pytest.raises(InvalidProof):
        Proofs(algorithms=["RS256"], clock=kit_clock.timestamp).check(bound(), TEXT, given_with())


# ---- with a running issuer ----


@pytest.fixture
def prover() -> Prover:
    """A key of an app."""
    return Prover()


@pytest.fixture
def token(apps: Apps, app: App, resource: Resource, prover: Prover) -> str:
    """A token for the resource that is bound to the key."""
    code = apps.code(app, resource=IDENTIFIER, scope="agents:read")
    form = {"grant_type": "authorization_code", "code": code.code, "code_verifier": code.verifier, **app.proof}
    return str(prover.send(apps.server.http, "POST", TOKEN, data=form).json()["access_token"])


def test_the_verifier_takes_a_token_with_its_proof(resource: Resource, prover: Prover, token: str) -> None:
    """And tells whose key it is; without a proof, or with another's, it is refused."""
    verifier = resource.verifier

    verified_token = verifier.verify(token, proof=Proof("GET", URL, prover.proof("GET", URL, token)))

    assert (verified_token.is_bound, verified_token.jkt) == (True, prover.jkt)
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(token)
    assert caught.value.www_authenticate().startswith('DPoP error="invalid_token"')
    with pytest.raises(InvalidProof):
        verifier.verify(token, proof=Proof("GET", URL, Prover().proof("GET", URL, token)))


async def test_the_same_holds_in_an_event_loop(resource: Resource, prover: Prover, token: str) -> None:
    """With a proof that was used."""
    verifier, proof = resource.verifier, Proof("GET", URL, prover.proof("GET", URL, token))

    assert (await verifier.verify_async(token, proof=proof)).jkt == prover.jkt
    with pytest.raises(InvalidProof):
        await verifier.verify_async(token, proof=proof)
    with pytest.raises(InvalidToken):
        await verifier.verify_async(token)


@pytest.mark.parametrize("cache_seconds", [0.0, 60.0])
async def test_introspection_asks_for_the_proof_too(resource: Resource, prover: Prover, token: str, cache_seconds: float) -> None:
    """Each time, whether the issuer was asked or an answer was kept."""
    introspector = resource.introspector(cache_seconds=cache_seconds)
    proof = Proof("GET", URL, prover.proof("GET", URL, token))

    assert introspector.verify(token, proof=proof).jkt == prover.jkt
    with pytest.raises(InvalidProof):
        introspector.verify(token, proof=proof)
    with pytest.raises(InvalidToken):
        introspector.verify(token)
    assert (await introspector.verify_async(token, proof=Proof("GET", URL, prover.proof("GET", URL, token)))).is_bound
    with pytest.raises(InvalidToken):
        await introspector.verify_async(token)


# ---- the middleware ----

Get = Callable[..., Any]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the subject of the request's token; /runs/all needs runs:read."""
    if scope["path"] == "/runs/all":
        scope["latchpin.token"].require_scope("runs:read")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["latchpin.token"].subject.encode()})


def asking(verifier: Verifier, **more: Any) -> Get:
    """Return a way to ask the guarded application."""
    guarded = RequireToken(application, verifier, resource_metadata=METADATA, **more)

    async def ask(path: str, headers: Any = None, method: str = "GET") -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=guarded), base_url="http://inside:8000") as client:
            return await client.request(method, path, headers=headers)

    return ask


@pytest.fixture
def get(resource: Resource) -> Get:
    """A way to ask the guarded application, which clients know by its own address."""
    return asking(resource.verifier, scopes=["agents:read"], origin=IDENTIFIER)


async def test_the_middleware_lets_a_proved_token_in(get: Get, apps: Apps, prover: Prover, token: str) -> None:
    """By the address that clients know, whatever the request calls the host; each proof once."""
    headers = {"Authorization": f"DPoP {token}", "DPoP": prover.proof("GET", URL, token)}
    inside = {"Authorization": f"dpop {token}", "DPoP": prover.proof("GET", "http://inside:8000/runs", token)}

    assert (await get("/runs?page=2", headers)).text == str(apps.organization.admin.id)
    assert _told(await get("/runs?page=2", headers)) == 'DPoP error="invalid_dpop_proof"'
    assert _told(await get("/runs", inside)) == 'DPoP error="invalid_dpop_proof"'


async def test_the_middleware_refuses_what_is_not_proved(get: Get, prover: Prover, token: str, apps: Apps, app: App) -> None:
    """A bound token as Bearer, an unbound one as DPoP, no proof, two, one for another method."""
    proof, plain = prover.proof("GET", URL, token), apps.tokens(app, resource=IDENTIFIER, scope="agents:read").access
    bad = prover.proof("POST", URL, token)

    assert _told(await get("/runs", {"Authorization": f"Bearer {token}"})) == 'DPoP error="invalid_token"'
    assert _told(await get("/runs", {"Authorization": f"Bearer {token}", "DPoP": proof})) == 'DPoP error="invalid_token"'
    unbound = {"Authorization": f"DPoP {plain}", "DPoP": prover.proof("GET", URL, plain)}
    assert _told(await get("/runs", unbound)) == 'DPoP error="invalid_token"'
    assert _told(await get("/runs", {"Authorization": f"DPoP {token}"})) == 'DPoP error="invalid_dpop_proof"'
    two = [("Authorization", f"DPoP {token}"), ("DPoP", proof), ("DPoP", bad)]
    assert _told(await get("/runs", two)) == 'DPoP error="invalid_dpop_proof"'
    assert _told(await get("/runs", {"Authorization": f"DPoP {token}", "DPoP": bad})) == 'DPoP error="invalid_dpop_proof"'
    assert _told(await get("/runs", {"Authorization": "DPoP junk", "DPoP": bad})) == 'DPoP error="invalid_token"'
    assert (await get("/runs", {"Authorization": f"Bearer {plain}"})).status_code == 200


async def test_a_missing_scope_is_told_in_the_scheme_of_the_token(get: Get, prover: Prover, token: str) -> None:
    """403 under DPoP."""
    url = f"{IDENTIFIER}/runs/all"
    response = await get("/runs/all", {"Authorization": f"DPoP {token}", "DPoP": prover.proof("GET", url, token)})

    assert response.status_code == 403
    assert response.headers["www-authenticate"].startswith('DPoP error="insufficient_scope"')


async def test_both_schemes_are_offered(get: Get) -> None:
    """Where no token was sent."""
    bearer, dpop = (await get("/runs")).headers.get_list("www-authenticate")

    assert bearer.startswith("Bearer ")
    assert dpop == 'DPoP algs="ES256 Ed25519 EdDSA PS256 RS256"'


async def test_without_an_address_of_its_own_it_takes_no_bound_tokens(resource: Resource, prover: Prover, token: str) -> None:
    """It could not tell what a proof is for, and must not believe the request."""
    get = asking(resource.verifier)
    headers = {"Authorization": f"DPoP {token}", "DPoP": prover.proof("GET", URL, token)}

    assert (await get("/runs", headers)).headers.get_list("www-authenticate") == [f'Bearer resource_metadata="{METADATA}"']
    assert (await get("/runs", {"Authorization": f"Bearer {token}"})).status_code == 401


@pytest.mark.parametrize("origin", ["reports.example", "https://reports.example/x?y", "https://Reports.example", "https://u@a.example", ""])
def test_an_address_that_is_none_is_refused_at_the_start(resource: Resource, origin: str) -> None:
    """It is compared with what clients sign."""
    with pytest.raises(ValueError, match="origin"):
        RequireToken(application, resource.verifier, origin=origin)


def _told(response: httpx.Response) -> str:
    """Return the scheme and the error of a 401."""
    assert response.status_code == 401, response.text
    return str(response.headers["www-authenticate"]).partition(",")[0]
