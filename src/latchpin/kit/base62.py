"""Base62 (0-9, A-Z, a-z): text that a double click selects as a whole and that needs no escaping anywhere."""

from __future__ import annotations

import secrets

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def encode(number: int, width: int) -> str:
    """Write `number` in base62, padded with zeros to `width` characters; raises ValueError if it does not fit."""
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    if number:
        msg = "the number does not fit the width"
        raise ValueError(msg)
    return "".join(reversed(digits))


def random(bits: int, width: int) -> str:
    """Return `width` base62 characters that carry `bits` random bits of the operating system's generator."""
    return encode(secrets.randbits(bits), width)
