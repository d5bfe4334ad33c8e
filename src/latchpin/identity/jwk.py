"""JSON Web Keys from outside: problems that make one unusable, and the two names of Ed25519's algorithm. Pure."""

from __future__ import annotations

import warnings
from enum import Enum, auto
from typing import Any

from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import JWKRegistry, RSAKey

# RFC 7518 section 6: what makes a key private, and `k`, which makes it symmetric.
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
KEY_TYPES = frozenset({"RSA", "EC", "OKP"})
RSA_BITS = range(2048, 8192 + 1)  # with a million bits, every check would take very long
ED25519 = ("Ed25519", "EdDSA")  # `alg` of RFC 9864 section 2.2, and that of RFC 8037, which names no curve and is deprecated


class Problem(Enum):
    """Why a key cannot be used to check signatures."""

    KEY_TYPE = auto()
    PRIVATE = auto()
    RSA_SIZE = auto()
    UNREADABLE = auto()


def problem(jwk: Any) -> Problem | None:  # noqa: ANN401  whatever the JSON holds
    """Return why a value is no public key that can be used to check signatures, or None where it is one."""
    if not isinstance(jwk, dict) or jwk.get("kty") not in KEY_TYPES:
        return Problem.KEY_TYPE
    if PRIVATE_MEMBERS & jwk.keys():
        return Problem.PRIVATE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # RSA keys that are too short are refused below; no warning is needed
            key = JWKRegistry.import_key(jwk)
        if isinstance(key, RSAKey) and key.raw_value.key_size not in RSA_BITS:
            return Problem.RSA_SIZE
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return Problem.UNREADABLE
    return None


def with_either_name(jwk: dict[str, Any]) -> dict[str, Any]:
    """Return a key without `alg` where that is one of Ed25519's two names, so that signatures with the other name verify, too."""
    if jwk.get("crv") != "Ed25519" or jwk.get("alg") not in ED25519:
        return jwk
    return {name: value for name, value in jwk.items() if name != "alg"}
