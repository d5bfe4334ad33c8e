"""What a JSON Web Key may not hold where a public one is wanted."""

from __future__ import annotations

# RFC 7518 section 6: what makes a key private, and `k`, which makes it symmetric.
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
