"""The form of an API key and of other random secrets, and their digests. Pure.

An API key is `sk-lp_` + 43 base62 characters (256 random bits) + 6 base62 characters of CRC-32 over all that precedes them. The
checksum lets secret scanners recognise a key, and lets malformed keys be rejected without a query; it protects nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib

from latchpin import secret_forms
from latchpin.kit import base62

PREFIX = secret_forms.API_KEY.prefix
_CHECKSUM = 6  # 62**6 > 2**32
_RANDOM = secret_forms.API_KEY.length - _CHECKSUM
LENGTH = len(PREFIX) + _RANDOM + _CHECKSUM
DISPLAY = len(PREFIX) + 4  # what a list shows: sk-lp_Ab12
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without characters that look alike
_TEMPORARY = re.compile(f"(?:[{_LETTERS}]{{4}}-){{3}}[{_LETTERS}]{{4}}")
_ALPHABET = frozenset(base62.ALPHABET)


def new_api_key() -> str:
    """Create a key. The text exists only in this return value: store its digest and its display prefix."""
    body = PREFIX + base62.random(256, _RANDOM)
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Whether the text could be a key of this product: prefix, length, alphabet and checksum."""
    if len(key) != LENGTH or not key.startswith(PREFIX) or not _ALPHABET.issuperset(key[len(PREFIX) :]):
        return False
    return hmac.compare_digest(_checksum(key[:-_CHECKSUM]), key[-_CHECKSUM:])


def display_prefix(key: str) -> str:
    """Return the part of a well-formed key that may be shown and logged: 4 of its 43 random characters."""
    return key[:DISPLAY]


def key_digest(key: bytes, pepper: bytes) -> bytes:
    """Return the 32 bytes that are stored for a key in the database: HMAC-SHA-256 under a deployment pepper.

    A key carries 256 random bits, so no slow hash is needed; the pepper makes a copy of the database useless for testing guesses.
    """
    return hmac.digest(pepper, key, "sha256")


def new_token() -> str:
    """Make a 256-bit secret for cookies and one-time links, in base62."""
    return base62.random(256, _RANDOM)


def token_digest(token: str) -> bytes:
    """Return the 32 bytes that are stored for a random token in the database (SHA-256; the token carries 256 random bits)."""
    return hashlib.sha256(token.encode()).digest()


def temporary_password() -> str:
    """Make a password that is typed once and then changed: four groups of four, about 80 random bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


def is_temporary_password(text: str) -> bool:
    """Whether a text has the form of a temporary password."""
    return _TEMPORARY.fullmatch(text) is not None


def _checksum(body: str) -> str:
    return base62.encode(zlib.crc32(body.encode("ascii")), _CHECKSUM)
