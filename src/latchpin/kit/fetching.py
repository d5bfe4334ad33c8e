"""Fetching JSON from URLs that strangers supply, without being led into our own network (security.md 70, 71, 74).

The host is resolved here, all of its addresses must be public, and the connection goes to exactly the addresses that were
checked, so that a DNS answer which changes in between has no effect; TLS still checks the certificate against the name. No redirects,
no cookies, no proxies: httpcore, the part of httpx below all of those, has none.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx
import msgspec

from latchpin.errors import Throttled
from latchpin.kit import addresses, client_subnet, rate_limit
from latchpin.kit.name_lookup import NameLookup

MOST_BYTES = 5 * 1024
SECONDS = 5.0
_MOST_ADDRESSES = 3  # that are tried one after the other
_HEADERS: Mapping[bytes | str, bytes | str] = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "Latchpin",
    "Connection": "close",
}
_JSON = re.compile(r"application/(?:json|[a-z0-9!#$&^_.+-]+\+json)\Z")
_MAX_AGE = re.compile(r"max-age\s*=\s*\"?(\d{1,9})")
_OK, _SERVER_ERROR = 200, 500
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class FetchError(Exception):
    """A document could not be fetched. `reason` is for its publisher; with `is_passing` a retry may work soon."""

    def __init__(self, reason: str, *, is_passing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_passing = is_passing


@dataclass(frozen=True, slots=True)
class FetchedDocument:
    """A JSON object, and for how many seconds its server allows caching: 0 for not at all, None if it does not say."""

    document: dict[str, Any]
    max_age: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of fetches: per minute for one server, for one client, and in all; and at the same time for one server, and in all."""

    per_origin: int = 20
    per_client: int = 20
    in_all: int = 200
    at_once_per_origin: int = 4
    at_once: int = 16


class Fetcher:
    """Fetches for one process. `is_private_let` allows plain http, loopback and private addresses, for development and tests."""

    def __init__(
        self,
        counter: rate_limit.Counter,
        *,
        is_private_let: bool = False,
        limits: Limits | None = None,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._counter = counter
        self.is_private_let = is_private_let
        self._limits = limits or Limits()
        self._resolve = resolve or NameLookup()
        self._tls = tls
        self._running: Counter[str] = Counter()

    def may_name(self, url: str) -> bool:
        """Whether a URL has a form that is fetched at all; its host is not resolved."""
        return url.startswith("https://") or (self.is_private_let and url.startswith("http://"))

    async def get(self, url: str, *, client_address: str | None, most: int = MOST_BYTES) -> FetchedDocument:
        """Fetch a JSON object of at most `most` bytes, within five seconds in all; `client_address` is that of the client that caused it.

        Raises FetchError, and Throttled beyond the limits.
        """
        host, port = self._host_and_port(url)
        origin = f"{host}:{port}"
        await self._count(origin, client_address)
        try:
            async with self._at_once(origin), asyncio.timeout(SECONDS):
                resolved = await self._resolve_public(host, port)
                return await self._get(url, resolved, most)
        except TimeoutError:
            raise FetchError("it did not come in time", is_passing=True) from None
        except (httpcore.NetworkError, httpcore.TimeoutException):
            raise FetchError("its server cannot be reached", is_passing=True) from None
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, UnicodeError):
            raise FetchError("its server does not answer as HTTP asks") from None

    def _host_and_port(self, url: str) -> tuple[str, int]:
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise FetchError("its address cannot be read") from None
        if not self.may_name(url) or not parts.hostname or not url.isascii() or not url.isprintable() or " " in url or "@" in parts.netloc:
            raise FetchError("its address cannot be used")
        return parts.hostname, port

    async def _count(self, origin: str, client_address: str | None) -> None:
        limits = self._limits
        counters = (
            (f"fetch:from:{client_subnet.of(client_address)}", limits.per_client),
            (f"fetch:{origin}", limits.per_origin),
            ("fetch", limits.in_all),
        )
        for key, limit in counters:
            detail = "too many documents are asked for; wait"
            await rate_limit.require(self._counter, key, seconds=60, most=limit, detail=detail)

    @asynccontextmanager
    async def _at_once(self, origin: str) -> AsyncIterator[None]:
        if self._running.total() >= self._limits.at_once or self._running[origin] >= self._limits.at_once_per_origin:
            raise Throttled("too many documents are fetched at this moment; wait", retry_after=1)
        self._running[origin] += 1
        try:
            yield
        finally:
            self._running[origin] -= 1
            if not self._running[origin]:
                del self._running[origin]

    async def _resolve_public(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host, all of them public; callers cannot tell a private host from one that does not exist."""
        try:
            host_addresses = list(dict.fromkeys(await self._resolve(host, port)))
        except (OSError, UnicodeError):
            host_addresses = []
        allowed = [each for each in host_addresses if addresses.is_public(each) or (self.is_private_let and addresses.is_home(each))]
        if not host_addresses or allowed != host_addresses:
            raise FetchError("its host has no public address", is_passing=not host_addresses)
        return host_addresses[:_MOST_ADDRESSES]

    async def _get(self, url: str, resolved: Sequence[str], most: int) -> FetchedDocument:
        if self._tls is None:
            self._tls = httpx.create_ssl_context()
        backend = _PinnedBackend(resolved)
        async with (
            httpcore.AsyncConnectionPool(ssl_context=self._tls, network_backend=backend, max_connections=1) as pool,
            pool.stream("GET", url, headers=_HEADERS) as response,
        ):
            headers = _headers(response.headers)
            _check(response.status, headers, most)
            body = bytearray()
            async for part in response.aiter_stream():
                body += part
                if len(body) > most:
                    raise FetchError(f"it is longer than {most} bytes")
        return FetchedDocument(_object(bytes(body)), _max_age(headers.get("cache-control", "")))


class _PinnedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were checked, whatever the host's name resolves to by now."""

    def __init__(self, resolved: Sequence[str]) -> None:
        self._addresses = resolved
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that responds."""
        del host
        failed: Exception = httpcore.ConnectError("no address")
        for address in self._addresses:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                failed = error
        raise failed

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  as above
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: Unix sockets are never used."""
        raise httpcore.ConnectError(f"{path} {timeout} {socket_options}")

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore does between retries, which are not used here."""
        await asyncio.sleep(seconds)


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw:
        key = name.decode("latin-1").lower()
        headers[key] = f"{headers[key]},{value.decode('latin-1')}" if key in headers else value.decode("latin-1")
    return headers


def _check(status: int, headers: Mapping[str, str], most: int) -> None:
    if status != _OK:
        raise FetchError(f"its server answered {status} where only 200 counts", is_passing=status >= _SERVER_ERROR)
    if not _JSON.match(headers.get("content-type", "").partition(";")[0].strip().lower()):
        raise FetchError("its content type is not application/json")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise FetchError("it is compressed, which was not asked for")
    length = headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > most:
        raise FetchError(f"it is longer than {most} bytes")


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FetchError("it is not JSON") from None
    if not isinstance(document, dict):
        raise FetchError("it is not a JSON object")
    return document


def _max_age(cache_control: str) -> int | None:
    """Read how many seconds a response may be cached (RFC 9111 section 5.2.2)."""
    directives = cache_control.lower()
    if "no-store" in directives or "no-cache" in directives:
        return 0
    match = _MAX_AGE.search(directives)
    return int(match.group(1)) if match else None
