"""Storage of files, in a directory. A file grows by appending and is never changed otherwise.

Keys are relative paths of letters, digits, `-`, `_`, `.` and `/`; our code makes them, never a caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

_KEY = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*/)*[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_PART = 256 * 1024  # bytes


class FileStore(Protocol):
    """Stores the files of runs. `read` and `size` treat a missing file as an empty one."""

    async def append(self, key: str, data: bytes) -> None:
        """Append to a file, which is created if it is missing. Returns once the data would survive the death of this process."""

    def read(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Return a file's bytes in parts, from `start` on, at most `length` of them; of a growing file, those that exist by then."""

    async def size(self, key: str) -> int:
        """Return a file's size in bytes."""

    async def delete(self, prefix: str) -> None:
        """Delete a file, or every file below a prefix; nothing happens where there is none."""


class DirectoryStore:
    """Files in a directory, for their owner alone."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, key: str) -> Path:
        """Return the path of a file; raises ValueError for an invalid key."""
        if not _KEY.fullmatch(key):
            message = f"not a key of a file: {key[:80]!r}"
            raise ValueError(message)
        return self._root / key

    async def append(self, key: str, data: bytes) -> None:
        """See FileStore; the operating system has the bytes when this returns."""
        await asyncio.to_thread(self._append, self.path(key), data)

    def _append(self, path: Path, data: bytes) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "ab", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]

    async def read(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """See FileStore."""
        try:
            file = await asyncio.to_thread(self.path(key).open, "rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(start)
            left = length
            while left is None or left > 0:
                part = await asyncio.to_thread(file.read, _PART if left is None else min(_PART, left))
                if not part:
                    return
                if left is not None:
                    left -= len(part)
                yield part

    async def size(self, key: str) -> int:
        """See FileStore."""
        with contextlib.suppress(FileNotFoundError):
            return (await asyncio.to_thread(self.path(key).stat)).st_size
        return 0

    async def delete(self, prefix: str) -> None:
        """See FileStore."""
        await asyncio.to_thread(self._delete, self.path(prefix))

    def _delete(self, path: Path) -> None:
        if path.is_dir():
            shutil.rmtree(path)
            return
        path.unlink(missing_ok=True)
