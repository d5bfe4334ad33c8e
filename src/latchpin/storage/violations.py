"""Which constraint of the database a row violates, by the drivers' error codes and never by their texts."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import IntegrityError

_UNIQUE, _FOREIGN_KEY = "23505", "23503"  # SQLSTATE, PostgreSQL
_CODES = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: _UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: _UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: _FOREIGN_KEY,
}


def is_unique(error: IntegrityError) -> bool:
    """Whether another row already has a value that must be unique."""
    return _state(error) == _UNIQUE


def is_foreign_key(error: IntegrityError) -> bool:
    """Whether the row that this one refers to does not exist."""
    return _state(error) == _FOREIGN_KEY


def _state(error: IntegrityError) -> str | None:
    code = getattr(error.orig, "sqlite_errorcode", None)
    return _CODES.get(code) if code is not None else getattr(error.orig, "sqlstate", None)
