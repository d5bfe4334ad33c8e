"""Outages of the database: maps a driver's error to one of a few kinds, with messages for the operator and for the caller."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from latchpin.errors import Malformed, Unavailable
from latchpin.kit import clock
from latchpin.kit.counted_lines import CountedLines
from latchpin.kit.logger import Logger
from latchpin.storage.sqlite_file import DatabaseFileLost

_UNWRITABLE_SECONDS = 30.0  # for how long after a write failed for lack of space or permission the database is reported as not writable
_log = Logger(__name__)


class Outage(Enum):
    """Why the database cannot be used."""

    AWAY = "it cannot be reached"
    SLOW = "it does not answer in time"
    BUSY = "it is locked, or has no connection to spare"
    FULL = "its disk is full"
    READ_ONLY = "it can be read, but not written"
    REFUSED = "it refuses the user, the password, or the name of the database"
    DAMAGED = "its file or its disk is damaged"
    LOST = "its file was deleted or replaced"


# PostgreSQL's SQLSTATE (appendix A of its manual); the longest prefix that is listed decides.
_STATES = {
    "08": Outage.AWAY,
    "28": Outage.REFUSED,
    "3D": Outage.REFUSED,
    "42501": Outage.REFUSED,
    "25006": Outage.READ_ONLY,
    "53": Outage.BUSY,
    "53100": Outage.FULL,
    "40": Outage.BUSY,
    "55": Outage.BUSY,
    "55000": Outage.REFUSED,
    "57P": Outage.AWAY,
    "57014": Outage.SLOW,
    "58": Outage.DAMAGED,
    "XX": Outage.DAMAGED,
}
_CODES = {
    sqlite3.SQLITE_BUSY: Outage.BUSY,
    sqlite3.SQLITE_LOCKED: Outage.BUSY,
    sqlite3.SQLITE_FULL: Outage.FULL,
    sqlite3.SQLITE_READONLY: Outage.READ_ONLY,
    sqlite3.SQLITE_IOERR: Outage.DAMAGED,
    sqlite3.SQLITE_CORRUPT: Outage.DAMAGED,
    sqlite3.SQLITE_NOTADB: Outage.DAMAGED,
}
_FAMILIES: tuple[tuple[type[Exception], Outage], ...] = (
    (DatabaseFileLost, Outage.LOST),
    (PoolTimeoutError, Outage.BUSY),
    (TimeoutError, Outage.SLOW),
)
_ERRNOS = {
    errno.ENOSPC: Outage.FULL,
    errno.EDQUOT: Outage.FULL,
    errno.EROFS: Outage.READ_ONLY,
    errno.EACCES: Outage.READ_ONLY,
    errno.EPERM: Outage.READ_ONLY,
}
_PASSING = {Outage.AWAY, Outage.SLOW, Outage.BUSY}  # ends without anybody's action
_UNTEXTUAL = ("22021", "22P05")  # a byte or an escape that is no character of the database's encoding
_TO_CALLERS = {
    Outage.SLOW: "The database does not answer in time. Try again in a moment.",
    Outage.BUSY: "The database is busy. Nothing was changed; try again in a moment.",
    Outage.FULL: "Nothing can be stored: the disk of the database is full. Nothing was changed; tell your operator.",
    Outage.LOST: "Nothing can be stored: the file of the database was deleted or replaced. Tell your operator.",
    Outage.READ_ONLY: "Nothing can be stored: the database can only be read. Nothing was changed; tell your operator.",
}
_TO_OTHERS = "The database cannot be reached. Nothing was changed; try again in a moment."


def outage_of(error: BaseException) -> Outage:
    """Return the kind of outage that a driver's error, or an error raised from it, stands for."""
    kinds = [kind for each in _causes(error) if (kind := _kind(each))]
    return kinds[-1] if kinds else Outage.AWAY


def is_passing(error: BaseException) -> bool:
    """Whether the database may be usable again soon without anybody's action: it is unreachable, starting, or not responding."""
    return outage_of(error) in {Outage.AWAY, Outage.SLOW}


class OutageLog:
    """Logs one line for each kind of outage and minute, with the number of times it happened, and remembers failed writes."""

    def __init__(self) -> None:
        self._lines = CountedLines()
        self._unwritable: Outage | None = None
        self._unwritable_at = 0.0

    def refusal(self, error: BaseException, detail: str | None = None) -> Unavailable:
        """Log the cause of a driver's error, and return the Unavailable to raise for it; `detail` is for the caller."""
        outage = outage_of(error)
        if outage in {Outage.FULL, Outage.READ_ONLY}:
            self._unwritable, self._unwritable_at = outage, clock.monotonic()
        reason = str(getattr(error, "orig", error)) or type(error).__name__
        return self.unavailable(outage, " ".join(reason.split()), detail)

    def unavailable(self, outage: Outage, cause: str, detail: str | None = None) -> Unavailable:
        """Log the cause of an outage, and return the Unavailable to raise for it."""
        write = _log.warning if outage in _PASSING else _log.error
        self._lines.note(write, "database.unavailable", cause=outage.name.lower(), detail=f"{outage.value} ({cause})")
        return Unavailable(detail or _TO_CALLERS.get(outage, _TO_OTHERS))

    def unwritable(self) -> Outage | None:
        """Return why a write of the last half minute failed, if that was for lack of space or permission, else None."""
        is_recent = clock.monotonic() - self._unwritable_at < _UNWRITABLE_SECONDS
        return self._unwritable if is_recent else None


@contextmanager
def plain_errors(outages: OutageLog) -> Iterator[None]:
    """Translate a driver's error: Unavailable for one about the database, Malformed for a text that cannot be stored."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError, OSError) as error:
        raise outages.refusal(error) from error
    except DBAPIError as error:
        if error.connection_invalidated or _speaks_of_the_database(error):
            raise outages.refusal(error) from error
        if str(getattr(error.orig, "sqlstate", None)) in _UNTEXTUAL:
            raise Malformed("A text holds a character that cannot be stored, such as a NUL.") from error
        raise


def _speaks_of_the_database(error: DBAPIError) -> bool:
    """Whether a driver's error is about the database and not about the statement."""
    return any(_kind(each) for each in _causes(error))


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
    if outage := next((kind for family, kind in _FAMILIES if isinstance(error, family)), None):
        return outage
    return _ERRNOS.get(error.errno or 0) if isinstance(error, OSError) else None
