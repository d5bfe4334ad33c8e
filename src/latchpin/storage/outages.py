"""What is the matter with the database: from a driver's error to one of a few kinds, each with the operator's words for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from enum import Enum

from latchpin.storage.sqlite_file import DatabaseFileLost


class Outage(Enum):
    """Why the database cannot be used."""

    AWAY = "it cannot be reached"
    SLOW = "it does not answer in time"
    BUSY = "it is locked, or has no connection to spare"
    FULL = "its disk is full"
    READ_ONLY = "it can be read, but not written"
    REFUSED = "it refuses the user, the password, or the name of the database"
    DAMAGED = "its file is damaged"
    LOST = "its file was deleted or replaced"


# PostgreSQL's SQLSTATE, the longest beginning that is listed.
_STATES = {
    "08": Outage.AWAY,
    "28": Outage.REFUSED,
    "3D": Outage.REFUSED,
    "42501": Outage.REFUSED,
    "25006": Outage.READ_ONLY,
    "53100": Outage.FULL,
    "53": Outage.BUSY,
    "40": Outage.BUSY,
    "55": Outage.BUSY,
    "55000": Outage.REFUSED,
    "57P": Outage.AWAY,
    "57014": Outage.SLOW,
    "58": Outage.DAMAGED,
    "58030": Outage.FULL,
    "XX": Outage.DAMAGED,
}
_CODES = {
    sqlite3.SQLITE_BUSY: Outage.BUSY,
    sqlite3.SQLITE_LOCKED: Outage.BUSY,
    sqlite3.SQLITE_FULL: Outage.FULL,
    sqlite3.SQLITE_READONLY: Outage.READ_ONLY,
    sqlite3.SQLITE_CORRUPT: Outage.DAMAGED,
    sqlite3.SQLITE_NOTADB: Outage.DAMAGED,
}


def outage_of(error: BaseException) -> Outage:
    """Return what an error of a driver, or one that was raised from it, says of the database."""
    kinds = [kind for each in _causes(error) if (kind := _kind(each))]
    return kinds[-1] if kinds else Outage.AWAY


def is_passing(error: BaseException) -> bool:
    """Whether the database may be there in a moment without anybody's doing: it is away, starts, or does not answer."""
    return outage_of(error) in {Outage.AWAY, Outage.SLOW}


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = getattr(error, "orig", None) or error.__cause__


def _kind(error: BaseException) -> Outage | None:
    state = str(getattr(error, "sqlstate", None) or "")
    for length in (5, 3, 2):
        if state[:length] in _STATES:
            return _STATES[state[:length]]
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return _CODES.get(code & 0xFF)
    if isinstance(error, DatabaseFileLost):
        return Outage.LOST
    return Outage.SLOW if isinstance(error, TimeoutError) else None
