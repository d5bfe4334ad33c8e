"""Fetching from addresses that strangers name, from a real server."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from latchpin.errors import Throttled
from latchpin.kit import fetching
from latchpin.kit.fetching import Fetcher, FetchError, Limits, Resolve
from latchpin.kit.rate_limit import InProcess
from tests.support.documents import Page, Publisher, published
from tests.support.ports import free_port


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """A server on the loopback address."""
    with published() as document_server:
        yield document_server


def fetcher(limits: Limits | None = None, resolve: Resolve | None = None, *, private: bool = True) -> Fetcher:
    """Return a fetcher of the test's own."""
    return Fetcher(InProcess(), is_private_let=private, limits=limits, resolve=resolve)


async def refused(fetching_with: Fetcher, url: str) -> str:
    """Return why a document was not to be had."""
    with pytest.raises(FetchError) as error:
        await fetching_with.get(url, client_address="203.0.113.9")
    return error.value.reason


async def test_a_json_document_is_fetched(publisher: Publisher) -> None:
    """With how long it may be kept, and nothing about us or our users sent along."""
    url = publisher.json("/app.json", {"a": 1}, cache="public, max-age=600")

    fetched = await fetcher().get(url, client_address=None)

    assert (fetched.document, fetched.max_age) == ({"a": 1}, 600)
    assert set(publisher.headers[0]) == {"host", "accept", "accept-encoding", "user-agent", "connection"}


@pytest.mark.parametrize(("cache", "seconds"), [(None, None), ("no-store", 0), ("max-age=5, no-cache", 0), ('max-age="7"', 7)])
async def test_how_long_a_document_may_be_kept_is_read(publisher: Publisher, cache: str | None, seconds: int | None) -> None:
    """As its server says it (security.md 73)."""
    fetched = await fetcher().get(publisher.json("/app.json", {}, cache=cache), client_address=None)

    assert fetched.max_age == seconds


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(publisher: Publisher, status: int) -> None:
    """Not even to the same server (security.md 70)."""
    target = publisher.json("/there.json", {"a": 1})
    publisher.pages["/app.json"] = Page(b"{}", status, {"Content-Type": "application/json", "Location": target})

    assert str(status) in await refused(fetcher(), f"{publisher.url}/app.json")
    assert publisher.asked == ["/app.json"]


@pytest.mark.parametrize("status", [201, 203, 204, 206, 400, 401, 404, 500])
async def test_only_200_counts(publisher: Publisher, status: int) -> None:
    """No other answer holds the document (security.md 70)."""
    publisher.pages["/app.json"] = Page(b"" if status == 204 else b"{}", status)

    assert str(status) in await refused(fetcher(), f"{publisher.url}/app.json")


@pytest.mark.parametrize("kind", ["text/html", "text/json", "application/jsonp", "application/json5", "application/x+jsonx", ""])
async def test_only_json_counts(publisher: Publisher, kind: str) -> None:
    """Whatever the bytes look like (security.md 70)."""
    publisher.pages["/app.json"] = Page(b"{}", headers={"Content-Type": kind})

    assert "content type" in await refused(fetcher(), f"{publisher.url}/app.json")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/oauth-client+json", "Application/JSON"]
)
async def test_kinds_of_json_count(publisher: Publisher, kind: str) -> None:
    """The draft asks for application/json or one that ends in +json."""
    publisher.pages["/app.json"] = Page(b"{}", headers={"Content-Type": kind})

    assert (await fetcher().get(f"{publisher.url}/app.json", client_address=None)).document == {}


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b"\xff\xfe", b"[" * 4000])
async def test_what_is_no_json_object_is_refused(publisher: Publisher, body: bytes) -> None:
    """Also what says that it is JSON (security.md 70)."""
    publisher.pages["/app.json"] = Page(body)

    assert "JSON" in await refused(fetcher(), f"{publisher.url}/app.json")


@pytest.mark.parametrize("counted", [True, False])
async def test_a_long_document_is_refused(publisher: Publisher, counted: bool) -> None:
    """Beyond 5 KB, whether its length is announced or not (security.md 70)."""
    fits = b'{"a":"' + b"x" * (fetching.MOST_BYTES - 8) + b'"}'
    publisher.pages["/fits.json"] = Page(fits, counted_length=counted)
    publisher.pages["/long.json"] = Page(b" " + fits, counted_length=counted)

    assert (await fetcher().get(f"{publisher.url}/fits.json", client_address=None)).document
    assert "longer" in await refused(fetcher(), f"{publisher.url}/long.json")


async def test_a_compressed_document_is_refused(publisher: Publisher) -> None:
    """A small body could become a very long one (security.md 70)."""
    publisher.pages["/app.json"] = Page(b"{}", headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})

    assert "compressed" in await refused(fetcher(), f"{publisher.url}/app.json")


async def test_a_slow_server_is_left(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole fetch has five seconds, here a quarter of one (security.md 70)."""
    monkeypatch.setattr(fetching, "SECONDS", 0.25)
    release = threading.Event()
    url = publisher.json("/app.json", {}, wait=release)

    assert "in time" in await refused(fetcher(), url)
    release.set()


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "224.0.0.1", "::1", "fe80::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"]
)
async def test_a_host_that_leads_inside_is_refused(address: str) -> None:
    """One inner address among public ones is enough, and nothing is connected to (security.md 71)."""
    lookups: list[str] = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        lookups.append(host)
        return ["198.51.99.1", address]

    assert "no public address" in await refused(fetcher(resolve=resolve, private=False), "https://app.example/app.json")
    assert lookups == ["app.example"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"]
)
async def test_every_writing_of_the_loopback_address_is_refused(publisher: Publisher, host: str) -> None:
    """The system's own resolver reads them as it does for everybody (security.md 71)."""
    assert "no public address" in await refused(fetcher(private=False), f"https://{host}:{publisher.port}/app.json")
    assert publisher.asked == []


async def test_metadata_addresses_stay_closed_where_private_ones_are_let() -> None:
    """The setting for development opens loopback and private addresses only (security.md 71)."""
    assert "no public address" in await refused(fetcher(), "http://169.254.169.254/app.json")


async def test_plain_http_is_refused(publisher: Publisher) -> None:
    """Unless the setting for development lets it (security.md 68)."""
    url = publisher.json("/app.json", {})

    assert "address" in await refused(fetcher(private=False), url)


async def test_the_checked_address_is_the_connected_one() -> None:
    """A name that leads elsewhere when it is asked again gains nothing: it is asked once (security.md 71, rebinding)."""
    port, asked = free_port(), 0

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        return ["127.0.0.1"] if asked == 1 else ["127.0.0.2"]

    with published("127.0.0.1", port) as first, published("127.0.0.2", port) as second:
        first.json("/app.json", {"who": "the checked one"})
        second.json("/app.json", {"who": "the other one"})

        fetched = await fetcher(resolve=resolve).get(f"http://app.example:{port}/app.json", client_address=None)

    assert fetched.document == {"who": "the checked one"}
    assert asked == 1
    assert (first.headers[0]["host"], second.asked) == (f"app.example:{port}", [])


async def test_the_certificate_must_be_the_hosts(tmp_path: Path) -> None:
    """TLS goes by the name, not by the address that was connected to (security.md 71)."""
    server_tls, client_tls = certificate(tmp_path, "app.example")

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    with published(tls=server_tls) as publisher:
        publisher.json("/app.json", {"a": 1})
        fetch = Fetcher(InProcess(), is_private_let=True, resolve=resolve, tls=client_tls)

        assert (await fetch.get(f"https://app.example:{publisher.port}/app.json", client_address=None)).document == {"a": 1}
        assert "cannot be reached" in await refused(fetch, f"https://other.example:{publisher.port}/app.json")


async def test_proxies_of_the_environment_are_not_used(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would connect to an address that nobody checked (security.md 71)."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:1")

    assert (await fetcher().get(publisher.json("/app.json", {"a": 1}), client_address=None)).document == {"a": 1}


async def test_fetches_are_limited_by_who_asks(publisher: Publisher) -> None:
    """And by nobody else's asking (security.md 74)."""
    url, fetch = publisher.json("/app.json", {}), fetcher(Limits(per_client=2))

    for _ in range(2):
        await fetch.get(url, client_address="203.0.113.9")
    with pytest.raises(Throttled):
        await fetch.get(url, client_address="203.0.113.9")

    assert (await fetch.get(url, client_address="203.0.113.10")).document == {}


async def test_fetches_are_limited_by_origin(publisher: Publisher) -> None:
    """However many ask (security.md 74)."""
    url, fetch = publisher.json("/app.json", {}), fetcher(Limits(per_origin=2))

    for number in range(2):
        await fetch.get(url, client_address=f"203.0.113.{number}")
    with pytest.raises(Throttled):
        await fetch.get(url + "?another", client_address="203.0.113.9")


async def test_fetches_are_limited_in_all(publisher: Publisher) -> None:
    """However many servers are named by however many (security.md 74)."""
    with published() as other:
        fetch = fetcher(Limits(in_all=2))
        await fetch.get(publisher.json("/app.json", {}), client_address="203.0.113.1")
        await fetch.get(other.json("/app.json", {}), client_address="203.0.113.2")

        with pytest.raises(Throttled):
            await fetch.get(other.json("/app.json", {}), client_address="203.0.113.3")


@pytest.mark.parametrize("limits", [Limits(at_once=2), Limits(at_once_per_origin=2)])
async def test_fetches_are_limited_at_the_same_time(publisher: Publisher, limits: Limits) -> None:
    """A server that holds its answers back holds up that many and no more (security.md 74)."""
    release = threading.Event()
    publisher.json("/app.json", {}, wait=release)
    fetch = fetcher(limits)
    url = f"{publisher.url}/app.json"

    waiting = [asyncio.create_task(fetch.get(url, client_address=f"203.0.113.{number}")) for number in range(2)]
    await asyncio.to_thread(publisher.wait_for, 2)
    with pytest.raises(Throttled):
        await fetch.get(url, client_address="203.0.113.9")
    release.set()

    assert [fetched.document for fetched in await asyncio.gather(*waiting)] == [{}, {}]
    assert (await fetch.get(url, client_address="203.0.113.9")).document == {}


def certificate(folder: Path, host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return TLS for a server with a certificate for a host, and for a client that trusts that certificate alone."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(cert.public_bytes(serialization.Encoding.PEM) + encoded)
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(path)
    return server_tls, ssl.create_default_context(cadata=cert.public_bytes(serialization.Encoding.PEM).decode())
