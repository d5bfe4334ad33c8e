"""Passwords: the rules of security.md 105, and Argon2id in a bounded pool of threads.

Argon2id with t=2, m=19 MiB, p=1 (OWASP's first choice; 18 ms where it was measured). The pool bounds how many run at once, so that a
flood of sign-ins cannot take all memory or starve the event loop.
"""

from __future__ import annotations

import asyncio
import os
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from latchpin.identity import credentials
from latchpin.kit import plain_text

LEAST = 8
MOST = 256
THREADS = 2
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_PRODUCT_WORDS = ("latchpin", "sequentum", "password", "control center")


@dataclass(frozen=True, slots=True)
class Hashed:
    """A password with its hash, made before the transaction that stores it: hashing inside would make all other writers wait."""

    text: str = field(repr=False)
    password_hash: str = field(repr=False)


def weakness(password: str, *, own_words: tuple[str, ...] = ()) -> str | None:
    """Return why a new password is refused, as a sentence for the user, or None where it is accepted.

    Any characters, no composition rules, no truncation. `own_words` are the user's name and e-mail, which are refused as passwords.
    """
    password = prepared(password)
    if len(password) < LEAST:
        return f"Use at least {LEAST} characters."
    if len(password) > MOST:
        return f"Use at most {MOST} characters."
    if not _is_text(password):
        return "Use characters that can be written; a part of one is missing."
    return _guessable(password, own_words)


def _guessable(password: str, own_words: tuple[str, ...]) -> str | None:
    folded = password.casefold().strip()
    if folded in _common() or _without_tail(folded) in _common():
        return "This is one of the most common passwords. Choose another, such as several unrelated words."
    words = [word.casefold() for word in (*_PRODUCT_WORDS, *own_words) if len(word) > 3]  # noqa: PLR2004
    if any(folded == word or _without_tail(folded) == word for word in words):
        return "Do not use your name, your e-mail or the product's name as the password."
    if len(set(folded)) < 4:  # noqa: PLR2004
        return "Use more than three different characters."
    return None


def prepared(password: str) -> str:
    """Return a password in the form that is hashed (RFC 8265 section 4.2): NFC, any blank as a space, the same from every keyboard."""
    return unicodedata.normalize("NFC", plain_text.with_plain_blanks(password))


async def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password; about 20 ms in a thread of the pool."""
    return await asyncio.get_running_loop().run_in_executor(_pool(), _hasher.hash, prepared(password))


async def hashed(password: str) -> Hashed:
    """Hash a password that a user chose. Its strength is checked where it is set."""
    return Hashed(password, await hash_password(password))


async def temporary() -> Hashed:
    """Generate and hash a temporary password."""
    return await hashed(credentials.temporary_password())


async def matches(password: str, password_hash: str | None) -> bool:
    """Whether the password matches the hash. With None (unknown user) the same work is done, and False is returned.

    The amount of work depends only on the typed text: one hash for ASCII, up to three for text with several encodings.
    """
    is_match = await asyncio.get_running_loop().run_in_executor(_pool(), _verify, password_hash, password)
    return is_match and password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether a hash has other parameters than the present ones and should be replaced at the next sign-in."""
    return _hasher.check_needs_rehash(password_hash)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="argon2")


# A forked server process has none of its parent's threads: a pool that was used before the fork would never answer in the child.
os.register_at_fork(after_in_child=_pool.cache_clear)


def _verify(password_hash: str | None, password: str) -> bool:
    return any(_is_hashed(password_hash or _nobody(), each) for each in _spellings(password))


def _is_hashed(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password.encode(errors="replace"))
    except (VerificationError, InvalidHashError):
        return False


def _spellings(password: str) -> dict[str, None]:
    """Return the forms in which a typed password can have been hashed: as prepared now, and as typed before that rule existed.

    A temporary password is pasted, often with a blank or a line break; it contains none itself.
    """
    copied = plain_text.normalize(password)
    temporary = (copied,) if credentials.is_temporary_password(copied) else ()
    return dict.fromkeys((*temporary, prepared(password), password, unicodedata.normalize("NFD", password)))


def _is_text(password: str) -> bool:
    """Whether the text can be encoded in UTF-8; half of a surrogate pair cannot."""
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True


@cache
def _nobody() -> str:
    return _hasher.hash("nobody has this password")


def _without_tail(folded: str) -> str:
    return folded.rstrip("0123456789!.?*#$_-")


@cache
def _common() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415  30,000 words, only needed where a password is chosen

    return frozenset(FREQUENCY_LISTS["passwords"])
