"""The verifier that others use, against a running server, knowing nothing but the issuer's address."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import Key, OKPKey, RSAKey

from latchpin.audit import Actor
from latchpin.identity import signing_keys
from latchpin.identity.roles import Role
from latchpin.kit import clock as kit_clock
from latchpin.kit.clock import Frozen
from latchpin.verify import InsufficientScope, InvalidToken, IssuerUnreachable, Verifier
from tests.support.apps import App, Apps, Tokens
from tests.support.people import Organization
from tests.support.server import Server

Issuer = tuple[str, dict[str, Any], list[str]]


def verifier_of(server: Server, **more: Any) -> Verifier:
    """Return a verifier for tokens of our own API, on the clock that the server goes by."""
    return Verifier(server.url, **{"audience": server.url, "clock": kit_clock.timestamp, **more})


def part(value: Any) -> str:
    """Return one part of a compact JWS."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token."""
    header, claims = (json.loads(base64.urlsafe_b64decode(each + "==")) for each in token.split(".")[:2])
    return header, claims


def signed(server: Server, claims: dict[str, Any], **header: Any) -> str:
    """Return a token that the server's present key signed, with any header."""
    held = server.run(_ready(server))._signing_key()
    whole = {"typ": "at+jwt", "alg": held.algorithm, "kid": held.kid, **header}
    return jws.serialize_compact(whole, json.dumps(claims), held.key)


async def _ready(server: Server) -> Any:
    ring = server.services.tokens._ring
    await ring.ready()
    return ring


@contextmanager
def issuer(**changed: Any) -> Iterator[Issuer]:
    """Serve metadata and keys of an issuer that is made up; yields its address, its documents (to change) and the paths asked for."""
    paths: list[str] = []
    documents: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            document = documents.get(self.path)
            self.send_response(200 if document is not None else 404)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    documents["/.well-known/oauth-authorization-server"] = {"issuer": url, "jwks_uri": f"{url}/keys", **changed}
    try:
        yield url, documents, paths
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def made_up(url: str, key: Key, kid: str = "one", *, alg: str = "RS256", **changed: Any) -> str:
    """Return a sound token of a made-up issuer, but for what is changed."""
    now = int(kit_clock.timestamp())
    claims = {"iss": url, "aud": "api", "sub": "1", "client_id": "c", "jti": "j", "iat": now, "exp": now + 900, **changed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of EdDSA, as a name that goes out of use
        return jws.serialize_compact({"typ": "at+jwt", "alg": alg, "kid": kid}, json.dumps(claims), key, [alg])


def public(key: Key, kid: str = "one", **more: Any) -> dict[str, Any]:
    """Return a key as it is published."""
    return {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": "RS256", **more}


def test_a_sound_token_tells_who_may_do_what(apps: Apps, app: App) -> None:
    """Subject, client, scopes, organization, role and Spaces are those of the token, with the issuer's address as the only setting."""
    organization = apps.organization
    person = organization.user()
    space = organization.space("Retail")
    organization.member(space, person, Role.OPERATOR)
    tokens = apps.tokens(app, person, scope="agents:read spaces:read")

    token = verifier_of(apps.server).verify(tokens.access)

    assert (token.issuer, token.subject, token.client_id) == (apps.server.url, str(person.id), app.client_id)
    assert token.scopes == {"agents:read", "spaces:read"}
    assert (token.organization, token.role, token.space) == (organization.id, "User", "all")
    assert [(each.id, each.role) for each in token.spaces or ()] == [(space, "operator")]
    assert token.sid
    assert token.expires == parts_of(tokens.access)[1]["exp"]
    assert not token.is_service


def test_a_service_is_known_as_one(apps: Apps) -> None:
    """A token of client_credentials has the client as its subject, and says so."""
    service = apps.service()

    token = verifier_of(apps.server).verify(apps.own(service).json()["access_token"])

    assert (token.subject, token.is_service) == (service.client_id, True)


async def test_the_same_holds_in_an_event_loop(apps: Apps, app: App) -> None:
    """`verify_async` gives what `verify` gives; many at once fetch the keys once."""
    tokens = apps.tokens(app)
    verifier = verifier_of(apps.server)

    verified_tokens = await asyncio.gather(*(verifier.verify_async(tokens.access) for _ in range(20)))

    assert {each.subject for each in verified_tokens} == {verifier.verify(tokens.access).subject}


def test_a_scope_that_the_token_lacks_is_named(apps: Apps, app: App) -> None:
    """`require_scope` passes what is there, and names all that are needed where one is missing (security.md 51)."""
    token = verifier_of(apps.server).verify(apps.tokens(app, scope="agents:read").access)

    token.require_scope("agents:read")
    with pytest.raises(InsufficientScope) as refused:
        token.require_scope("agents:read", "runs:read")

    assert refused.value.status == 403
    metadata = "https://api.partner.example/.well-known/oauth-protected-resource"
    header = refused.value.www_authenticate(metadata)
    assert header.startswith('Bearer error="insufficient_scope"')
    assert 'scope="agents:read runs:read"' in header
    assert f'resource_metadata="{metadata}"' in header


def test_an_id_token_is_no_access_token(apps: Apps, app: App) -> None:
    """An ID token of the same sign-in is refused by its type, although the same key signed it (security.md 41, 46)."""
    tokens = apps.tokens(app, scope="openid agents:read")
    verifier = verifier_of(apps.server, audience=[apps.server.url, app.client_id])

    verifier.verify(tokens.access)
    with pytest.raises(InvalidToken, match="no access token"):
        verifier.verify(tokens.answer["id_token"])


def test_a_token_for_another_resource_is_refused(apps: Apps, app: App) -> None:
    """A token for our API does not open a partner's (security.md 45)."""
    tokens = apps.tokens(app)

    with pytest.raises(InvalidToken, match="another resource"):
        verifier_of(apps.server, audience="https://api.partner.example").verify(tokens.access)


def test_a_token_lives_as_long_as_it_says(apps: Apps, app: App, clock: Frozen) -> None:
    """It counts until its end and at most 60 seconds more, never longer (security.md 48)."""
    tokens = apps.tokens(app)
    lenient, strict = verifier_of(apps.server), verifier_of(apps.server, leeway=0)

    clock.advance(timedelta(minutes=15, seconds=-1))
    strict.verify(tokens.access)
    clock.advance(timedelta(seconds=2))
    lenient.verify(tokens.access)
    with pytest.raises(InvalidToken, match="expired"):
        strict.verify(tokens.access)
    clock.advance(timedelta(seconds=59))
    with pytest.raises(InvalidToken, match="expired"):
        lenient.verify(tokens.access)


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_from_the_future_is_refused(claim: str, apps: Apps, app: App) -> None:
    """`iat` and `nbf` may be 60 seconds ahead and no more (security.md 48)."""
    claims = parts_of(apps.tokens(app).access)[1]
    verifier = verifier_of(apps.server)
    now = int(kit_clock.timestamp())

    verifier.verify(signed(apps.server, {**claims, claim: now + 50}))
    with pytest.raises(InvalidToken, match="not valid yet"):
        verifier.verify(signed(apps.server, {**claims, claim: now + 90}))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "client_id", "exp", "iat", "jti"])
def test_a_claim_that_rfc_9068_asks_for_must_be_there(claim: str, apps: Apps, app: App) -> None:
    """A token without it is refused, though its signature is right (security.md 42)."""
    claims = parts_of(apps.tokens(app).access)[1]
    del claims[claim]

    with pytest.raises(InvalidToken):
        verifier_of(apps.server).verify(signed(apps.server, claims))


@pytest.mark.parametrize("value", [None, True, "9999999999", [9999999999], {}], ids=str)
def test_a_time_that_is_no_number_is_refused(value: Any, apps: Apps, app: App) -> None:
    """An `exp` of another kind never means for ever (security.md 48)."""
    claims = parts_of(apps.tokens(app).access)[1]

    with pytest.raises(InvalidToken):
        verifier_of(apps.server).verify(signed(apps.server, {**claims, "exp": value}))


def test_a_token_without_a_signature_is_refused(apps: Apps, app: App) -> None:
    """`alg` none is not on the list, in any spelling, with and without the old signature (security.md 46)."""
    access = apps.tokens(app).access
    header, claims = parts_of(access)
    verifier = verifier_of(apps.server)

    for word in ("none", "None", "NONE", "nOnE"):
        unsigned = f"{part({**header, 'alg': word})}.{part(claims)}."
        for text in (unsigned, unsigned + access.split(".")[2]):
            with pytest.raises(InvalidToken):
                verifier.verify(text)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_shared_secret(algorithm: str, apps: Apps, app: App) -> None:
    """A token signed with HMAC under the published key, in each form it can be had in, is refused (security.md 46)."""
    header, claims = parts_of(apps.tokens(app).access)
    published = apps.server.http.get("/api/oauth/certs").json()["keys"][0]
    key = RSAKey.import_key(published)
    signing_input = f"{part({**header, 'alg': algorithm})}.{part(claims)}"
    verifier = verifier_of(apps.server)

    for secret in (key.as_pem(private=False), key.as_der(private=False), json.dumps(published).encode(), published["n"].encode()):
        signature = hmac.digest(secret, signing_input.encode(), f"sha{algorithm[2:]}")
        text = f"{signing_input}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
        with pytest.raises(InvalidToken):
            verifier.verify(text)


@pytest.mark.parametrize("algorithms", [["HS256"], ["none"], ["RS256", "HS256"], []], ids=str)
def test_a_list_with_shared_secrets_is_refused_at_the_start(algorithms: list[str]) -> None:
    """A verifier cannot even be made with them (security.md 46)."""
    with pytest.raises(ValueError, match="algorithms"):
        Verifier("https://latchpin.example", audience="api", algorithms=algorithms)


def test_a_key_that_the_token_brings_along_is_refused(apps: Apps, app: App) -> None:
    """`jku`, `jwk`, `x5u` and `x5c` are refused, nothing is fetched from where they point, and their key opens nothing (security.md 46)."""
    header, claims = parts_of(apps.tokens(app).access)
    own = RSAKey.generate_key(2048)
    with issuer() as (url, documents, paths):
        documents["/keys"] = {"keys": [public(own, header["kid"])]}
        brought = {"jku": f"{url}/keys", "x5u": f"{url}/cert", "jwk": own.as_dict(private=False), "x5c": ["MIIB"]}
        for name, value in brought.items():
            for text in (
                jws.serialize_compact({**header, name: value}, json.dumps(claims), own),
                signed(apps.server, claims, **{name: value}),
            ):
                with pytest.raises(InvalidToken):
                    verifier_of(apps.server).verify(text)

    assert paths == []


def test_a_foreign_key_under_our_keys_name_is_refused(apps: Apps, app: App) -> None:
    """A right `kid` does not make a right signature."""
    header, claims = parts_of(apps.tokens(app).access)

    with pytest.raises(InvalidToken, match="signature"):
        verifier_of(apps.server).verify(jws.serialize_compact(header, json.dumps(claims), RSAKey.generate_key(2048)))


@pytest.mark.parametrize("kid", ["", None, "../../etc/passwd", "' OR 1=1 --", 7, ["a"], "x" * 5000], ids=lambda each: str(each)[:12])
def test_a_strange_kid_is_refused(kid: Any, apps: Apps, app: App) -> None:
    """`kid` only ever chooses among the published keys."""
    header, claims = parts_of(apps.tokens(app).access)

    with pytest.raises(InvalidToken):
        verifier_of(apps.server).verify(f"{part({**header, 'kid': kid})}.{part(claims)}.c2lnbmF0dXJl")


@pytest.mark.parametrize(
    "text", ["", "a", "a.b", "a.b.c", "a.b.c.d.e", "ü.ü.ü", "." * 3, "e30.e30.e30", "A" * 100_000], ids=lambda each: each[:12]
)
def test_junk_is_refused_before_anything_is_fetched(text: str) -> None:
    """What has no form of a token costs no question to the issuer."""
    with issuer() as (url, _, paths):
        with pytest.raises(InvalidToken):
            Verifier(url, audience="api").verify(text)

        assert paths == []


def test_a_token_of_a_foreign_issuer_is_refused(apps: Apps, app: App, serve: Callable[..., Server]) -> None:
    """Another deployment's token does not count here, and a token that names another issuer neither, even with our signature."""
    elsewhere = Apps(Organization(serve()))
    foreign = elsewhere.tokens(elsewhere.register())
    claims = parts_of(apps.tokens(app).access)[1]
    verifier = verifier_of(apps.server)

    for text in (
        foreign.access,
        signed(apps.server, {**claims, "iss": elsewhere.server.url}),
        signed(apps.server, {**claims, "iss": apps.server.url + "/"}),
    ):
        with pytest.raises(InvalidToken):
            verifier.verify(text)


def test_rotation_is_never_noticed(serve: Callable[..., Server], clock: Frozen) -> None:
    """While the deployment changes its key, old and new tokens count the whole time, though keys are kept for ten minutes."""
    apps = Apps(Organization(serve()))
    app = apps.register()
    verifier = verifier_of(apps.server)
    verifier.verify(apps.tokens(app).access)
    rotated = apps.organization.write(
        lambda session: signing_keys.rotate(session, apps.server.services.secrets, apps.server.settings, by=Actor("test"))
    )

    all_tokens: list[Tokens] = []
    for _ in range(12):
        all_tokens.append(apps.tokens(app))
        for tokens in all_tokens[-3:]:
            verifier.verify(tokens.access)
        clock.advance(timedelta(minutes=4))

    kids = [parts_of(tokens.access)[0]["kid"] for tokens in all_tokens]
    assert kids[0] != rotated
    assert kids[-1] == rotated


def test_a_key_taken_down_is_refused_after_ten_minutes(serve: Callable[..., Server], clock: Frozen) -> None:
    """After an exposed key is replaced at once, its tokens count for as long as keys are kept and no longer; new ones count at once."""
    apps = Apps(Organization(serve(access_token_minutes=60)))
    app = apps.register()
    old = apps.tokens(app)
    verifier, quiet = verifier_of(apps.server), verifier_of(apps.server)
    verifier.verify(old.access)
    quiet.verify(old.access)
    apps.organization.write(
        lambda session: signing_keys.rotate(session, apps.server.services.secrets, apps.server.settings, by=Actor("test"), at_once=True)
    )

    verifier.verify(apps.tokens(app).access)  # unknown key: fetched at once, and so the old one is gone too
    with pytest.raises(InvalidToken, match="does not publish"):
        verifier.verify(old.access)

    quiet.verify(old.access)
    clock.advance(timedelta(minutes=10))
    with pytest.raises(InvalidToken, match="does not publish"):
        quiet.verify(old.access)


def test_an_unknown_key_is_looked_for_once_a_minute(clock: Frozen) -> None:
    """However many tokens name unknown keys, the keys are fetched once a minute for them, and then refused (security.md 47)."""
    key = RSAKey.generate_key(2048)
    with issuer() as (url, documents, paths):
        documents["/keys"] = {"keys": [public(key)]}
        verifier = Verifier(url, audience="api", clock=kit_clock.timestamp)
        verifier.verify(made_up(url, key))
        assert paths.count("/keys") == 1

        for number in range(20):
            with pytest.raises(InvalidToken):
                verifier.verify(made_up(url, key, f"unknown-{number}"))
        assert paths.count("/keys") == 2

        clock.advance(timedelta(seconds=61))
        documents["/keys"]["keys"].append(public(key, "two"))
        verifier.verify(made_up(url, key, "two"))
        assert paths.count("/keys") == 3
        assert paths.count("/.well-known/oauth-authorization-server") == 1


async def test_an_unknown_key_is_looked_for_once_by_all_at_once() -> None:
    """A hundred requests that come together ask the issuer once for a key that is not known (security.md 47)."""
    key = RSAKey.generate_key(2048)
    with issuer() as (url, documents, paths):
        documents["/keys"] = {"keys": [public(key)]}
        verifier = Verifier(url, audience="api")
        await asyncio.gather(*(verifier.verify_async(made_up(url, key)) for _ in range(50)))
        assert paths.count("/keys") == 1

        documents["/keys"]["keys"].append(public(key, "two"))
        text = made_up(url, key, "two")
        await asyncio.gather(*(verifier.verify_async(text) for _ in range(100)))
        assert paths.count("/keys") == 2


def test_metadata_of_another_issuer_is_not_believed() -> None:
    """Metadata must name the very address it was asked for (RFC 8414 section 3.3)."""
    key = RSAKey.generate_key(2048)
    with issuer(issuer="https://other.example") as (url, documents, paths):
        documents["/keys"] = {"keys": [public(key)]}
        with pytest.raises(IssuerUnreachable, match="another issuer"):
            Verifier(url, audience="api").verify(made_up(url, key))

        assert "/keys" not in paths


def test_keys_are_not_fetched_in_the_clear() -> None:
    """Neither an issuer nor its keys may lie behind plain http, except on this machine."""
    with pytest.raises(ValueError, match="https"):
        Verifier("http://latchpin.example", audience="api")
    key = RSAKey.generate_key(2048)
    with issuer(jwks_uri="http://keys.example/keys") as (url, _, _asked), pytest.raises(IssuerUnreachable, match="https"):
        Verifier(url, audience="api").verify(made_up(url, key))


def test_published_secrets_and_encryption_keys_are_passed_over() -> None:
    """A shared secret or an encryption key in the list checks no signature; sound keys beside them still do (security.md 46)."""
    key = RSAKey.generate_key(2048)
    with issuer() as (url, documents, _):
        odd = [{"kty": "oct", "kid": "one", "k": "c2VjcmV0"}, public(key, "two", use="enc"), {"kty": "new", "kid": "x"}, "text", {}]
        documents["/keys"] = {"keys": [*odd, public(key, "three")]}
        verifier = Verifier(url, audience="api")

        verifier.verify(made_up(url, key, "three"))
        for kid in ("one", "two"):
            with pytest.raises(InvalidToken):
                verifier.verify(made_up(url, key, kid))


def test_an_issuer_that_is_gone_lets_nobody_in(clock: Frozen) -> None:
    """Without keys nothing can be said: 503, and after ten minutes not even the known keys count; it recovers by itself."""
    key = RSAKey.generate_key(2048)
    with issuer() as (url, documents, paths):
        documents["/keys"] = {"keys": [public(key)]}
        verifier = Verifier(url, audience="api", clock=kit_clock.timestamp)
        verifier.verify(made_up(url, key))
        published = documents.pop("/keys")
        clock.advance(timedelta(minutes=9))
        verifier.verify(made_up(url, key))

        clock.advance(timedelta(minutes=2))
        for _ in range(5):
            with pytest.raises(IssuerUnreachable):
                verifier.verify(made_up(url, key))
        assert paths.count("/keys") == 2  # and one that does not answer is not asked again and again

        documents["/keys"] = published
        clock.advance(timedelta(seconds=2))
        verifier.verify(made_up(url, key))


@pytest.mark.parametrize("algorithm", ["ES256", "Ed25519"])
def test_every_algorithm_that_a_deployment_can_sign_with_is_accepted(algorithm: str, serve: Callable[..., Server]) -> None:
    """ES256 and Ed25519 work as RS256 does, and a verifier that wants RS256 alone refuses them."""
    apps = Apps(Organization(serve(token_algorithm=algorithm)))
    tokens = apps.tokens(apps.register())

    assert verifier_of(apps.server).verify(tokens.access).subject
    with pytest.raises(InvalidToken):
        verifier_of(apps.server, algorithms=["RS256"]).verify(tokens.access)


def test_the_two_names_of_ed25519_are_one_algorithm() -> None:
    """A key that is published under one name fits a token under the other, unless the verifier takes one of them only (RFC 9864)."""
    key = OKPKey.generate_key("Ed25519")
    with issuer() as (url, documents, _):
        for published in ("Ed25519", "EdDSA"):
            documents["/keys"] = {"keys": [public(key, alg=published)]}
            for alg in ("Ed25519", "EdDSA"):
                assert Verifier(url, audience="api").verify(made_up(url, key, alg=alg)).subject == "1", (published, alg)
                with pytest.raises(InvalidToken):
                    Verifier(url, audience="api", algorithms=["RS256"]).verify(made_up(url, key, alg=alg))


def test_it_is_importable_without_the_server() -> None:
    """Importing it loads nothing of the rest of Latchpin, and no library but joserfc, httpx and what those need."""
    code = (
        "import sys, latchpin.verify; "
        "print([n for n in sys.modules if n.startswith('latchpin.') and not n.startswith('latchpin.verify')]"
        " + [n for n in ('litestar', 'sqlalchemy', 'msgspec', 'granian') if n in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_no_refusal_repeats_the_token(apps: Apps, app: App) -> None:
    """Neither text nor header of a refusal holds what was sent, and a token's repr hides its claims."""
    access = apps.tokens(app).access
    verifier = verifier_of(apps.server)

    for text in (access[:-4] + "AAAA", access + ".x", access.split(".")[1]):
        with pytest.raises(InvalidToken) as refused:
            verifier.verify(text)
        refusal_text = str(refused.value) + repr(refused.value) + refused.value.www_authenticate()
        assert not any(piece and piece in refusal_text for piece in text.split("."))
    assert "claims" not in repr(verifier.verify(access))
