"""Checking that the sender of a token holds the key that it is bound to (DPoP, RFC 9449 sections 4.3 and 7)."""

from __future__ import annotations

import base64
import hmac
import inspect
import json
import re
import threading
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key
from joserfc.util import urlsafe_b64decode

from latchpin.verify.errors import PROOFS, InvalidProof, InvalidToken
from latchpin.verify.token import Token

WINDOW_SECONDS = 60
MOST_REMEMBERED = 100_000  # used proofs, if `first_use` is not given
_MOST_BYTES = 8192
_MOST_NAME = 256
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_KEYS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "ES256": ({"kty": "EC", "crv": "P-256"}, ("x", "y")),
    "Ed25519": ({"kty": "OKP", "crv": "Ed25519"}, ("x",)),  # RFC 9864 section 2.2; EdDSA is its older name
    "EdDSA": ({"kty": "OKP", "crv": "Ed25519"}, ("x",)),
    "PS256": ({"kty": "RSA"}, ("n", "e")),
    "RS256": ({"kty": "RSA"}, ("n", "e")),
}
_RSA_BITS = range(2048, 4097)
_MOST_EXPONENT = 8  # characters of base64url
_PORTS = {"http": 80, "https": 443}
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
FirstUse = Callable[[str, float], "bool | Awaitable[bool]"]


@dataclass(frozen=True, slots=True)
class Proof:
    """The request that a DPoP proof belongs to: its method, its URL as the client knows it, and the header `DPoP`.

    Take the URL from your own configuration and the request's path, never from the Host header, which its sender chooses.
    """

    method: str
    url: str
    header: str


class Proofs:
    """Checks proofs, each of which is valid once, within two minutes.

    Used proofs are kept in this process's memory, at most MOST_REMEMBERED. **Several processes need a list that they share**: give
    `first_use(name, seconds)`, which stores a name for so long and returns whether it was new, atomically. With Redis that is
    `lambda name, seconds: redis.set(name, 1, nx=True, ex=int(seconds))`. It may return an awaitable if `check_async` is used.
    """

    def __init__(
        self, *, first_use: FirstUse | None = None, algorithms: Collection[str] = PROOFS, clock: Callable[[], float] = time.time
    ) -> None:
        if not algorithms or not set(algorithms) <= set(PROOFS):
            message = f"algorithms must be some of {', '.join(PROOFS)}"
            raise ValueError(message)
        self._algorithms = frozenset(algorithms)
        self._clock = clock
        self._first_use = first_use or _InMemoryUses(clock).first_use

    def check(self, token: Token, text: str, proof: Proof | None) -> None:
        """Check the proof that came with a valid token, whose text is `text`; raises InvalidToken, InvalidProof.

        A token that is bound to no key needs no proof, and none may be given with it.
        """
        if (name := self._verify_signature_and_claims(token, text, proof)) is not None:
            is_first = self._first_use(name, 2 * WINDOW_SECONDS)
            if inspect.isawaitable(is_first):
                if inspect.iscoroutine(is_first):
                    is_first.close()
                message = "first_use returned an awaitable; use verify_async"
                raise TypeError(message)
            _require_first(is_first=bool(is_first))

    async def check_async(self, token: Token, text: str, proof: Proof | None) -> None:
        """As `check`, in an event loop."""
        if (name := self._verify_signature_and_claims(token, text, proof)) is not None:
            is_first = self._first_use(name, 2 * WINDOW_SECONDS)
            _require_first(is_first=bool(await is_first if inspect.isawaitable(is_first) else is_first))

    def _verify_signature_and_claims(self, token: Token, text: str, proof: Proof | None) -> str | None:
        """Return a valid proof's name, which is unique to its key and `jti`; None if no proof is needed."""
        if not token.is_bound:
            if proof is not None:
                raise InvalidToken("the token is bound to no key; send it as Bearer", scheme="DPoP")
            return None
        if token.jkt is None:
            raise InvalidToken("the token is bound in a way that is not known here")
        if proof is None:
            raise InvalidToken("the token is bound to a key; send it as DPoP, with a proof", scheme="DPoP")
        jkt, claims = self._decode(proof.header)
        if jkt != token.jkt:
            raise InvalidProof("the proof is of another key than the token is bound to")
        self._check_claims(claims, proof, text)
        proof_id = f"{jkt}|{claims['jti']}".encode(errors="surrogatepass")
        return f"dpop:{sha256(proof_id).hexdigest()}"

    def _decode(self, header: str) -> tuple[str, dict[str, Any]]:
        """Return the thumbprint of a proof's key (RFC 7638) and its claims, the signature checked."""
        if len(header) > _MOST_BYTES or _COMPACT.fullmatch(header) is None:
            raise InvalidProof("the DPoP header must be one compact JWS")
        signed, _, signature = header.rpartition(".")
        first, _, second = signed.partition(".")
        head = _object(first)
        algorithm = head.get("alg")
        if head.get("typ") != "dpop+jwt" or "crit" in head or not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise InvalidProof("the proof's header is not acceptable")
        key = _key(algorithm, head.get("jwk"))
        try:
            is_signed = jws.JWSRegistry.algorithms[algorithm].verify(signed.encode(), urlsafe_b64decode(signature.encode()), key)
        except (JoseError, ValueError):
            is_signed = False
        if not is_signed:
            raise InvalidProof("the proof's signature is wrong")
        return key.thumbprint(), _object(second)

    def _check_claims(self, claims: dict[str, Any], proof: Proof, text: str) -> None:
        jti, iat, now = claims.get("jti"), claims.get("iat"), self._clock()
        if not isinstance(jti, str) or not 1 <= len(jti) <= _MOST_NAME:
            raise InvalidProof(f"jti must be a text of 1 to {_MOST_NAME} characters")
        if claims.get("htm") != proof.method:
            raise InvalidProof("htm is not the request's method")
        htu = claims.get("htu")
        if not isinstance(htu, str) or normalised(htu) is None or normalised(htu) != normalised(proof.url):
            raise InvalidProof("htu is not the request's address")
        if not isinstance(iat, int | float) or isinstance(iat, bool) or not now - WINDOW_SECONDS <= iat <= now + WINDOW_SECONDS:
            raise InvalidProof(f"iat must be within {WINDOW_SECONDS} seconds of the time here, which is {int(now)}")
        expected_ath, ath = base64.urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"="), claims.get("ath")
        if not isinstance(ath, str) or not hmac.compare_digest(ath.encode(errors="replace"), expected_ath):
            raise InvalidProof("ath is not the hash of the token")


class _InMemoryUses:
    """The names that one process has seen; expired ones are removed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def first_use(self, name: str, seconds: float) -> bool:
        """Store a name; returns whether it was new."""
        with self._lock:
            now = self._clock()
            while self._until and (oldest := next(iter(self._until))) and self._until[oldest] < now:
                del self._until[oldest]
            if name in self._until:
                return False
            if len(self._until) >= MOST_REMEMBERED:  # dropping one would allow its reuse
                raise InvalidProof(f"{MOST_REMEMBERED} proofs were used within {2 * WINDOW_SECONDS} seconds; wait")
            self._until[name] = now + seconds
            return True


def _require_first(*, is_first: bool) -> None:
    if not is_first:
        raise InvalidProof("the proof was used before")


def _object(encoded: str) -> dict[str, Any]:
    try:
        decoded = json.loads(urlsafe_b64decode(encoded.encode()))
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        raise InvalidProof("the proof is malformed")
    return decoded


def _key(algorithm: str, jwk: Any) -> Key:  # noqa: ANN401  whatever the JSON holds
    """Return the public key for an algorithm, made of its required members only."""
    fixed, members = _KEYS[algorithm]
    if not isinstance(jwk, dict) or _PRIVATE & jwk.keys():
        raise InvalidProof("jwk must hold a public key, and nothing private")
    if any(jwk.get(name) != value for name, value in fixed.items()) or not all(isinstance(jwk.get(name), str) for name in members):
        raise InvalidProof(f"jwk is no key for {algorithm}")
    try:
        if "n" in members and (
            int.from_bytes(urlsafe_b64decode(jwk["n"].encode()), "big").bit_length() not in _RSA_BITS or len(jwk["e"]) > _MOST_EXPONENT
        ):
            raise InvalidProof("an RSA key needs 2048 to 4096 bits and a short exponent")
        return import_key({**fixed, **{name: jwk[name] for name in members}})
    except (JoseError, ValueError):
        raise InvalidProof("jwk cannot be read") from None


def normalised(url: str) -> str | None:
    """Return an http or https URL without query and fragment in the one form of RFC 3986 section 6.2, or None for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not url.isascii() or not url.isprintable() or " " in url or parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port_suffix = "" if port in (None, _PORTS[parts.scheme]) else f":{port}"
    normalised_segments: list[str] = []
    segments = _ESCAPED.sub(_escape, parts.path).split("/")[1:] or [""]
    for segment in segments:
        if segment == "..":
            del normalised_segments[-1:]
        elif segment != ".":
            normalised_segments.append(segment)
    if segments[-1] in (".", ".."):
        normalised_segments.append("")
    return f"{parts.scheme}://{host}{port_suffix}/{'/'.join(normalised_segments)}"


def _escape(match: re.Match[str]) -> str:
    letter = chr(int(match[1], 16))
    return letter if _UNRESERVED.fullmatch(letter) else match[0].upper()
