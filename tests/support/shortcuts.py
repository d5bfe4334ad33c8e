"""What a deployment pays for and most tests need not: strong password hashes, and commits that survive a power cut.

The tests' own process takes the shortcuts before it makes its first database (databases.py). There is no setting for them, so no
deployment can have them; programs that tests start (`latchpin serve`, the command line) hash and commit as they always do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import argon2
from sqlalchemy.pool import ConnectionPoolEntry

from latchpin.identity import passwords
from latchpin.storage import database

_strong, _durable = passwords._hasher, database._configure_sqlite
_cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def take() -> None:
    """Hash passwords cheaply (microseconds instead of 20 ms), and do not wait for the disk."""
    _hash_with(_cheap)
    database._configure_sqlite = _configure_sqlite


@contextmanager
def strong_hashes() -> Iterator[None]:
    """Hash passwords as a deployment does, for the length of the block."""
    before = passwords._hasher
    _hash_with(_strong)
    try:
        yield
    finally:
        _hash_with(before)


@contextmanager
def durable_commits() -> Iterator[None]:
    """Configure connections that are opened in the block as a deployment does."""
    before = database._configure_sqlite
    database._configure_sqlite = _durable
    try:
        yield
    finally:
        database._configure_sqlite = before


def _hash_with(hasher: argon2.PasswordHasher) -> None:
    passwords._hasher = hasher
    passwords._nobody.cache_clear()


def _configure_sqlite(connection: Any, record: ConnectionPoolEntry) -> None:
    _durable(connection, record)
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = OFF")
    cursor.close()
