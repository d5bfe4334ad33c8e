"""Sealing small secrets at rest: AES-256-GCM with a random nonce, bound to a text that says what they are for."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class DecryptionError(Exception):
    """The sealed bytes were made with another key, or for another `about`, or were changed."""


def seal(key: bytes, plain: bytes, about: str) -> bytes:
    """Return `plain` sealed under a 32-byte key; only the same key with the same `about` opens it. Adds 28 bytes."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, about.encode())


def unseal(key: bytes, sealed: bytes, about: str) -> bytes:
    """Return the plain bytes; raises DecryptionError."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode())
    except (InvalidTag, ValueError):
        raise DecryptionError from None
