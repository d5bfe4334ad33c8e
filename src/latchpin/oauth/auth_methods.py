"""The ways in which a client authenticates (RFC 7591 section 2, `token_endpoint_auth_method`)."""

from __future__ import annotations

NONE = "none"
BASIC = "client_secret_basic"
POST = "client_secret_post"
PRIVATE_KEY_JWT = "private_key_jwt"
METHODS = (NONE, BASIC, POST, PRIVATE_KEY_JWT)
SECRET_METHODS = frozenset({BASIC, POST})


def is_same(method: str, other: str) -> bool:
    """Whether two methods use the same credential; a secret may be sent by either method (RFC 6749 section 2.3.1)."""
    return method == other or {method, other} <= SECRET_METHODS
