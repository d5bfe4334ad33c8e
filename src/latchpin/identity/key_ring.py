"""The key ring of one process: signs and verifies tokens (RFC 7515) with the published keys.

It is reloaded every 30 seconds. A new key waits much longer before it signs, so no process meets a token whose key it does not
have (security.md 85).
"""

from __future__ import annotations

import itertools
import json
import math
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key, import_key
from joserfc.jws import JWSAlgModel  # type: ignore[attr-defined]  # it is public there, but not declared so
from joserfc.util import json_b64encode, urlsafe_b64decode, urlsafe_b64encode

from latchpin.identity import signing_keys
from latchpin.kit import clock
from latchpin.kit.cache import Holds, SingleFlight
from latchpin.settings import Settings
from latchpin.storage import Database
from latchpin.storage.models import SigningKey
from latchpin.storage.secrets import Secrets
from latchpin.storage.subjects import SIGNING_KEYS

_READ_AGAIN_SECONDS = 30.0
_UNKNOWN_KID_SECONDS = 1.0
_COMPACT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_MOST_TOKEN = 16_384


class InvalidSignature(Exception):
    """The text is not a token that this deployment signed."""


class WrongType(InvalidSignature):
    """Signed by this deployment, but as another kind of token (RFC 8725 section 3.11)."""


class _Algorithms(jws.JWSRegistry):
    """Exactly our own algorithms. The library would warn about `EdDSA`, the name that most clients use."""

    def get_alg(self, name: str) -> JWSAlgModel:
        """Return an algorithm; raises a JoseError for any other, `none` and HMAC among them (RFC 8725 section 3.1)."""
        if name not in signing_keys.ALGORITHMS:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


_REGISTRY = _Algorithms()


@dataclass(frozen=True, slots=True)
class _LoadedKey:
    """One key in memory; times in seconds since the epoch, None for no end."""

    kid: str
    algorithm: str
    key: Key = field(repr=False)
    method: JWSAlgModel
    signs_from: float
    signs_until: float | None


@dataclass(frozen=True, slots=True)
class _Head:
    """The decoded header of a token: one of our keys, which fixes the algorithm, and the kind of token."""

    held: _LoadedKey
    typ: str


@dataclass(frozen=True, slots=True)
class _Ring:
    held: tuple[_LoadedKey, ...]
    by_kid: dict[str, _LoadedKey]
    jwks: dict[str, list[dict[str, Any]]]
    read: float
    turn: int = 0
    heads: dict[bytes, _Head] = field(default_factory=dict)


class KeyRing:
    """Signs and verifies for one process. Call `ready` (cheap) before either."""

    def __init__(self, database: Database, secrets: Secrets, settings: Settings, holds: Holds | None = None) -> None:
        self._database = database
        self._key = signing_keys.sealing_key(secrets)
        self._settings = settings
        self._holds = holds
        self._under = -1  # the generation for which the ring is current
        self._ring = _Ring((), {}, {"keys": []}, 0.0)
        self._asked_for_unknown = -math.inf
        self._turns = itertools.count(1)
        self._reads = SingleFlight[int | None, None]()

    async def ready(self, generation: int | None = None) -> None:
        """Reload the ring where it may be out of date: keys changed since its generation, or it is 30 s old. Raises Unavailable."""
        age = clock.monotonic() - self._ring.read
        other = generation is not None and generation != self._under and not self._is_true(generation)
        if not self._ring.held or other or age >= _READ_AGAIN_SECONDS:
            await self.reload(generation)

    def _is_true(self, generation: int) -> bool:
        if self._holds is None or not self._holds((SIGNING_KEYS.slot,), self._under, generation):
            return False
        self._under = max(self._under, generation)
        return True

    def _may_keep(self, under: int) -> bool:
        """Whether the loaded ring may be kept: no change of the keys is in progress."""
        return self._holds is None or self._holds((SIGNING_KEYS.slot,), under, under)

    async def reload(self, generation: int | None = None) -> None:
        """Load the ring from the database; creates the first key, or the next one where rotation is due. Raises Unavailable.

        Concurrent calls under one generation share one reading.
        """
        await self._reads.run(generation, lambda: self._read(generation))

    async def _read(self, generation: int | None) -> None:
        turn, under = next(self._turns), self._under if generation is None else generation
        async with self._database.read() as session:
            rows = await signing_keys.published(session)
        if signing_keys.is_due(rows, self._settings):
            async with self._database.transaction() as session:
                await signing_keys.rotate_if_due(session, self._key, self._settings)
                rows = await signing_keys.published(session)
        if turn > self._ring.turn:  # a reading that began earlier and took longer is older
            self._ring, self._under = self._load(rows, turn), under if self._may_keep(under) else -1

    def _load(self, rows: list[SigningKey], turn: int) -> _Ring:
        held = []
        for row in rows:
            previous = self._ring.by_kid.get(row.kid)
            key = previous.key if previous else self._private_key(row)  # unsealing and checking an RSA key takes milliseconds
            until = row.signs_until.timestamp() if row.signs_until else None
            method = _REGISTRY.get_alg(row.algorithm)
            method.check_key(key)
            held.append(_LoadedKey(row.kid, row.algorithm, key, method, row.signs_from.timestamp(), until))
        jwks = {"keys": [json.loads(row.public) for row in rows]}
        return _Ring(tuple(held), {each.kid: each for each in held}, jwks, clock.monotonic(), turn)

    def _private_key(self, row: SigningKey) -> Key:
        return import_key({**signing_keys.unsealed(row, self._key), "kid": row.kid, "alg": row.algorithm, "use": "sig"})

    @property
    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public halves (RFC 7517 section 5), the next key among them."""
        return self._ring.jwks

    @property
    def algorithms(self) -> list[str]:
        """The algorithms of the published keys, the signing one first."""
        return list(dict.fromkeys([self._signing_key().algorithm, *(each.algorithm for each in self._ring.held)]))

    def sign(self, claims: dict[str, Any], *, typ: str) -> str:
        """Sign claims as a compact JWS with the present key; `typ` is the header's (RFC 8725 section 3.11). RS256 takes about 0.25 ms."""
        held = self._signing_key()
        signed = _encoded_header(typ, held.algorithm, held.kid) + b"." + urlsafe_b64encode(msgspec.json.encode(claims))
        return (signed + b"." + urlsafe_b64encode(held.method.sign(signed, held.key))).decode()

    def verify(self, token: bytes, *, typ: str) -> dict[str, Any]:
        """Return the claims of a token that one of our keys signed, times unchecked; raises InvalidSignature, WrongType for another `typ`.

        Only `kid` of the header is used, and only to choose among our own keys: `jku`, `x5u` and `jwk` are never looked at
        (RFC 8725 section 3.10), and the algorithm is the key's own.
        """
        if not is_compact(token):
            raise InvalidSignature
        signed, _, signature = token.rpartition(b".")
        header, _, payload = signed.partition(b".")
        try:
            head = self._ring.heads.get(header) or self._head(token)
            if not head.held.method.verify(signed, urlsafe_b64decode(signature), head.held.key):
                raise InvalidSignature
            self._ring.heads[header] = head  # a header that we signed: a few for each key, however many tokens
            if head.typ != typ:
                raise WrongType
            claims = msgspec.json.decode(urlsafe_b64decode(payload))
        except (JoseError, ValueError, RecursionError, msgspec.DecodeError):
            raise InvalidSignature from None
        if not isinstance(claims, dict):
            raise InvalidSignature
        return claims

    def _head(self, token: bytes) -> _Head:
        """Decode the header of a token, and choose our key by it; raises InvalidSignature, JoseError, ValueError, RecursionError."""
        header = jws.extract_compact(token, registry=_REGISTRY).headers()
        held = self._ring.by_kid.get(str(header.get("kid")))
        if held is None or header.get("alg") != held.algorithm or "crit" in header:
            raise InvalidSignature
        _REGISTRY.check_header(header)
        return _Head(held, str(header.get("typ", "")).lower().removeprefix("application/"))

    async def look_again(self, token: bytes) -> bool:
        """Reload the ring where a token names a key that is not in it, at most once a second; returns whether it was reloaded."""
        now = clock.monotonic()
        if now - self._asked_for_unknown < _UNKNOWN_KID_SECONDS or not is_compact(token):
            return False
        try:
            kid = str(jws.extract_compact(token, registry=_REGISTRY).headers().get("kid"))
        except (JoseError, ValueError, RecursionError):
            return False
        if kid in self._ring.by_kid:
            return False
        self._asked_for_unknown = now
        await self.reload()
        return kid in self._ring.by_kid

    def _signing_key(self) -> _LoadedKey:
        now = clock.timestamp()
        active = [each for each in self._ring.held if each.signs_from <= now and (each.signs_until is None or now < each.signs_until)]
        return max(active or self._ring.held, key=lambda each: each.signs_from)


@lru_cache(maxsize=32)
def _encoded_header(typ: str, algorithm: str, kid: str) -> bytes:
    """Encode the header of all tokens of one kind and key (RFC 7515 section 4.1)."""
    return json_b64encode({"typ": typ, "alg": algorithm, "kid": kid})


def is_compact(token: bytes) -> bool:
    """Whether the text has the form of a compact JWS (RFC 7515 section 7.1) of acceptable length."""
    return len(token) <= _MOST_TOKEN and _COMPACT.fullmatch(token) is not None
