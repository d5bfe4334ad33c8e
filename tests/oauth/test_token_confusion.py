"""Tokens that look like ours and are not: other algorithms, other keys, other kinds, odd claims. All get the one 401."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from latchpin.identity import key_ring, tokens
from latchpin.identity.key_ring import InvalidSignature, WrongType
from latchpin.kit import clock as kit_clock
from tests.support.apps import OFFLINE, Apps, Tokens
from tests.support.forgery import assembled, claims, encoded, forged, header, resigned, ring
from tests.support.people import Organization
from tests.support.server import Server
from tests.support.wire import LIST, audit, statements

RSA_MEMBERS = {"kty", "n", "e", "d", "p", "q", "dp", "dq", "qi"}
MINE = RSAKey.generate_key(2048, private=True, auto_kid=False)


@pytest.fixture(scope="module")
def home(server: Server) -> Organization:
    """One organization for all tests: nothing here changes it."""
    return Organization(server)


@pytest.fixture(scope="module")
def sound(home: Organization) -> Tokens:
    """Tokens of an app with every scope, the ID token among them."""
    apps = Apps(home)
    return apps.tokens(apps.register(), scope=f"openid {OFFLINE}")


def ask(server: Server, token: str | bytes) -> httpx.Response:
    """Ask the API with a token."""
    token_bytes = token.encode() if isinstance(token, str) else token
    return server.http.get(LIST, headers={b"Authorization": b"Bearer " + token_bytes})


def is_refused(server: Server, token: str | bytes) -> bool:
    """Whether it gets the one answer of refused tokens, and the server has not failed on it."""
    response = ask(server, token)
    assert response.status_code == 401, (response.status_code, response.text)
    return 'error="invalid_token"' in response.headers["www-authenticate"]


def pem(server: Server) -> bytes:
    """Return the server's public key as text, as an attacker has it."""
    key = ring(server)._signing_key().key
    assert isinstance(key, RSAKey)
    return key.as_pem(private=False)


# ---- algorithms ----


def test_a_token_without_signature_is_refused(server: Server, sound: Tokens) -> None:
    """`alg: none` in any spelling, and a sound header with no signature (security.md 46)."""
    jose_header, payload = header(sound.access), claims(sound.access)

    for name in ("none", "None", "NONE", "nOnE", ""):
        assert is_refused(server, assembled({**jose_header, "alg": name}, payload, b"x"))
        assert is_refused(server, assembled({**jose_header, "alg": name}, payload))
    assert is_refused(server, sound.access.rpartition(".")[0] + ".")


@pytest.mark.parametrize("name", ["HS256", "HS384", "HS512"])
def test_a_token_signed_with_the_public_key_as_a_password_is_refused(server: Server, sound: Tokens, name: str) -> None:
    """The key's own algorithm counts, not what the header says (RFC 8725 section 2.1, security.md 46)."""
    of = {**header(sound.access), "alg": name}
    for secret in (pem(server), pem(server).strip(), json.dumps(ring(server).jwks["keys"][0]).encode()):
        plain = assembled(of, claims(sound.access)).rpartition(".")[0]
        assert is_refused(server, f"{plain}.{encoded(hmac.digest(secret, plain.encode(), name.replace('HS', 'sha')))}")


@pytest.mark.parametrize("name", ["RS384", "RS512", "PS256", "ES256", "EdDSA", "Ed25519", "ES256K"])
def test_another_algorithm_than_the_keys_own_is_refused(server: Server, sound: Tokens, name: str) -> None:
    """Also where the signature would be sound under it (security.md 46)."""
    assert is_refused(server, assembled({**header(sound.access), "alg": name}, claims(sound.access), b"x" * 256))


def test_a_sound_signature_under_another_rsa_algorithm_is_refused(server: Server, sound: Tokens) -> None:
    """RS512 by our own key is not RS256 (security.md 46)."""
    own = {name: value for name, value in ring(server)._signing_key().key.as_dict(private=True).items() if name in RSA_MEMBERS}
    key = RSAKey.import_key(own)

    assert is_refused(server, forged({**header(sound.access), "alg": "RS512"}, claims(sound.access), key))


# ---- keys ----


def test_a_stranger_key_is_refused_whatever_it_calls_itself(server: Server, sound: Tokens) -> None:
    """The `kid` is a name, not a proof (security.md 46, 47)."""
    jose_header, payload = header(sound.access), claims(sound.access)

    assert is_refused(server, forged(jose_header, payload, MINE))
    assert is_refused(server, forged({**jose_header, "kid": "another"}, payload, MINE))
    without = {name: value for name, value in jose_header.items() if name != "kid"}
    assert is_refused(server, forged(without, payload, MINE))


@pytest.mark.parametrize(
    "more",
    [
        {"jwk": MINE.as_dict(private=False)},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MIIB"]},
        {"jwk": MINE.as_dict(private=False), "kid": "mine"},
    ],
)
def test_keys_that_a_token_brings_along_are_not_looked_at(server: Server, sound: Tokens, more: dict[str, Any]) -> None:
    """`jwk`, `jku`, `x5u`, `x5c` choose nothing (RFC 8725 section 3.10, security.md 46)."""
    assert is_refused(server, forged({**header(sound.access), **more}, claims(sound.access), MINE))


@pytest.mark.parametrize(
    "kid", ["../../etc/passwd", "' OR 1=1 --", "\0", "", 0, 1, None, True, [], {}, ["a"], "x" * 300, "\ud800", "http://evil.example/"]
)
def test_a_kid_is_compared_and_nothing_else(server: Server, sound: Tokens, kid: Any) -> None:
    """No path, no query, no address: whatever stands there is an unknown key (security.md 47)."""
    assert is_refused(server, assembled({**header(sound.access), "kid": kid}, claims(sound.access), b"x" * 256))


def test_an_unknown_kid_asks_the_database_once_a_second(sound: Tokens, server: Server, clock: kit_clock.Frozen) -> None:
    """A new key may be there that this process has not read; a flood of made-up names costs next to nothing (security.md 47)."""
    clock.advance(timedelta(seconds=2))
    ask(server, sound.access)  # the ring is read anew for the time that passed

    with statements(server) as queries:
        for number in range(20):
            assert is_refused(server, forged({**header(sound.access), "kid": f"made up {number}"}, claims(sound.access), MINE))

    assert len([each for each in queries if "FROM signing_keys" in each]) == 1


def test_a_key_that_another_process_just_made_is_found(sound: Tokens, server: Server, clock: kit_clock.Frozen) -> None:
    """The one refresh finds it, and the token is accepted (security.md 47, 85)."""
    clock.advance(timedelta(seconds=2))
    server_ring = ring(server)
    token = sound.access
    server_ring._ring = key_ring._Ring((), {}, {"keys": []}, kit_clock.monotonic(), server_ring._ring.turn)

    assert ask(server, token).status_code == 200


# ---- kinds ----


def test_an_id_token_is_no_access_token(server: Server, home: Organization, sound: Tokens) -> None:
    """The API refuses it, and the trail tells why (security.md 41)."""
    assert header(sound.answer["id_token"])["typ"] == "JWT"

    assert is_refused(server, sound.answer["id_token"])

    assert audit(home, "access_token.refused", reason="token that is no access token")


@pytest.mark.parametrize(
    "typ", ["JWT", "jwt", "logout+jwt", "dpop+jwt", "at+jwts", "", "at jwt", "application/jwt", "token-introspection+jwt"]
)
def test_another_type_with_the_claims_of_an_access_token_is_refused(server: Server, sound: Tokens, typ: str) -> None:
    """The header says what a token is for (RFC 9068 section 4, security.md 41)."""
    assert is_refused(server, resigned(server, sound.access, typ=typ))


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "application/AT+jwt"])
def test_the_type_may_be_written_as_a_media_type(server: Server, sound: Tokens, typ: str) -> None:
    """RFC 9068 section 2.1 and RFC 7515 section 4.1.9: case and `application/` do not matter (security.md 41)."""
    assert ask(server, resigned(server, sound.access, typ=typ)).status_code == 200


def test_an_access_token_is_no_id_token(server: Server, sound: Tokens) -> None:
    """The reverse: where an ID token is asked for, an access token is of the wrong type (security.md 41)."""
    with pytest.raises(WrongType):
        ring(server).verify(sound.access.encode(), typ=tokens.ID)
    assert ring(server).verify(sound.answer["id_token"].encode(), typ=tokens.ID)["aud"] == claims(sound.access)["client_id"]


def test_a_refresh_token_and_a_code_are_no_access_tokens(server: Server, home: Organization, sound: Tokens) -> None:
    """They are no JWTs, and cost no question to the database."""
    apps = Apps(home)
    code = apps.code(apps.register()).code

    with statements(server) as queries:
        outcomes = [is_refused(server, each) for each in (sound.refresh, code)]

    assert outcomes == [True, True]
    assert [each for each in queries if "oauth" in each or "signing_keys" in each] == []


# ---- headers ----


@pytest.mark.parametrize(
    "more", [{"crit": ["b64"], "b64": False}, {"crit": ["exp"], "exp": 1}, {"crit": []}, {"crit": "b64"}, {"crit": None}, {"b64": False}]
)
def test_a_header_that_must_be_understood_is_not(server: Server, sound: Tokens, more: dict[str, Any]) -> None:
    """We understand no extension, so none may be critical (RFC 7515 section 4.1.11), and `b64` changes nothing (RFC 7797)."""
    key = ring(server)._signing_key().key
    of = {**header(sound.access), **more}
    plain = assembled(of, claims(sound.access)).rpartition(".")[0]
    registry = key_ring._REGISTRY
    signature = registry.get_alg(of["alg"]).sign(plain.encode(), key)

    response = ask(server, f"{plain}.{encoded(signature)}")

    assert response.status_code == 401


@pytest.mark.parametrize(
    "of",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"\xff\xfe",
        b'{"alg":' + b"[" * 100,
        b"[" * 11_000,
        b'{"a":' * 2_000,
        b'{"alg":"RS256","alg":"none"}',
    ],
    ids=lambda of: of[:12].decode("latin-1"),
)
def test_a_header_that_is_no_object_is_refused(server: Server, sound: Tokens, of: bytes) -> None:
    """Whatever stands before the first dot (security.md 46)."""
    assert is_refused(server, assembled(of, claims(sound.access), b"x" * 256))


@pytest.mark.parametrize("size", [16_000, 17_000, 60_000])
def test_a_huge_token_is_refused(server: Server, sound: Tokens, size: int) -> None:
    """In bounded work: what is too long is not even taken apart (security.md 123)."""
    jose_header, payload, signature = sound.access.split(".")

    response = ask(server, f"{jose_header}.{payload + 'A' * (size - len(sound.access))}.{signature}")

    assert response.status_code in (400, 401, 431)


@pytest.mark.parametrize(
    "token", [".", "..", "...", "a.b", "a.b.c.d", "a.b.c.d.e", "a..c", "a.b.", "=.=.=", "é.é.é", "a b.c.d", "a+b.c/d.e"]
)
def test_text_of_another_form_is_refused(server: Server, token: str) -> None:
    """Junk costs no question to the database, and never fails (security.md 46)."""
    with statements(server) as queries:
        response = ask(server, token)

    assert response.status_code == 401
    assert [each for each in queries if "oauth" in each or "signing_keys" in each] == []


def test_a_changed_letter_anywhere_is_refused(server: Server, sound: Tokens) -> None:
    """Header, claims or signature: each is signed."""
    token = sound.access
    for at in (5, token.index(".") + 10, len(token) - 20):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert is_refused(server, changed)


# ---- claims ----


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"iss": ["x"]},
        {"sub": 1},
        {"sub": "999999999"},
        {"sub": None},
        {"aud": {}},
        {"aud": {"a": "b"}},
        {"aud": []},
        {"aud": [["x"]]},
        {"aud": [1, None]},
        {"aud": None},
        {"aud": True},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": None},
        {"exp": []},
        {"exp": -1},
        {"exp": 0},
        {"exp": {"a": 1}},
        {"nbf": "1"},
        {"nbf": None},
        {"nbf": []},
        {"nbf": True},
        {"iat": "now"},
        {"iat": {}},
        {"iat": 10**30},
        {"jti": None},
        {"jti": []},
        {"jti": {}},
        {"client_id": None},
        {"client_id": "another"},
        {"client_id": []},
        {"scope": None},
        {"scope": ["agents:read"]},
        {"scope": 1},
        {"sid": None},
        {"sid": "nothing"},
        {"sid": "\0"},
        {"sid": "é"},
        {"sid": []},
        {"sid": 1},
        {"org": None},
        {"org": "1"},
        {"org": 10**30},
        {"space": 1},
        {"space": "personal"},
        {"space": []},
        {"spaces": None},
        {"spaces": {}},
        {"spaces": "all"},
        {"spaces": [None]},
        {"spaces": [1]},
        {"spaces": [[]]},
        {"spaces": [{}]},
        {"spaces": [{"id": 1}]},
        {"spaces": [{"id": [], "role": "viewer"}]},
        {"spaces": [{"id": True, "role": "viewer"}]},
        {"spaces": [{"id": 1, "role": None}]},
        {"spaces": [{"id": 1, "role": []}]},
        {"spaces": [{"id": 1, "role": "owner"}]},
        {"spaces": [{"id": 999_999_999, "role": "viewer"}]},
        {"spaces_omitted": 1},
        {"spaces_omitted": None, "spaces_digest": None},
    ],
    ids=json.dumps,
)
def test_odd_claims_are_refused_and_break_nothing(server: Server, sound: Tokens, changed: dict[str, Any]) -> None:
    """Even under our own signature: claims are judged, never trusted to have a form (RFC 9068 section 4, security.md 42)."""
    assert is_refused(server, resigned(server, sound.access, **changed))


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "jti", "client_id", "scope", "sid", "org", "space", "spaces"])
def test_a_missing_claim_is_refused(server: Server, sound: Tokens, name: str) -> None:
    """What the profile asks for must be there (RFC 9068 section 2.2, security.md 42)."""
    assert is_refused(server, resigned(server, sound.access, without=name))


@pytest.mark.parametrize("said", [b"", b"[]", b"1", b"null", b'"x"', b"{", b"\xff", b'{"exp":NaN}', b"[" * 9_000, b'{"exp":1e999}'])
def test_claims_that_are_no_object_are_refused(server: Server, sound: Tokens, said: bytes) -> None:
    """Also under our own signature."""
    key = ring(server)._signing_key()
    plain = assembled(header(sound.access), said).rpartition(".")[0]
    signature = key_ring._REGISTRY.get_alg(key.algorithm).sign(plain.encode(), key.key)

    response = ask(server, f"{plain}.{encoded(signature)}")

    assert response.status_code == 401


def test_a_claim_that_stands_twice_counts_once(server: Server, sound: Tokens) -> None:
    """The last one, for every check alike: nobody checks the first and uses the second (RFC 7519 section 4)."""
    key = ring(server)._signing_key()
    payload = json.dumps(claims(sound.access))
    doubled = (payload[:-1] + ', "iss": "https://evil.example"}').encode()
    plain = assembled(header(sound.access), doubled).rpartition(".")[0]

    assert is_refused(server, f"{plain}.{encoded(key_ring._REGISTRY.get_alg(key.algorithm).sign(plain.encode(), key.key))}")


def test_a_token_of_another_deployment_is_refused(server: Server, serve: Callable[..., Server], sound: Tokens) -> None:
    """Another issuer, whose key even has the name of ours (security.md 46, 47)."""
    elsewhere = Apps(Organization(serve()))
    foreign = elsewhere.tokens(elsewhere.register()).access
    key = ring(elsewhere.server)._signing_key().key

    assert is_refused(server, foreign)
    assert is_refused(server, forged({**header(foreign), "kid": header(sound.access)["kid"]}, claims(sound.access), key))
    assert elsewhere.get("/agent/all", Tokens({"access_token": foreign})).status_code == 200


def test_a_token_for_one_organization_is_none_for_another(server: Server, sound: Tokens, other: Organization) -> None:
    """Whoever would change the claim changes nothing: the grant decides (security.md 42)."""
    assert is_refused(server, resigned(server, sound.access, org=other.id))
    assert is_refused(server, resigned(server, sound.access, sub=str(other.admin.id)))
    theirs = Apps(other)
    sid = claims(theirs.tokens(theirs.register()).access)["sid"]
    assert is_refused(server, resigned(server, sound.access, sid=sid))


# ---- anything ----

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "sid", "org", "role", "space", "spaces"])


@settings(max_examples=60, deadline=None)
@given(changed=st.dictionaries(NAMES, JSON, min_size=1, max_size=3))
def test_no_claim_of_any_shape_makes_the_verifier_fail(server: Server, sound: Tokens, changed: dict[str, Any]) -> None:
    """It is refused or accepted; it never raises (RFC 8725 section 3.11)."""
    services = server.services
    token = resigned(server, sound.access, **changed).encode()

    async def look_up() -> object:
        return await services.tokens.look_up(token, await services.generation.current())

    result = server.run(look_up())

    assert type(result).__name__ in ("Verified", "RejectedCredential")


@settings(max_examples=200, deadline=None)
@given(
    token=st.one_of(
        st.binary(max_size=200), st.builds(lambda *parts: b".".join(parts), *[st.from_regex(rb"[A-Za-z0-9_-]{0,60}", fullmatch=True)] * 3)
    )
)
def test_no_text_makes_the_ring_fail(server: Server, token: bytes) -> None:
    """It raises NotSigned, and nothing else."""
    with pytest.raises(InvalidSignature):
        ring(server).verify(token, typ=tokens.ACCESS)
