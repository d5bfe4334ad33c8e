"""A 64-bit counter in a file, shared by the processes of one host: the generation of an embedded database.

The file is read and written by system calls and never mapped into memory, so that a full disk or a truncated file is an error and no
signal that kills the process. Its values only rise, also where the file is deleted, replaced or set back: a new file begins at the time
of day in nanoseconds, which no counting reaches.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from latchpin.storage.outages import OutageLog

_CELL = struct.Struct("=Q")
_CHECK_SECONDS = 0.01  # so often at most, the name is checked to lead to the open file still
_NOTICE_SECONDS = 2 * _CHECK_SECONDS  # after this long every process that is asked knows of another file


class SharedCounter:
    """Reads and raises the counter. Raises Unavailable where the file can neither be read nor made anew."""

    def __init__(self, path: Path, outages: OutageLog | None = None) -> None:
        self._path = path
        self._outages = outages or OutageLog()
        self._highest = 0
        self._checked_at = time.monotonic()
        with _cannot_write(path, self._outages):
            self._file = _open(path)
        self._identity = _identity(os.fstat(self._file))

    def current_nowait(self) -> int:
        """Return the counter."""
        with _cannot_write(self._path, self._outages):
            if time.monotonic() - self._checked_at > _CHECK_SECONDS:
                self._follow()
            value = _read(self._file)
            if value is None or value < self._highest:
                value = _raise(self._file, above=self._highest)
        self._highest = value
        return value

    async def current(self) -> int:
        """Return the counter."""
        return self.current_nowait()

    def advance(self) -> None:
        """Raise the counter; safe against other processes that raise it at the same moment.

        A file that has lost its name meanwhile is raised as well, for the processes that still read it.
        """
        try:
            _raise(self._file, above=self._highest)
            if self._follow():
                _raise(self._file, above=self._highest)
        except OSError:
            with _cannot_write(self._path, self._outages):
                self._path.unlink(missing_ok=True)  # works on a full disk too, and every process notices
            time.sleep(_NOTICE_SECONDS)

    async def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _follow(self) -> bool:
        """Open what the name leads to now, made anew where that is nothing; returns whether it is another file."""
        now = time.monotonic()
        is_other = True
        with contextlib.suppress(FileNotFoundError):
            is_other = _identity(self._path.stat()) != self._identity
        if is_other:
            opened = _open(self._path)
            os.close(self._file)
            self._file, self._identity = opened, _identity(os.fstat(opened))
        self._checked_at = now  # not where it failed: then the next reader has to look again
        return is_other


@contextmanager
def _cannot_write(path: Path, outages: OutageLog) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        detail = f"The file {path.name} of the data directory cannot be used ({error.strerror}), so no credential can be checked."
        raise outages.refusal(error, detail) from error


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _open(path: Path) -> int:
    """Open the file, made anew where there is none. One that has only just got its name is opened when all others know of it."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        _create(path)
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    age = time.time() - os.fstat(file).st_ctime
    if 0 <= age < _NOTICE_SECONDS:
        time.sleep(_NOTICE_SECONDS - age)
    return file


def _create(path: Path) -> None:
    """Make the file (0600), whole and on the disk before it has its name; the file of who was first is left alone."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _write(file, time.time_ns())
        os.fsync(file)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.close(file)
        draft.unlink()


def _read(file: int) -> int | None:
    """Return the counter, or None where the file has been truncated."""
    data = os.pread(file, _CELL.size, 0)
    return int(_CELL.unpack(data)[0]) if len(data) == _CELL.size else None


def _write(file: int, value: int) -> None:
    os.pwrite(file, _CELL.pack(value), 0)


def _raise(file: int, *, above: int) -> int:
    """Raise the counter by one, or beyond `above`; a truncated file begins anew."""
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        current = _read(file)
        value = max(time.time_ns() if current is None else current, above) + 1
        _write(file, value)
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
    return value
