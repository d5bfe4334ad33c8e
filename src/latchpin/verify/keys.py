"""The issuer's published keys: found by its metadata, cached for ten minutes, and fetched again for an unknown key."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

from latchpin.verify.errors import IssuerUnreachable
from latchpin.verify.http import HttpClient, metadata_url, require_safe

KEEP_SECONDS = 600.0  # Latchpin publishes a key for twice as long before it signs with it
REFETCH_SECONDS = 60.0
RETRY_SECONDS = 1.0
_MOST_KEYS = 50
_KINDS = ("RSA", "EC", "OKP")


class PublishedKeys:
    """Keys of one issuer, for all threads and event loops of a process."""

    def __init__(self, issuer: str, http: HttpClient, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._http = http
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._jwks_uri: str | None = None
        self._fetched = self._tried = self._searched = float("-inf")
        self._lock = threading.Lock()
        self._fetching: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None

    def find(self, kid: str) -> Key | None:
        """Return the key with this id, or None; raises IssuerUnreachable.

        Keys older than ten minutes are fetched again before use, so that a withdrawn key is not used any longer. For an unknown
        id, fresh keys are fetched again at most once a minute, for all callers together (security.md 47).
        """
        if self._wants(kid):
            with self._lock:  # others wait for the thread that fetches
                if self._wants(kid):
                    self._begin()
                    if self._jwks_uri is None:
                        self._set_jwks_uri(self._http.request(metadata_url(self._issuer)))
                    self._take(self._http.request(str(self._jwks_uri)))
        return self._keys.get(kid)

    async def find_async(self, kid: str) -> Key | None:
        """As `find`, in an event loop."""
        loop = asyncio.get_running_loop()
        if self._fetching is not None and self._fetching[0] is loop and not self._fetching[1].done():
            await asyncio.shield(self._fetching[1])
        if self._wants(kid):
            task = loop.create_task(self._fetch())
            task.add_done_callback(_retrieve_exception)
            self._fetching = (loop, task)
            await asyncio.shield(task)
        return self._keys.get(kid)

    async def _fetch(self) -> None:
        self._begin()
        if self._jwks_uri is None:
            self._set_jwks_uri(await self._http.request_async(metadata_url(self._issuer)))
        self._take(await self._http.request_async(str(self._jwks_uri)))

    def _wants(self, kid: str) -> bool:
        """Whether the keys must be fetched before `kid` can be looked up; raises IssuerUnreachable if that has just failed."""
        now = self._clock()
        if not 0 <= now - self._fetched < KEEP_SECONDS:
            if 0 <= now - self._tried < RETRY_SECONDS and self._tried != self._fetched:
                message = f"{self._issuer} could not be reached a moment ago"
                raise IssuerUnreachable(message)
            return True
        return kid not in self._keys and now - self._searched >= REFETCH_SECONDS

    def _begin(self) -> None:
        now = self._clock()
        if 0 <= now - self._fetched < KEEP_SECONDS:
            self._searched = now  # a fetch for an unknown id; set before the fetch, so that others do not fetch too
        else:
            self._tried = now
            self._jwks_uri = None  # the URL may have changed

    def _set_jwks_uri(self, metadata: Mapping[str, Any]) -> None:
        """Take the URL of the keys from metadata that names its own issuer (RFC 8414 section 3.3)."""
        if metadata.get("issuer") != self._issuer:
            message = f"the metadata at {metadata_url(self._issuer)} names another issuer"
            raise IssuerUnreachable(message)
        address = str(metadata.get("jwks_uri", ""))
        try:
            require_safe(address, "jwks_uri")
        except ValueError as error:
            raise IssuerUnreachable(str(error)) from error
        self._jwks_uri = address

    def _take(self, jwks: Mapping[str, Any]) -> None:
        entries = jwks.get("keys")
        keys: dict[str, Key] = {}
        for each in entries[:_MOST_KEYS] if isinstance(entries, list) else []:
            if (key := _public(each)) is not None:
                keys[str(each["kid"])] = key
        if not keys:
            message = f"{self._issuer} publishes no key that can be used"
            raise IssuerUnreachable(message)
        self._keys = keys
        self._fetched = self._tried = self._clock()


def _retrieve_exception(task: asyncio.Task[None]) -> None:
    """Retrieve a fetch's exception, so that asyncio does not warn about it when its caller has gone."""
    if not task.cancelled():
        task.exception()


def _public(jwk: Any) -> Key | None:  # noqa: ANN401  whatever stands in the list
    """Return a key for checking signatures, or None for anything else; a symmetric key is never one (security.md 46)."""
    if not isinstance(jwk, dict) or not jwk.get("kid") or jwk.get("use", "sig") != "sig" or "d" in jwk or jwk.get("kty") not in _KINDS:
        return None
    if jwk.get("crv") == "Ed25519" and jwk.get("alg") in ("Ed25519", "EdDSA"):  # one algorithm with two names (RFC 9864 section 2.2)
        jwk = {name: value for name, value in jwk.items() if name != "alg"}
    try:
        return import_key(jwk)
    except (JoseError, ValueError):
        return None  # of an unknown type; other keys may be usable
