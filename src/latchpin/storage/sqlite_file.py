"""The embedded database's file: created once, for its owner alone, and checked to be the same for as long as a process has it open.

SQLite would go on with a file that was deleted or renamed, and acknowledge changes that are lost when the last process closes it; for a
new connection it would create another, empty file.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from sqlalchemy.engine import make_url


class DatabaseFileLost(OSError):
    """The file is missing, or is not the one that this process opened."""


class SqliteFile:
    """Watches one file for one process; with `may_create` a missing file is created, and its directory (0700) too."""

    def __init__(self, url: str, *, may_create: bool) -> None:
        self._path = sqlite_file(url)
        if may_create:
            with contextlib.suppress(OSError):  # connecting reports the error
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._may_create = may_create
        self._identity: tuple[int, int] | None = None

    def before_connecting(self) -> None:
        """Create the file (0600) if there is none and that is allowed; SQLite's side files get the same mode. Raises DatabaseFileLost."""
        if self._identity is None:
            if self._may_create:
                with contextlib.suppress(OSError):  # it exists, or its directory is missing, which connecting reports
                    os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            self._identity = self._current_identity()
        self.check()

    def check(self) -> None:
        """Raise DatabaseFileLost if the name no longer leads to the file that this process has open."""
        if self._identity is not None and self._identity != self._current_identity():
            message = f"{self._path} was deleted or replaced while this process runs. Stop every process, restore the file, and start again"
            raise DatabaseFileLost(message)

    def hindrance(self, least_free: int) -> OSError | None:
        """Return why the file cannot be written, with EROFS or, where fewer bytes than `least_free` are left, ENOSPC; None if it can."""
        if not os.access(self._path, os.W_OK):
            return OSError(errno.EROFS, f"{self._path} cannot be written")
        disk = os.statvfs(self._path)
        free = disk.f_bavail * disk.f_frsize
        return OSError(errno.ENOSPC, f"{free} bytes are free beside {self._path}") if free < least_free else None

    def _current_identity(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError as error:
            message = f"there is no database file {self._path} ({error.strerror})"
            raise DatabaseFileLost(message) from error
        return status.st_dev, status.st_ino


def sqlite_file(url: str) -> Path:
    """Return the embedded database's file itself, behind any symbolic link: all names of one file must lead to one counter."""
    return Path(make_url(url).database or "latchpin.db").resolve()
