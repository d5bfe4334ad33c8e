"""Tokens taken apart and put together otherwise: with the server's own keys, or with those of somebody else."""

from __future__ import annotations

import base64
import json
from typing import Any

from joserfc import jws
from joserfc.jwk import Key

from latchpin.identity.key_ring import KeyRing
from tests.support.server import Server


def ring(server: Server) -> KeyRing:
    """Return the server's own keys."""
    key_ring: KeyRing = server.services.tokens._ring
    return key_ring


def header(token: str) -> dict[str, Any]:
    """Return a token's header, unverified."""
    return _opened(token.split(".", maxsplit=1)[0])


def claims(token: str) -> dict[str, Any]:
    """Return a token's claims, unverified."""
    return _opened(token.split(".")[1])


def resigned(server: Server, token: str, *, typ: str = "at+jwt", without: str | None = None, **changed: Any) -> str:
    """Return a token with other claims that the server itself signed, as no endpoint of it would."""
    payload = {**claims(token), **changed}
    if without is not None:
        del payload[without]
    return ring(server).sign(payload, typ=typ)


def forged(of: dict[str, Any], payload: Any, key: Key) -> str:
    """Return a compact JWS under a key of the forger's."""
    registry = jws.JWSRegistry(algorithms=[of["alg"]], strict_check_header=False)
    return jws.serialize_compact(of, json.dumps(payload), key, registry=registry)


def assembled(of: Any, payload: Any, signature: bytes = b"") -> str:
    """Return three parts with dots between, whatever they say; `bytes` are taken as they are."""
    parts = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in (of, payload)]
    return ".".join(map(encoded, [*parts, signature]))


def encoded(part: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _opened(part: str) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded
