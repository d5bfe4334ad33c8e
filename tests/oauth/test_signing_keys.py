"""The keys that sign tokens: published before they sign, taken down after their last token, sealed at rest, replaced without a loss."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

import tests.support.proofs  # noqa: F401  which tells PyJWT the name Ed25519
from latchpin.audit import Actor
from latchpin.identity import signing_keys
from latchpin.identity.key_ring import KeyRing
from latchpin.identity.signing_keys import ALGORITHMS, LEAD
from latchpin.kit import clock as kit_clock
from latchpin.kit import sealing
from latchpin.storage.generation import invalidate
from latchpin.storage.models import SigningKey
from latchpin.storage.subjects import SIGNING_KEYS
from tests.support.apps import App, Apps, Tokens
from tests.support.databases import Templates
from tests.support.forgery import claims, header, ring
from tests.support.people import Organization
from tests.support.ports import free_port
from tests.support.server import Server, served
from tests.support.signed_in import SignedIn
from tests.support.wire import audit, statements

BY = Actor("test")
CERTS = "/api/oauth/certs"
PRIVATE = ("d", "p", "q", "dp", "dq", "qi")


@pytest.fixture
def apps(serve: Callable[..., Server], clock: kit_clock.Frozen) -> Apps:
    """Apps in a deployment of the test's own, whose keys the test may replace."""
    return Apps(Organization(serve()))


@pytest.fixture
def service(apps: Apps) -> App:
    """An app that gets tokens for itself."""
    return apps.service()


def token(apps: Apps, service: App) -> Tokens:
    """Return a fresh token."""
    response = apps.own(service)
    assert response.status_code == 200, response.text
    return Tokens(response.json())


def rotate(apps: Apps, *, at_once: bool = False) -> str:
    """Replace the key, as `latchpin keys rotate` does."""
    server = apps.server

    async def work(session: AsyncSession) -> str:
        return await signing_keys.rotate(session, server.services.secrets, server.settings, by=BY, at_once=at_once)

    return apps.organization.write(work)


def kids(server: Server) -> list[str]:
    """Return the names of the published keys."""
    return [key["kid"] for key in server.http.get(CERTS).json()["keys"]]


def rows(server: Server) -> list[SigningKey]:
    """Return the keys' rows, the oldest first."""

    async def work() -> list[SigningKey]:
        async with server.database.read() as session:
            return list((await session.scalars(select(SigningKey).order_by(SigningKey.id))).all())

    return server.run(work())


def private_members(server: Server) -> list[str]:
    """Return what must never be seen: the private members of the keys, as a JWK writes them."""
    jwks = [each.key.as_dict(private=True) for each in ring(server)._ring.held]
    return [str(key[name]) for key in jwks for name in PRIVATE if name in key]


# ---- algorithms ----


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_works_from_end_to_end(serve: Callable[..., Server], algorithm: str) -> None:
    """Access and ID token, the API, and a library that nobody here wrote, with the published key (security.md 46, 85)."""
    apps = Apps(Organization(serve(token_algorithm=algorithm)))
    app = apps.register()
    tokens = apps.tokens(app, scope="openid agents:read offline_access")

    assert header(tokens.access)["alg"] == algorithm
    assert apps.get("/agent/all", tokens).status_code == 200
    assert apps.refresh(app, tokens.refresh).status_code == 200
    (published,) = apps.server.http.get(CERTS).json()["keys"]
    assert published["alg"] == algorithm
    key = jwt.PyJWK(published, algorithm="EdDSA" if algorithm == "Ed25519" else algorithm)  # the library knows the older name only
    payload = jwt.decode(tokens.access, key.key, algorithms=[algorithm], audience=apps.server.url, issuer=apps.server.url)
    assert payload["scope"] == "agents:read openid offline_access"
    whole = jwt.decode_complete(tokens.answer["id_token"], key.key, algorithms=[algorithm], audience=app.client_id)
    assert whole["payload"]["at_hash"] == _at_hash(tokens.access, algorithm)
    metadata = apps.server.http.get("/.well-known/openid-configuration").json()
    assert metadata["id_token_signing_alg_values_supported"] == [algorithm]
    assert not apps.server.failure()


def _at_hash(access: str, algorithm: str) -> str:
    # For Ed25519 the library does not say; SHA-512 is what it signs with.
    hashed = jwt.get_algorithm_by_name("RS512" if algorithm in ("Ed25519", "EdDSA") else algorithm)
    digest = hashed.compute_hash_digest(access.encode())
    return jwt.utils.base64url_encode(digest[: len(digest) // 2]).decode()


@pytest.fixture
def place(kind: str, templates: Templates, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Serve one and the same deployment again with other settings, at the same address."""
    port = free_port()
    with templates.fresh(kind, tmp_path) as url:
        yield lambda **overrides: served(url, tmp_path, port=port, **overrides)


@pytest.mark.both_databases("a deployment is opened again, with its keys as they were")
def test_another_algorithm_begins_with_the_next_key(place: Callable[..., Any], clock: kit_clock.Frozen) -> None:
    """A changed setting replaces the key in the usual way, so tokens of before are good until they expire (security.md 85)."""
    with place() as server:
        apps = Apps(Organization(server))
        service = apps.service()
        old = token(apps, service)
    with place(token_algorithm="ES256") as server:
        apps.server = apps.organization.server = server
        assert apps.get("/agent/all", old).status_code == 200
        assert [key["alg"] for key in server.http.get(CERTS).json()["keys"]] == ["RS256", "ES256"]
        assert header(token(apps, service).access)["alg"] == "RS256"
        clock.advance(LEAD - timedelta(minutes=10))
        last = token(apps, service)
        clock.advance(timedelta(minutes=10))
        new = token(apps, service)

        assert (header(last.access)["alg"], header(new.access)["alg"]) == ("RS256", "ES256")
        assert [apps.get("/agent/all", each).status_code for each in (last, new)] == [200, 200]
        assert server.http.get("/.well-known/openid-configuration").json()["id_token_signing_alg_values_supported"] == ["ES256", "RS256"]


# ---- replacing ----


@pytest.mark.both_databases("who makes the first key is decided by a lock")
def test_the_first_key_signs_at_once_and_there_is_one(apps: Apps, service: App) -> None:
    """A fresh deployment waits for nothing, and its processes make one key among them (security.md 85)."""
    server = apps.server

    async def begin() -> None:
        async with server.database.transaction() as session:
            await session.execute(delete(SigningKey))
        rings = [KeyRing(server.database, server.services.secrets, server.settings) for _ in range(4)]
        await asyncio.gather(*(each.ready(10**6) for each in rings))
        assert len({each.sign({}, typ="x").partition(".")[0] for each in rings}) == 1

    server.run(begin())

    assert len(rows(server)) == 1


def test_the_next_key_is_published_long_before_it_signs(apps: Apps, service: App, clock: kit_clock.Frozen) -> None:
    """Whoever keeps the keys for the ten minutes that we say knows it in time (security.md 85)."""
    first = token(apps, service)
    old = header(first.access)["kid"]
    new = rotate(apps)

    assert kids(apps.server) == [old, new]
    assert apps.server.http.get(CERTS).headers["cache-control"] == f"public, max-age={signing_keys.JWKS_SECONDS}"
    assert timedelta(seconds=2 * signing_keys.JWKS_SECONDS) <= LEAD
    clock.advance(LEAD - timedelta(seconds=1))
    assert header(token(apps, service).access)["kid"] == old
    clock.advance(timedelta(seconds=1))
    assert header(token(apps, service).access)["kid"] == new


@pytest.mark.both_databases("old keys are deleted by their time")
def test_the_old_key_stays_until_its_last_token_has_expired(apps: Apps, service: App, clock: kit_clock.Frozen) -> None:
    """Then it goes, from the published set and from the table (security.md 85)."""
    token(apps, service)
    (old,) = kids(apps.server)
    new = rotate(apps)
    clock.advance(LEAD - timedelta(seconds=1))
    last = token(apps, service)
    clock.advance(timedelta(seconds=1) + timedelta(minutes=14, seconds=58))

    assert apps.get("/agent/all", last).status_code == 200
    assert kids(apps.server) == [old, new]
    clock.advance(timedelta(minutes=10))
    assert apps.get("/agent/all", last).status_code == 401
    assert kids(apps.server) == [new]
    apps.organization.write(signing_keys.purge_expired)
    assert [row.kid for row in rows(apps.server)] == [new]


def test_a_rotation_loses_no_request_at_any_minute(apps: Apps, service: App, clock: kit_clock.Frozen) -> None:
    """A token of every minute of an hour, each asked with until it expires, here and in a process that reads keys late (security.md 85)."""
    server, active_tokens = apps.server, [token(apps, service)]
    late = KeyRing(server.database, server.services.secrets, server.settings)
    signed_by = set()
    for minute in range(60):
        if minute in (5, 12):  # the second comes before the first one signs
            rotate(apps)
        clock.advance(timedelta(minutes=1))
        active_tokens = [each for each in active_tokens if claims(each.access)["exp"] > kit_clock.timestamp()]
        active_tokens.append(token(apps, service))
        signed_by.add(header(active_tokens[-1].access)["kid"])
        if minute % 9 == 0:
            server.run(late.ready(0))
        assert {apps.get("/agent/all", each).status_code for each in (active_tokens[0], active_tokens[-1])} == {200}
        for each in active_tokens:
            server.run(late.ready(0))
            assert late.verify(each.access.encode(), typ="at+jwt")

    assert len(signed_by) == 3
    assert not server.failure()


@pytest.mark.both_databases("readers meet writers, which each database orders in its own way")
def test_a_rotation_under_load_loses_no_request(apps: Apps, service: App, clock: kit_clock.Frozen) -> None:
    """Threads that get tokens and use them meet nothing but success while keys come and go (security.md 85)."""
    statuses: list[int] = []
    over = threading.Event()

    def load() -> None:
        with apps.server.client() as http:
            while not over.is_set():
                response = http.post("/api/oauth/token", data={"grant_type": "client_credentials", **service.proof})
                statuses.append(response.status_code)
                bearing = {"Authorization": f"Bearer {response.json().get('access_token')}"}
                statuses.append(http.get("/api/v1/agent/all", headers=bearing).status_code)

    token(apps, service)
    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        rotate(apps)
        for _ in range(4):
            clock.advance(LEAD / 4)
            before = len(statuses)
            while len(statuses) < before + 6 and any(thread.is_alive() for thread in threads):
                threading.Event().wait(0.002)
    over.set()
    for thread in threads:
        thread.join(20)

    assert len(statuses) > 90
    assert set(statuses) == {200}


@pytest.mark.both_databases("who replaces the key is decided by a lock")
def test_keys_are_replaced_by_themselves(apps: Apps, service: App, clock: kit_clock.Frozen) -> None:
    """After `key_rotation_days`, by the first request that comes then, and the trail says so (security.md 85)."""
    first = header(token(apps, service).access)["kid"]
    clock.advance(timedelta(days=apps.server.settings.key_rotation_days) - timedelta(minutes=1))
    assert header(token(apps, service).access)["kid"] == first
    assert len(kids(apps.server)) == 1

    clock.advance(timedelta(minutes=1))
    during = token(apps, service)
    assert (header(during.access)["kid"], len(kids(apps.server))) == (first, 2)
    clock.advance(LEAD)

    assert header(token(apps, service).access)["kid"] != first
    events = audit(apps.organization, "deployment.signing_key_rotated")
    assert [row.actor_name for row in events] == ["Latchpin", "Latchpin"]


@pytest.mark.both_databases("the generation is raised, a file on SQLite and a column on PostgreSQL")
def test_an_exposed_key_is_replaced_at_once(apps: Apps, service: App) -> None:
    """Every token it signed is refused with the next request, and new ones are good (security.md 49, 85)."""
    stolen = token(apps, service)
    assert apps.get("/agent/all", stolen).status_code == 200

    new = rotate(apps, at_once=True)

    assert apps.get("/agent/all", stolen).status_code == 401
    assert kids(apps.server) == [new]
    assert apps.get("/agent/all", token(apps, service)).status_code == 200


def test_an_exposed_key_takes_the_next_one_along(apps: Apps, service: App, clock: kit_clock.Frozen) -> None:
    """A key that was published and never signed is not trusted either (security.md 85)."""
    token(apps, service)
    rotate(apps)

    new = rotate(apps, at_once=True)

    assert kids(apps.server) == [new]
    clock.advance(LEAD * 2)
    assert header(token(apps, service).access)["kid"] == new


# ---- reading ----


def test_those_who_come_together_read_the_keys_once(apps: Apps, service: App) -> None:
    """A change of the keys makes every process read them anew: once, not once for each request that waits."""
    server = apps.server
    token(apps, service)

    async def together() -> None:
        async with server.database.transaction() as session:
            invalidate(session, SIGNING_KEYS)
        generation = await server.services.generation.current()
        await asyncio.gather(*(ring(server).ready(generation) for _ in range(20)))

    with statements(server) as queries:
        server.run(together())

    assert len([each for each in queries if "FROM signing_keys" in each]) == 1


def test_a_key_is_opened_once(apps: Apps, service: App) -> None:
    """Reading an RSA key takes some 35 ms of everybody's time, so what is held is not read again."""
    server = apps.server
    token(apps, service)
    before = ring(server)._signing_key().key

    server.run(ring(server).reload(10**9))

    assert ring(server)._signing_key().key is before


# ---- at rest ----


@pytest.mark.both_databases("what lies in the tables is read from each database")
def test_private_keys_are_sealed_at_rest(apps: Apps, service: App) -> None:
    """A copy of the database, as a backup is, holds no private member; and its file neither (security.md 86)."""
    server = apps.server
    token(apps, service)
    secret = private_members(server)
    assert len(secret) == len(PRIVATE)

    async def dump() -> str:
        async with server.database.read() as session:
            tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
            if not server.settings.is_sqlite:
                tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            names = (await session.scalars(text(tables))).all()
            return "".join([str((await session.execute(text(f'SELECT * FROM "{name}"'))).all()) for name in names])  # noqa: S608

    everything = server.run(dump())

    assert "RS256" in everything
    assert [each for each in secret if each in everything] == []
    for path in server.settings.data_dir.rglob("*"):
        if path.is_file():
            assert not [each for each in secret if each.encode() in path.read_bytes()], path.name


def test_a_sealed_key_opens_with_the_secret_and_its_own_name_only(apps: Apps, service: App) -> None:
    """Neither another deployment's secret nor another row's name opens it (security.md 86)."""
    token(apps, service)
    (row,) = rows(apps.server)
    key = apps.server.services.secrets.derive("signing-keys")

    assert json.loads(sealing.unseal(key, row.private, f"signing key {row.kid}"))["d"]
    for wrong, about in (
        (bytes(32), f"signing key {row.kid}"),
        (key, "signing key another"),
        (apps.server.services.secrets.derive("x"), ""),
    ):
        with pytest.raises(sealing.DecryptionError):
            sealing.unseal(wrong, row.private, about)


def test_private_keys_are_in_no_log_answer_or_page(apps: Apps, service: App) -> None:
    """Nor in what objects show of themselves, which ends in tracebacks (security.md 86)."""
    server = apps.server
    tokens = token(apps, service)
    rotate(apps)
    apps.get("/agent/all", tokens)
    signed_in = SignedIn(server, apps.organization.admin)
    texts = [server.http.get(path).text for path in (CERTS, "/.well-known/openid-configuration")]
    texts += [signed_in.request("GET", path, headers={"Accept": "text/html"}).text for path in ("/", "/audit", "/organization/users")]
    texts += [server.log.getvalue(), repr(ring(server)), repr(ring(server)._ring), str(vars(rows(server)[0]).get("public"))]
    secret = private_members(server)

    assert len(secret) == 2 * len(PRIVATE)
    assert [each for each in secret for one in texts if each in one] == []


def test_the_trail_names_a_new_key_and_nothing_of_it(apps: Apps, service: App) -> None:
    """Its `kid`, which is public anyway, by whom, and whether at once (security.md 86)."""
    token(apps, service)
    kid = rotate(apps, at_once=True)

    (row,) = audit(apps.organization, "deployment.signing_key_rotated", target_name=kid)

    assert (row.actor_name, row.reason) == ("test", "at once")
