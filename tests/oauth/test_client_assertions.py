"""Clients that prove themselves by a signed assertion (private_key_jwt, RFC 7523)."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from latchpin.kit import clock as kit_clock
from latchpin.kit.clock import Frozen
from latchpin.oauth import client_assertion
from tests.support.documents import EC_KEY, RSA_KEY, Publisher, published
from tests.support.nodes import node
from tests.support.people import Organization
from tests.support.server import Server
from tests.support.signers import Signer
from tests.support.tokens import reasons

Serve = Callable[..., Server]


@pytest.fixture
def signer(organization: Organization) -> Signer:
    """An app with an RSA key."""
    return Signer(organization)


def test_an_app_proves_itself_by_its_key(organization: Organization) -> None:
    """With each algorithm that the metadata names, with or without client_id beside it."""
    edwards = OKPKey.generate_key("Ed25519", {"kid": "ed-1"})
    tried: dict[str, Key] = {"RS256": RSA_KEY, "PS256": RSA_KEY, "ES256": EC_KEY, "Ed25519": edwards, "EdDSA": edwards}

    for alg, key in tried.items():
        signer = Signer(organization, key)
        assert signer.is_let(signer.assertion(alg=alg)), alg
        assert signer.ask(signer.assertion(alg=alg), client_id=signer.app.client_id).status_code == 200, alg
    metadata = organization.server.http.get("/.well-known/oauth-authorization-server").json()
    for endpoint in ("token", "revocation", "introspection"):
        assert set(metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]) == set(tried), endpoint


def test_the_two_names_of_ed25519_are_one_algorithm(organization: Organization) -> None:
    """A key that is published under one name fits a signature under the other, and no key fits beyond that (RFC 9864 section 2.2)."""
    for published_alg in ("Ed25519", "EdDSA"):
        signer = Signer(organization, OKPKey.generate_key("Ed25519", {"kid": "ed-1", "alg": published_alg}))
        unnamed = OKPKey.import_key({name: value for name, value in signer.key.as_dict(private=True).items() if name != "alg"})
        for alg in ("Ed25519", "EdDSA"):
            assert signer.is_let(signer.assertion(unnamed, alg=alg)), (published_alg, alg)
    fixed = Signer(organization, RSAKey.import_key({**RSA_KEY.as_dict(private=True), "alg": "PS256"}))
    assert not fixed.is_let(fixed.assertion(RSA_KEY, alg="RS256"))


def test_the_audience_must_be_us_alone(signer: Signer) -> None:
    """By the issuer, an endpoint that clients prove themselves at, or several of these; else it could be passed on (security.md 61)."""
    url = signer.server.url
    metadata = signer.server.http.get("/.well-known/oauth-authorization-server").json()
    names = ("token", "pushed_authorization_request", "device_authorization", "introspection", "revocation")
    endpoints = [
        metadata[f"{each}_endpoint"] for each in names
    ]  # the request's own address is what libraries put there (RFC 9126 section 2)
    sound = [url, [url], *endpoints, [url, metadata["token_endpoint"]], endpoints]
    wrong = [
        None,
        "",
        "https://other.example",
        f"{url}/",
        f"{url}.evil.example",
        [],
        [url, "https://other.example"],
        {"a": url},
        1,
        [[url]],
    ]

    assert [each for each in sound if not signer.is_let(signer.assertion(aud=each))] == []
    assert [each for each in wrong if signer.is_let(signer.assertion(aud=each))] == []


def test_an_assertion_lives_for_an_hour_at_most(signer: Signer, clock: Frozen) -> None:
    """A long one would be a password; the limit is an hour by a clock that may differ by a minute (security.md 61)."""
    now = int(kit_clock.timestamp())
    sound, wrong = [now + 1, now + 590, now + 3600, now + 3659], [None, now, now - 1, now + 3661, now + 86_400, "tomorrow", 1e300]

    assert [each for each in sound if not signer.is_let(signer.assertion(exp=each))] == []
    assert [each for each in wrong if signer.is_let(signer.assertion(exp=each))] == []


def test_the_refusal_names_what_is_wrong_with_the_assertion_itself(signer: Signer, clock: Frozen) -> None:
    """The limit with its number; for an unknown app the same, so that nobody learns which exists (security.md 66)."""
    now = int(kit_clock.timestamp())
    cases: list[tuple[dict[str, Any], str]] = [
        ({"exp": now + 7200}, "at most 3600 seconds"),
        ({"jti": None}, "jti"),
        ({"aud": "https://other.example"}, signer.server.url),
        ({"iat": now + 600}, "nbf and iat"),
    ]

    for claims, expected in cases:
        description = signer.ask(signer.assertion(**claims)).json()["error_description"]
        unknown_client_description = signer.ask(signer.assertion(iss="app_nobody", sub="app_nobody", **claims)).json()["error_description"]
        assert expected in description
        assert description == unknown_client_description
    assert set(reasons(signer.organization, "client.refused")) == {"wrong client secret or assertion"}


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_one_app_fills_no_memory_with_its_assertions(signer: Signer, clock: Frozen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that have not expired are bounded for each app, across processes; other apps are not affected, and time makes room."""
    monkeypatch.setattr(client_assertion, "MOST_REMEMBERED", 5)
    in_an_hour, other = int(kit_clock.timestamp()) + 3600, Signer(signer.organization)

    assert [signer.is_let(signer.assertion(exp=in_an_hour)) for _ in range(5)] == [True] * 5
    refused = signer.ask(signer.assertion())
    assert (refused.status_code, refused.json()["error"]) == (429, "slow_down")
    assert int(refused.headers["Retry-After"]) == 60
    assert "live a minute" in refused.json()["error_description"]
    assert other.is_let(other.assertion())
    clock.advance(timedelta(hours=1, minutes=1))
    assert signer.is_let(signer.assertion())


def test_an_assertion_from_the_future_does_not_count(signer: Signer, clock: Frozen) -> None:
    """But for the minute that clocks may differ."""
    now = int(kit_clock.timestamp())

    assert signer.is_let(signer.assertion(nbf=now + 50, iat=now + 50))
    assert not signer.is_let(signer.assertion(nbf=now + 120))
    assert not signer.is_let(signer.assertion(iat=now + 120))
    assert not signer.is_let(signer.assertion(iat="now"))


def test_an_assertion_must_be_named(signer: Signer) -> None:
    """Else it could be used again and again (security.md 61)."""
    for jti in (None, "", 7, ["a"], "x" * 501):
        assert not signer.is_let(signer.assertion(jti=jti))


def test_an_assertion_counts_once(signer: Signer) -> None:
    """The very same, and another of the same name (security.md 61)."""
    assertion = signer.assertion(jti="the-one")

    assert signer.is_let(assertion)
    assert not signer.is_let(assertion)
    assert not signer.is_let(signer.assertion(jti="the-one"))


def test_two_apps_may_use_the_same_name(organization: Organization) -> None:
    """A name is its client's own."""
    one, other = Signer(organization), Signer(organization)

    assert one.is_let(one.assertion(jti="same"))
    assert other.is_let(other.assertion(jti="same"))


def test_two_nodes_share_the_list_of_used_assertions(serve: Serve) -> None:
    """What one process has taken no other takes (security.md 61)."""
    server = serve()
    signer = Signer(Organization(server))
    first, second = signer.assertion(), signer.assertion()

    with node(server) as other:
        assert signer.is_let(first)
        assert not signer.is_let(first, other)
        assert signer.is_let(second, other)
        assert not signer.is_let(second)


def test_an_assertion_speaks_for_its_own_app_only(organization: Organization) -> None:
    """Whoever signs for another, or is not who the form says."""
    one, other = Signer(organization), Signer(organization, RSAKey.generate_key(2048, {"kid": "rsa-2"}))

    assert not one.is_let(one.assertion(other.key))
    assert not one.is_let(one.assertion(sub=other.app.client_id))
    assert not one.is_let(one.assertion(iss=None))
    assert one.ask(one.assertion(), client_id=other.app.client_id).json()["error"] == "invalid_request"


def test_only_the_apps_own_keys_count(organization: Organization) -> None:
    """No public key as a secret, no key or address of a key from the header, no algorithm that does not fit, no signature at all."""
    signer = Signer(organization)
    stranger = RSAKey.generate_key(2048, {"kid": "rsa-1"})
    unsigned = signer.assertion().rsplit(".", 1)[0] + "."

    assert not signer.is_let(signer.assertion(stranger))
    assert not signer.is_let(signer.assertion(stranger, header={"jwk": stranger.as_dict(private=False)}))
    assert not signer.is_let(signer.assertion(stranger, header={"jku": "https://evil.example/keys"}))
    assert not signer.is_let(unsigned)
    assert not signer.is_let(_confused(signer.assertion(), RSA_KEY))


def test_a_key_is_found_by_its_name_or_tried(organization: Organization) -> None:
    """An app with several keys may leave the name out; a name that is not there is no other key's."""
    signer = Signer(organization, RSA_KEY, EC_KEY)

    assert signer.is_let(signer.assertion(EC_KEY, alg="ES256", header={"kid": None}))
    assert signer.is_let(signer.assertion(EC_KEY, alg="ES256"))
    assert not signer.is_let(signer.assertion(EC_KEY, alg="ES256", header={"kid": "unknown"}))


@pytest.mark.parametrize("assertion", ["", "x", "a.b", "a.b.c", "a.b.c.d", "é.é.é", "x" * 9000])
def test_what_is_no_assertion_is_refused(signer: Signer, assertion: str) -> None:
    """Without an error of ours."""
    response = signer.ask(assertion)

    assert (response.status_code, response.json()["error"]) in ((401, "invalid_client"), (400, "invalid_request"))


def test_keys_are_fetched_from_where_the_app_publishes_them(served: tuple[Organization, Publisher]) -> None:
    """And kept for ten minutes."""
    organization, publisher = served
    signer = Signer(organization, jwks_uri=publish(publisher, RSA_KEY))

    assert [signer.is_let(signer.assertion()) for _ in range(3)] == [True] * 3
    assert publisher.asked == ["/keys"]


def test_a_new_key_is_fetched_once_a_minute(served: tuple[Organization, Publisher], clock: Frozen) -> None:
    """So that an app can change its keys, and nobody can make us fetch for every request."""
    organization, publisher = served
    new = ECKey.generate_key("P-256", {"kid": "new"})
    signer = Signer(organization, jwks_uri=publish(publisher, RSA_KEY))
    assert signer.is_let(signer.assertion())
    publish(publisher, new)
    clock.advance(timedelta(minutes=2))

    assert signer.is_let(signer.assertion(new, alg="ES256"))
    junk = [signer.is_let(signer.assertion(new, alg="ES256", header={"kid": f"junk-{number}"})) for number in range(5)]

    assert (junk, publisher.asked) == ([False] * 5, ["/keys", "/keys"])
    assert not signer.is_let(signer.assertion(RSA_KEY))


def test_a_key_that_was_taken_back_ends_within_ten_minutes(served: tuple[Organization, Publisher], clock: Frozen) -> None:
    """Nothing is served from memory beyond that."""
    organization, publisher = served
    signer = Signer(organization, jwks_uri=publish(publisher, RSA_KEY))
    assert signer.is_let(signer.assertion())
    publish(publisher, EC_KEY)
    clock.advance(timedelta(minutes=11))

    assert not signer.is_let(signer.assertion())


def test_symmetric_and_small_keys_do_not_count(served: tuple[Organization, Publisher]) -> None:
    """Wherever they are published, and whatever else is published beside them (security.md 72)."""
    organization, publisher = served
    secret = OctKey.generate_key(256, {"kid": "oct-1"})
    with pytest.warns(SecurityWarning):
        small = RSAKey.generate_key(1024, {"kid": "rsa-small"})
    keys = [secret.as_dict(private=True), small.as_dict(private=False), {"kty": "RSA"}, "x", None, EC_KEY.as_dict(private=False)]
    signer = Signer(organization, jwks_uri=publisher.json("/keys", {"keys": keys}))

    assert not signer.is_let(signer.assertion(secret, alg="HS256"))
    assert not signer.is_let(signer.assertion(small))
    assert signer.is_let(signer.assertion(EC_KEY, alg="ES256"))


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_keys_at_a_private_address_are_not_fetched(organization: Organization) -> None:
    """The same rules as for documents (security.md 71)."""
    with published() as publisher:
        signer = Signer(organization, jwks_uri=f"https://127.0.0.1:{publisher.port}/keys")

        assert not signer.is_let(signer.assertion())
        assert publisher.asked == []


@pytest.fixture
def served(serve: Serve) -> Iterator[tuple[Organization, Publisher]]:
    """A deployment that fetches from the loopback address, and a place to publish."""
    with published() as publisher:
        yield Organization(serve(client_documents_private=True)), publisher


def publish(publisher: Publisher, *keys: Key) -> str:
    """Publish public keys and return their address."""
    return publisher.json("/keys", {"keys": [each.as_dict(private=False) for each in keys]})


def _confused(assertion: str, key: RSAKey) -> str:
    """Return the claims of an assertion under HMAC, with the public key as if it were a secret."""
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": key.kid}).encode()).rstrip(b"=")
    signed = head + b"." + assertion.split(".")[1].encode()
    mac = base64.urlsafe_b64encode(hmac.digest(key.as_pem(private=False), signed, "sha256")).rstrip(b"=")
    return (signed + b"." + mac).decode()
