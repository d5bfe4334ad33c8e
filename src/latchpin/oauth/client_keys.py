"""The public keys with which a client authenticates: its registered ones, or those at its `jwks_uri`.

Fetched keys are cached for ten minutes. A key that is not among them may be new, so they are fetched again, at most once a
minute for one URL, however many assertions name a missing key (security.md 47 asks the same of those who verify our tokens).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key

from latchpin.audit import Origin
from latchpin.errors import Throttled
from latchpin.identity import jwk
from latchpin.kit import clock
from latchpin.kit.cache import Cache, SingleFlight
from latchpin.kit.fetching import Fetcher, FetchError
from latchpin.kit.logger import Logger
from latchpin.oauth.clients import Client

KEPT_SECONDS = 600.0
ASK_AGAIN_SECONDS = 60.0
MOST_BYTES = 20_000  # sets often include certificates, which we do not read
_MOST_KEYS, _CAPACITY = 20, 1000
_log = Logger(__name__)


class ClientKeys:
    """Finds clients' keys for one process."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._keys = Cache[str, tuple[Key, ...]](KEPT_SECONDS, _CAPACITY)
        self._tried = Cache[str, bool](ASK_AGAIN_SECONDS, _CAPACITY)
        self._fetches = SingleFlight[str, None]()

    async def of(self, client: Client, kid: str | None, origin: Origin) -> Sequence[Key]:
        """Return the client's keys with a `kid`, all of them without one; none where they cannot be fetched."""
        if client.jwks is not None:
            return _by_kid(_read(client.jwks), kid)
        if client.jwks_uri is None:
            return ()
        uri = client.jwks_uri
        keys = _by_kid(self._keys.get(uri) or (), kid)
        if keys:
            return keys
        await self._fetches.run(uri, lambda: self._fetch(uri, origin))
        return _by_kid(self._keys.get(uri) or (), kid)

    async def _fetch(self, uri: str, origin: Origin) -> None:
        """Fetch the keys, unless that was tried within the last minute."""
        if self._tried.get(uri):
            return
        self._tried.put(uri, value=True)
        started_at = clock.monotonic()
        try:
            fetched = await self._fetcher.get(uri, client_address=origin.address, most=MOST_BYTES)
        except (FetchError, Throttled) as error:
            _log.warning("client_keys.not_fetched", jwks_uri=uri, detail=str(error))
        else:
            self._keys.put(uri, _read(fetched.document), since=started_at)


def _by_kid(keys: Sequence[Key], kid: str | None) -> Sequence[Key]:
    return keys if kid is None else [key for key in keys if key.get("kid") == kid]


def _read(document: Mapping[str, Any]) -> tuple[Key, ...]:
    """Read a key set, leaving out the keys that we cannot use (RFC 7517 section 5)."""
    jwks = document.get("keys")
    keys: list[Key] = []
    for each in jwks[:_MOST_KEYS] if isinstance(jwks, list) else ():
        if jwk.problem(each) is None and cast("dict[str, Any]", each).get("use", "sig") == "sig":
            try:
                keys.append(JWKRegistry.import_key(jwk.with_either_name(each)))
            except (JoseError, ValueError, TypeError, KeyError):
                continue
    return tuple(keys)
