"""What a JSON Web Key may not hold where a public one is wanted, and the two names of Ed25519's algorithm."""

from __future__ import annotations

from typing import Any

# RFC 7518 section 6: what makes a key private, and `k`, which makes it symmetric.
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
ED25519 = ("Ed25519", "EdDSA")  # `alg` as RFC 9864 section 2.2 has it, and as RFC 8037 had it, which says no curve and goes out of use


def with_either_name(jwk: dict[str, Any]) -> dict[str, Any]:
    """Return a key without its `alg` where that is one of Ed25519's two names, so that it fits a signature under the other one, too."""
    if jwk.get("crv") != "Ed25519" or jwk.get("alg") not in ED25519:
        return jwk
    return {name: value for name, value in jwk.items() if name != "alg"}
