"""Checking an access token offline (RFC 9068 section 4), with the issuer's published keys."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key

from latchpin.verify import token
from latchpin.verify.errors import InvalidToken
from latchpin.verify.http import TIMEOUT_SECONDS, HttpClient, require_safe
from latchpin.verify.keys import PublishedKeys
from latchpin.verify.proof import Proof, Proofs
from latchpin.verify.token import Token

ASYMMETRIC = ("RS256", "ES256", "Ed25519", "EdDSA")
_MOST_LEEWAY = 60
_MOST_TOKEN = 16_384
_TYPES = ("at+jwt", "application/at+jwt")
_FOREIGN_KEYS = frozenset({"jku", "jwk", "x5u", "x5c"})
_TEXTS = ("sub", "client_id", "jti")  # RFC 9068 section 2.2, besides iss, aud, exp and iat, which are compared


class _Algorithms(jws.JWSRegistry):
    """The accepted algorithms and no others. `EdDSA` is the name of Ed25519 at most issuers, so it causes no warning."""

    def get_alg(self, name: str) -> Any:  # noqa: ANN401  a type that the library keeps to itself
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


class Verifier:
    """Checks access tokens of one issuer for one resource. Make one and keep it: it holds the issuer's keys.

    `audience` is your own API's identifier, the `resource` that an administrator registered; a token for another resource is refused
    (security.md 45). `algorithms` is the whole list of those accepted, all asymmetric. `leeway` is at most 60 seconds. `clock` gives the
    present in seconds since the epoch. Raises ValueError for unsafe arguments.

    `organization` is your organization's id (a token's `org`): others' tokens are refused then. Give it if a deployment has several, each
    of which registers resources by itself: another can register your address, and its users' tokens would name it too.

    A token is checked by its signature and claims: a revoked one is accepted here until it expires, after a quarter of an hour at
    most. If that is too long, use an Introspector.

    A token that is bound to a key (DPoP) is valid only with a proof. `proofs` checks it; by default it keeps the used ones in this
    process, so if several processes serve your API, give one with a shared list: see Proofs.
    """

    def __init__(
        self,
        issuer: str,
        *,
        audience: str | Collection[str],
        organization: int | None = None,
        algorithms: Sequence[str] = ASYMMETRIC,
        leeway: int = _MOST_LEEWAY,
        timeout: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.time,
        proofs: Proofs | None = None,
    ) -> None:
        require_safe(issuer, "issuer")
        if not algorithms or not set(algorithms) <= set(ASYMMETRIC):
            message = f"algorithms must be some of {', '.join(ASYMMETRIC)}: a public key makes no shared secret"
            raise ValueError(message)
        if not 0 <= leeway <= _MOST_LEEWAY:
            message = f"leeway must be 0 to {_MOST_LEEWAY} seconds"
            raise ValueError(message)
        self._issuer = issuer
        self._audiences = frozenset([audience] if isinstance(audience, str) else audience)
        if not self._audiences or "" in self._audiences:
            message = "audience must name your API"
            raise ValueError(message)
        self._organization = organization
        self._algorithms = frozenset(algorithms)
        self._registry = _Algorithms(algorithms=list(algorithms))
        self._leeway = leeway
        self._clock = clock
        self._keys = PublishedKeys(issuer, HttpClient(issuer, timeout), clock)
        self._proofs = proofs or Proofs(clock=clock)

    def verify(self, text: str, *, proof: Proof | None = None) -> Token:
        """Return a valid token's contents; raises InvalidToken, or IssuerUnreachable if the keys cannot be fetched.

        `proof` is what came with a token under `Authorization: DPoP`, and None for one under Bearer. Raises InvalidProof.
        """
        signed, kid = self._read(text)
        verified_token = self._verify_signature(signed, self._keys.find(kid))
        self._proofs.check(verified_token, text, proof)
        return verified_token

    async def verify_async(self, text: str, *, proof: Proof | None = None) -> Token:
        """As `verify`, in an event loop; waits only for keys to be fetched, and for a shared list of used proofs."""
        signed, kid = self._read(text)
        verified_token = self._verify_signature(signed, await self._keys.find_async(kid))
        await self._proofs.check_async(verified_token, text, proof)
        return verified_token

    def _read(self, text: str) -> tuple[jws.CompactSignature, str]:
        """Return the unverified token and the id of its key. The whole header is checked before a key is looked up.

        The header only selects one of the issuer's own keys; one that contains a key or a URL of a key is refused
        (RFC 8725 sections 3.1, 3.10, 3.11; security.md 41, 46).
        """
        if len(text) > _MOST_TOKEN or not text.isascii():
            raise InvalidToken("the token is malformed")
        try:
            signed = jws.extract_compact(text.encode(), registry=self._registry)
            header = signed.headers()
        except (JoseError, ValueError):
            raise InvalidToken("the token is malformed") from None
        kid = header.get("kid")
        if header.get("alg") not in self._algorithms or "crit" in header or _FOREIGN_KEYS & header.keys():
            raise InvalidToken("the token's header is not acceptable")
        if str(header.get("typ", "")).lower() not in _TYPES:
            raise InvalidToken("this is no access token")
        if not isinstance(kid, str) or not kid:
            raise InvalidToken("the token names no key")
        return signed, kid

    def _verify_signature(self, signed: jws.CompactSignature, key: Key | None) -> Token:
        if key is None:
            raise InvalidToken("the issuer does not publish the token's key")
        algorithm = signed.headers().get("alg")
        try:  # a key is for its own algorithm only; the library refuses an algorithm that does not fit the key's type
            if key.get("alg", algorithm) != algorithm or not jws.validate_compact(signed, key, registry=self._registry):
                raise InvalidToken("the signature is wrong")
            claims = json.loads(signed.payload or b"")
        except (JoseError, ValueError):
            raise InvalidToken("the signature is wrong") from None
        if not isinstance(claims, dict):
            raise InvalidToken("the token is malformed")
        self._check_claims(claims)
        return token.of_claims(claims)

    def _check_claims(self, claims: dict[str, Any]) -> None:
        """Check the claims (RFC 9068 sections 2.2 and 4); raises InvalidToken."""
        now = self._clock()
        if claims.get("iss") != self._issuer:
            raise InvalidToken("the token is of another issuer")
        audience = claims.get("aud")
        if self._audiences.isdisjoint(map(str, audience) if isinstance(audience, list) else [str(audience)]):
            raise InvalidToken("the token is for another resource")
        if self._organization is not None and claims.get("org") != self._organization:
            raise InvalidToken("the token is of another organization")
        if not _is_number(claims.get("exp")) or now >= claims["exp"] + self._leeway:
            raise InvalidToken("the token has expired")
        if not _is_number(claims.get("iat")) or not _is_number(claims.get("nbf", 0)):
            raise InvalidToken("the token lacks a claim that RFC 9068 asks for")
        if max(claims["iat"], claims.get("nbf", 0)) > now + self._leeway:
            raise InvalidToken("the token is not valid yet")
        if not all(isinstance(claims.get(name), str) and claims[name] for name in _TEXTS):
            raise InvalidToken("the token lacks a claim that RFC 9068 asks for")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
