"""Asking the issuer about a credential (RFC 7662): for API keys, and for tokens whose revocation must take effect at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from hashlib import sha256
from typing import Any
from urllib.parse import quote_plus

from latchpin.verify import token
from latchpin.verify.errors import InvalidToken, IssuerUnreachable
from latchpin.verify.http import TIMEOUT_SECONDS, HttpClient, metadata_url, require_safe
from latchpin.verify.proof import Proof, Proofs
from latchpin.verify.token import Token

_METADATA_SECONDS = 600.0
_MOST_CACHED = 10_000
_KINDS = ("bearer", "dpop", "apikey")


class Introspector:
    """Asks one issuer about access tokens and API keys, as the client that an administrator created for your API under API resources.

    `audience` is your API's identifier there; a token for another resource is refused (an API key is for no resource). With
    `cache_seconds` a valid response is cached for so long, and a revocation is delayed by as much; it is off by default. Raises ValueError
    for an unsafe issuer. `proofs` checks the proofs of bound tokens, as for a Verifier.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str,
        *,
        audience: str | Collection[str],
        cache_seconds: float = 0.0,
        timeout: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.time,
        proofs: Proofs | None = None,
    ) -> None:
        require_safe(issuer, "issuer")
        self._issuer = issuer
        self._auth = (quote_plus(client_id), quote_plus(client_secret))  # form-encoded before Basic (RFC 6749 section 2.3.1)
        self._audiences = frozenset([audience] if isinstance(audience, str) else audience)
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._http = HttpClient(issuer, timeout)
        self._proofs = proofs or Proofs(clock=clock)
        self._endpoint: tuple[float, str] | None = None
        self._cache: dict[bytes, tuple[float, Token]] = {}

    def verify(self, text: str, *, client_address: str | None = None, proof: Proof | None = None) -> Token:
        """Return what the issuer says of an active token or key; raises InvalidToken, or IssuerUnreachable if it does not respond.

        `client_address` is where the request came from: a key that is bound to networks is active for an address in them only. `proof` is
        what came with a token under `Authorization: DPoP`, and None otherwise. Raises InvalidProof.
        """
        verified_token = self._cached(text, client_address)
        if verified_token is None:
            endpoint = self._cached_endpoint() or self._endpoint_of(self._http.request(metadata_url(self._issuer)))
            response = self._http.request(endpoint, _form(text, client_address), self._auth)
            verified_token = self._read_response(text, client_address, response)
        self._proofs.check(verified_token, text, proof)
        return verified_token

    async def verify_async(self, text: str, *, client_address: str | None = None, proof: Proof | None = None) -> Token:
        """As `verify`, in an event loop."""
        verified_token = self._cached(text, client_address)
        if verified_token is None:
            endpoint = self._cached_endpoint() or self._endpoint_of(await self._http.request_async(metadata_url(self._issuer)))
            response = await self._http.request_async(endpoint, _form(text, client_address), self._auth)
            verified_token = self._read_response(text, client_address, response)
        await self._proofs.check_async(verified_token, text, proof)
        return verified_token

    def _cached(self, text: str, client_address: str | None) -> Token | None:
        if not self._cache_seconds:
            return None
        until, cached_token = self._cache.get(_digest(text, client_address), (0.0, None))
        return cached_token if self._clock() < until else None

    def _cached_endpoint(self) -> str | None:
        return self._endpoint[1] if self._endpoint and 0 <= self._clock() - self._endpoint[0] < _METADATA_SECONDS else None

    def _endpoint_of(self, metadata: dict[str, Any]) -> str:
        endpoint = str(metadata.get("introspection_endpoint", ""))
        if metadata.get("issuer") != self._issuer or not endpoint:
            message = f"the metadata at {metadata_url(self._issuer)} names another issuer or no introspection"
            raise IssuerUnreachable(message)
        try:
            require_safe(endpoint, "introspection_endpoint")
        except ValueError as error:
            raise IssuerUnreachable(str(error)) from error
        self._endpoint = (self._clock(), endpoint)
        return endpoint

    def _read_response(self, text: str, client_address: str | None, response: dict[str, Any]) -> Token:
        """Read a response (RFC 7662 section 2.2); only `"active": true` is accepted, and never a refresh token."""
        kind = str(response.get("token_type", "")).lower()
        if response.get("active") is not True or kind not in _KINDS or (kind == "dpop") != ("cnf" in response):
            raise InvalidToken("the credential is not active")
        audience = response.get("aud")
        if kind != "apikey" and self._audiences.isdisjoint(map(str, audience) if isinstance(audience, list) else [str(audience)]):
            raise InvalidToken("the token is for another resource")
        verified_token = token.of_claims({"iss": self._issuer, **response})
        now = self._clock()
        if verified_token.issuer != self._issuer or (verified_token.expires is not None and now >= verified_token.expires):
            raise InvalidToken("the credential is not active")
        if self._cache_seconds:
            if len(self._cache) >= _MOST_CACHED:
                self._cache.pop(next(iter(self._cache)))
            until = min(now + self._cache_seconds, verified_token.expires or float("inf"))
            self._cache[_digest(text, client_address)] = (until, verified_token)
        return verified_token


def _form(text: str, client_address: str | None) -> dict[str, str]:
    return {"token": text} | ({"client_address": client_address} if client_address else {})


def _digest(text: str, client_address: str | None) -> bytes:
    return sha256(f"{client_address} {text}".encode()).digest()
