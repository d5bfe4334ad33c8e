"""One DPoP proof, judged by itself (RFC 9449 section 4.3; security.md 87)."""

from __future__ import annotations

import json
import string
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from latchpin.identity import dpop
from latchpin.identity.dpop import Proof, ProofError, ProofRequirements
from latchpin.identity.verified import RejectionReason
from latchpin.kit import clock as kit_clock
from latchpin.kit.clock import Frozen
from tests.support.proofs import Prover, b64, of_each_algorithm, small_rsa

URL = "https://latchpin.example/api/v1/agent/all"
TOKEN = "an.access.token"
WANTED = ProofRequirements("GET", URL, TOKEN.encode())
PROVERS = of_each_algorithm()
LETTERS = string.ascii_letters + string.digits + "-_.=+/ ~"
ONE = Prover()


def judged(proof: str | bytes, requirements: ProofRequirements = WANTED) -> Proof | ProofError:
    """Judge a proof."""
    return dpop.verify(proof.encode() if isinstance(proof, str) else proof, requirements)


def reason(proof: str | bytes, requirements: ProofRequirements = WANTED) -> RejectionReason | None:
    """Return why a proof is refused, None where it counts."""
    result = judged(proof, requirements)
    return result.reason if isinstance(result, ProofError) else None


def sound(**changed: Any) -> str:
    """Return a proof that is sound but for what is changed."""
    return ONE.proof("GET", URL, TOKEN, **changed)


@pytest.mark.parametrize("alg", dpop.ALGORITHMS)
def test_a_proof_of_each_algorithm_counts(alg: str) -> None:
    """And tells the key's thumbprint as RFC 7638 has it."""
    prover = PROVERS[alg]

    verified = judged(prover.proof("GET", URL, TOKEN, jti="the-one", nonce="n"))

    assert isinstance(verified, Proof)
    assert (verified.jkt, verified.jti, verified.nonce) == (prover.jkt, "the-one", "n")


def test_the_example_of_the_standard_counts() -> None:
    """RFC 9449 figure 2, whose key and thumbprint are in the RFC's figure 3 and section 6.1."""
    proof = (
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR"
        "nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwia"
        "HRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLv"
        "qRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
    )
    with Frozen(datetime.fromtimestamp(1562262616, UTC)):
        verified = judged(proof, ProofRequirements("POST", "https://server.example.com/token"))

    assert isinstance(verified, Proof)
    assert verified.jkt == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


@pytest.mark.parametrize("htm", ["POST", "get", "", None, 1, ["GET"]])
def test_the_method_must_be_the_requests(htm: object) -> None:
    """To the letter (security.md 87)."""
    proof = sound(htm=htm) if htm is not None else ONE.proof("", URL, TOKEN, htm=None)

    assert reason(proof) is RejectionReason.PROOF_REQUEST


@pytest.mark.parametrize(
    "htu",
    [
        "https://latchpin.example/api/v1/agent",
        "https://latchpin.example/api/v1/agent/all/",
        "https://latchpin.example/api/v1/agent/ALL",
        "https://latchpin.example//api/v1/agent/all",
        "http://latchpin.example/api/v1/agent/all",
        "https://other.example/api/v1/agent/all",
        "https://latchpin.example:8443/api/v1/agent/all",
        "https://latchpin.example./api/v1/agent/all",
        "https://user@latchpin.example/api/v1/agent/all",
        "https://latchpin.example\\@evil.example/api/v1/agent/all",
        "https://latchpin.example/api/v1/agent%2Fall",
        "https://latchpin.example/api/v1/agent/all%00",
        "https://latchpin.example:x/api/v1/agent/all",
        "https://[::1/api/v1/agent/all",
        " https://latchpin.example/api/v1/agent/all",
        "https://latchpin.example/api/v1/agent/all\t",
        "//latchpin.example/api/v1/agent/all",
        "/api/v1/agent/all",
        "",
        7,
        [URL],
    ],
)
def test_the_address_must_be_the_requests(htu: object) -> None:
    """Another host, port, scheme or path is another address (security.md 87)."""
    assert reason(sound(htu=htu)) is RejectionReason.PROOF_REQUEST


@pytest.mark.parametrize(
    "htu",
    [
        URL,
        URL + "?page=2",
        URL + "#top",
        URL + "?",
        "HTTPS://LATCHPIN.example/api/v1/agent/all",
        "https://latchpin.example:443/api/v1/agent/all",
        "https://latchpin.example:/api/v1/agent/all",
        "https://latchpin.example/api/v1/./agent/x/../all",
        "https://latchpin.example/api/v1/%61gent/all",
    ],
)
def test_the_same_address_may_be_written_in_other_ways(htu: str) -> None:
    """Query and fragment do not count, and what RFC 3986 calls equal is equal (section 4.3)."""
    assert reason(sound(htu=htu)) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.example", "https://a.example/"),
        ("http://a.example:80/x", "http://a.example/x"),
        ("https://[2001:DB8::1]:443/x", "https://[2001:db8::1]/x"),
        ("https://a.example/%7euser", "https://a.example/~user"),
        ("https://a.example/a%2fb", "https://a.example/a%2Fb"),
        ("https://a.example/x/..", "https://a.example/"),
        ("https://a.example/../..", "https://a.example/"),
        ("https://a.example/x/.", "https://a.example/x/"),
        ("https://a.example/%2e%2E/x", "https://a.example/x"),
    ],
)
def test_equal_addresses_have_one_form(one: str, other: str) -> None:
    """RFC 3986 sections 6.2.2 and 6.2.3."""
    assert dpop.normalize_url(one) == dpop.normalize_url(other) is not None


@given(st.text(max_size=60))
def test_any_text_as_an_address_has_a_form_that_stays(text: str) -> None:
    """Or none; nothing is thrown."""
    form = dpop.normalize_url(text) or dpop.normalize_url("https://a.example/" + text)

    assert form is None or dpop.normalize_url(form) == form


@pytest.mark.parametrize("seconds", [-61, 61, -86_400, 1e300, -1e300, 10**400])
def test_a_proof_of_another_time_is_refused(clock: Frozen, seconds: float) -> None:
    """More than a minute off, either way (security.md 87)."""
    now = int(kit_clock.timestamp())
    clock.advance(timedelta(seconds=now - kit_clock.timestamp()))

    assert reason(sound(iat=now + seconds)) in (RejectionReason.PROOF_TIME, RejectionReason.PROOF_MALFORMED)


@pytest.mark.parametrize("iat", [None, "now", True, [1], {"at": 1}])
def test_a_time_must_be_a_number(iat: object) -> None:
    """Of seconds."""
    assert reason(sound(iat=iat)) is RejectionReason.PROOF_TIME


@pytest.mark.parametrize("seconds", [-60, -0.5, 0, 59.5, 60])
def test_clocks_may_differ_by_a_minute(clock: Frozen, seconds: float) -> None:
    """Either way, fractions as well."""
    now = int(kit_clock.timestamp())
    clock.advance(timedelta(seconds=now - kit_clock.timestamp()))

    assert reason(sound(iat=now + seconds)) is None


@pytest.mark.parametrize("jti", [None, "", 7, ["a"], "x" * 257])
def test_a_proof_must_be_named(jti: object) -> None:
    """With a name that can be remembered."""
    assert reason(sound(jti=jti)) is RejectionReason.PROOF_MALFORMED


@pytest.mark.parametrize("ath", [None, "", "x", 7, b64(b"another"), "AAAA" * 10 + "AAA="])
def test_a_proof_is_for_one_access_token(ath: object) -> None:
    """By its hash; without one only where no token comes along (security.md 87)."""
    proof = ONE.proof("GET", URL, ath=ath)

    assert reason(proof) is RejectionReason.PROOF_TOKEN
    assert reason(proof, ProofRequirements("GET", URL)) is None
    assert reason(ONE.proof("GET", URL, "another.access.token")) is RejectionReason.PROOF_TOKEN


@pytest.mark.parametrize("nonce", [7, ["a"], {}])
def test_a_nonce_is_a_text(nonce: object) -> None:
    """Whatever it says, which is looked at elsewhere."""
    assert reason(sound(nonce=nonce)) is RejectionReason.PROOF_MALFORMED


@pytest.mark.parametrize("typ", ["jwt", "JWT", "at+jwt", "DPOP+JWT", "application/dpop+jwt", "", 7, None])
def test_the_type_must_be_that_of_a_proof(typ: object) -> None:
    """No other token that the same key signed is one (RFC 8725 section 3.11)."""
    assert reason(sealed({"alg": "ES256", "typ": typ, "jwk": ONE.jwk})) is RejectionReason.PROOF_MALFORMED


@pytest.mark.parametrize("alg", ["none", "NONE", "HS256", "ES384", "RS512", "ES256K", "", None, 7, ["ES256"], {"a": 1}])
def test_other_algorithms_are_refused(alg: object) -> None:
    """No shared secret, and nothing that the metadata does not list (security.md 46)."""
    assert reason(sealed({"alg": alg, "typ": "dpop+jwt", "jwk": ONE.jwk})) is RejectionReason.PROOF_KEY


def test_a_shared_secret_is_no_key() -> None:
    """Neither as itself nor under the name of an algorithm that we take."""
    for alg in ("HS256", "ES256", "RS256"):
        assert reason(sealed({"alg": alg, "typ": "dpop+jwt", "jwk": {"kty": "oct", "k": "AAAA"}})) is RejectionReason.PROOF_KEY


def test_a_private_key_is_refused() -> None:
    """Whoever sends one has given it away (section 4.3)."""
    secret = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ONE.key))

    error = judged(sound(header={"jwk": secret}))

    assert isinstance(error, ProofError)
    assert error.reason is RejectionReason.PROOF_KEY
    assert secret["d"] not in error.detail


def test_a_small_rsa_key_is_refused() -> None:
    """1024 bits can be factored (security.md 87); nothing warns of what is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyJWT's own, while it signs
        proof = small_rsa().proof("GET", URL, TOKEN)

    assert reason(proof) is RejectionReason.PROOF_KEY


def test_a_key_that_would_keep_us_busy_is_refused() -> None:
    """Too long a modulus or exponent, before anything is computed with it."""
    rs256 = PROVERS["RS256"].jwk
    for changed in ({"n": b64(b"\xff" * 513)}, {"e": rs256["n"]}, {"e": b64(b"\xff" * 7)}, {"e": b64(b"\x01")}, {"n": ""}):
        assert reason(sealed({"alg": "RS256", "typ": "dpop+jwt", "jwk": rs256 | changed})) is RejectionReason.PROOF_KEY


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        "x",
        [],
        {},
        {"kty": "EC"},
        {"kty": "EC", "crv": "P-256", "x": 1, "y": 2},
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
        {"kty": "EC", "crv": "P-256", "x": "!", "y": "é"},
        {"kty": "EC", "crv": "P-384", "x": "AAAA", "y": "AAAA"},
        {"kty": ["EC"], "crv": {}, "x": "", "y": ""},
    ],
)
def test_what_is_no_key_is_refused(jwk: object) -> None:
    """Without an error of ours; a point must be on its curve."""
    assert reason(sealed({"alg": "ES256", "typ": "dpop+jwt", "jwk": jwk})) is RejectionReason.PROOF_KEY


def test_a_key_of_another_curve_is_refused() -> None:
    """ES256 means P-256."""
    other = ec.generate_private_key(ec.SECP384R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(other.public_key()))

    assert reason(sound(header={"jwk": jwk})) is RejectionReason.PROOF_KEY


def test_only_the_key_in_the_proof_counts() -> None:
    """Another key's signature, one key for another algorithm, no signature."""
    head, body, signature = sound().split(".")

    assert reason(sound(header={"jwk": Prover().jwk})) is RejectionReason.PROOF_SIGNATURE
    assert reason(f"{head}.{body}.{sound().split('.')[2]}") is RejectionReason.PROOF_SIGNATURE
    assert reason(f"{head}.{body}.") is RejectionReason.PROOF_MALFORMED
    assert reason(f"{head}.{body}.{signature}=") is RejectionReason.PROOF_MALFORMED
    assert reason(f"{head}.{body}.{signature}AA") is RejectionReason.PROOF_SIGNATURE
    swapped = Prover(PROVERS["RS256"].key, "PS256").proof("GET", URL, TOKEN).split(".")
    rs256 = PROVERS["RS256"].proof("GET", URL, TOKEN).split(".")
    assert reason(f"{rs256[0]}.{rs256[1]}.{swapped[2]}") is RejectionReason.PROOF_SIGNATURE


def test_a_signature_in_the_form_of_certificates_is_refused() -> None:
    """JOSE writes r and s side by side (RFC 7518 section 3.4), and not in DER."""
    head, body, _ = sound().split(".")
    der = ONE.key.sign(f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)

    assert reason(f"{head}.{body}.{b64(der)}") is RejectionReason.PROOF_SIGNATURE
    assert reason(f"{head}.{body}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}") is None


def test_a_critical_header_is_refused() -> None:
    """None is known here (RFC 7515 section 4.1.11)."""
    assert reason(sound(header={"crit": ["exp"], "exp": 1})) is RejectionReason.PROOF_MALFORMED


def test_headers_and_claims_that_nobody_knows_are_ignored() -> None:
    """As RFC 7515 and RFC 7519 say; `kid` names nothing here."""
    assert reason(sound(header={"kid": "x", "jku": "https://evil.example", "jwk": ONE.jwk | {"kid": "y", "use": "enc"}}, extra=[1])) is None


def test_there_is_exactly_one_proof() -> None:
    """Two headers, or two in one, are none (section 4.3)."""
    proof = sound().encode()

    assert reason(proof + b"\n" + sound().encode()) is RejectionReason.PROOF_MALFORMED
    assert reason(proof + b", " + sound().encode()) is RejectionReason.PROOF_MALFORMED


@pytest.mark.parametrize(
    "text", ["", "x", "a.b", "a.b.c", "a.b.c.d", "..", "W10.W10.W10", "e30.e30.e30", "x" * 8193, "a." + "b" * 9000 + ".c"]
)
def test_what_is_no_proof_is_refused(text: str) -> None:
    """Without an error of ours."""
    assert reason(text) is RejectionReason.PROOF_MALFORMED


def test_a_payload_must_be_an_object() -> None:
    """Of JSON, however it was signed."""
    for body in (b"[]", b"7", b'"x"', b"", b"{", b"\xff", b"[" * 3000):
        proof = jwt.api_jws.encode(body, ONE.key, algorithm="ES256", headers={"typ": "dpop+jwt", "jwk": ONE.jwk})
        assert reason(proof) is RejectionReason.PROOF_MALFORMED


@given(st.sampled_from(dpop.ALGORITHMS), st.one_of(st.just(-1), st.integers(0, 2000)), st.integers(1, len(LETTERS) - 1))
def test_any_single_changed_character_is_refused(algorithm: str, at: int, shift: int) -> None:
    """In the header, the claims and the signature, where the last character has bits that mean nothing (security.md 87)."""
    proof = PROVERS[algorithm].proof("GET", URL, TOKEN)
    place = at % len(proof)
    other = LETTERS[(LETTERS.index(proof[place]) + shift) % len(LETTERS)]

    assert reason(proof) is None
    assert reason(proof[:place] + other + proof[place + 1 :]) is not None


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_quietly(junk: bytes) -> None:
    """Nothing is thrown, whatever the header holds."""
    head = sound().partition(".")[0].encode()

    assert reason(junk) is not None
    assert reason(head + b"." + b64(junk).encode() + b"." + b64(junk[:64]).encode()) is not None


@pytest.mark.parametrize("bits", [2048, 3072])
def test_rsa_keys_of_a_usual_size_count(bits: int) -> None:
    """From 2048 bits on."""
    assert reason(Prover(rsa.generate_private_key(65537, bits), "PS256").proof("GET", URL, TOKEN)) is None


def sealed(header: dict[str, Any]) -> str:
    """Return a proof with any header, under a signature that would be ES256's; what is wrong with the header must be seen first."""
    jose_header = {name: value for name, value in header.items() if value is not None}
    claims = jwt.decode(sound(), options={"verify_signature": False})
    return ".".join([b64(json.dumps(jose_header).encode()), b64(json.dumps(claims).encode()), b64(b"\x01" * 64)])
