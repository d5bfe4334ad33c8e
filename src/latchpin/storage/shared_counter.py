"""A counter in a file, shared by the processes of one host: the generation of an embedded database, with what each one changed.

The file is read and written by system calls and never mapped into memory, so that a full disk or a truncated file is an error and not a
signal that kills the process. It holds the counter twice, so that a reader who meets an unfinished write sees two different values; then
a cell for each slot with the value at which it was last invalidated. Values only rise, even if the file is deleted, replaced or
restored: each is at least the time of day in nanoseconds.

A writer holds the file's lock. It marks its slots as under way and raises the counter before its commit; after it, it writes one more
value to its slots and then to the counter. A marked slot means: query the database, and cache nothing of its result. If a writer
dies in between, its lock is released, and the next process that sees the mark finishes its work.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import struct
import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from latchpin.errors import Unavailable
from latchpin.storage.outages import OutageLog
from latchpin.storage.subjects import EVERYTHING, SLOTS

_COUNTER = struct.Struct("=QQ")
_CELL = struct.Struct("=Q")
_SIZE = _COUNTER.size + SLOTS * _CELL.size
_UNDER_WAY = 1 << 63
_MOST = 1 << 62  # no counter is as high, so such a value was not written by this module
_TRIES = 100
_CHECK_SECONDS = 0.01  # least time between two checks that the name still leads to the open file
_NOTICE_SECONDS = 2 * _CHECK_SECONDS  # after this long every process with requests knows that the file was replaced
_PATIENCE_SECONDS = 10.0
_A_MOMENT = 0.0005  # seconds


class SharedCounter:
    """Reads and raises the counter. Raises Unavailable if the file can neither be read nor created again."""

    def __init__(self, path: Path, outages: OutageLog | None = None) -> None:
        self._path = path
        self._outages = outages or OutageLog()
        self._highest = 0
        self._floor = 0  # values cached under a lower generation are invalid: they belong to another file
        self._is_other = False  # whether the file was replaced and its counter has not been read yet
        self._table: Sequence[int] = ()
        self._table_at = -1
        self._turn = threading.Lock()
        self._checked_at = time.monotonic()
        try:
            self._file = _open(path)
        except OSError as error:
            raise self._refusal(error) from error
        self._identity = _identity(os.fstat(self._file))

    def current_nowait(self) -> int:
        """Return the counter."""
        try:
            if time.monotonic() - self._checked_at > _CHECK_SECONDS:
                self._follow()
            value = _read(self._file)
            if value is None or value < self._highest:
                value = self._begin_anew()
        except OSError as error:
            raise self._refusal(error) from error
        if self._is_other:
            self._floor, self._table_at, self._is_other = value, -1, False
        self._highest = value
        return value

    async def current(self) -> int:
        """Return the counter."""
        return self.current_nowait()

    def holds(self, slots: Sequence[int], since: int, generation: int) -> bool:
        """Whether none of the slots was invalidated after `since`, as of `generation`, which was read before; raises Unavailable."""
        if since < self._floor:
            return False
        if self._table_at < generation:
            try:
                self._table = self._read_table()
            except OSError as error:
                raise self._refusal(error) from error
            self._table_at = generation  # the counter was read first: a newer table costs extra look-ups at most
        table = self._table
        newest = table[EVERYTHING.slot]
        for slot in slots:
            newest = max(newest, table[slot])
        if newest <= since:
            return True
        if newest > self._highest:
            self._finish_abandoned()
        return False

    @contextmanager
    def change(self, slots: Sequence[int]) -> Iterator[None]:
        """Invalidate slots around a block that commits. Works in any thread; raises OSError, before the block, if it cannot."""
        with self._turn:
            with self._locked() as file:
                try:
                    _mark(file, slots)
                    yield
                finally:
                    with contextlib.suppress(OSError):  # the slots stay marked then, which costs look-ups
                        _release(file, slots)
                identity = _identity(os.fstat(file))
            self._follow_up(identity)

    def advance(self, slots: Sequence[int] = (EVERYTHING.slot,)) -> None:
        """Invalidate slots for a change that is committed already."""
        try:
            with self.change(slots):
                pass
        except OSError as error:
            raise self._refusal(error) from error

    async def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _refusal(self, error: OSError) -> Unavailable:
        detail = f"The file {self._path.name} of the data directory cannot be used ({error.strerror}), so no credential can be checked."
        return self._outages.refusal(error, detail)

    def _follow(self) -> None:
        """Open the file that has the name now; create it if there is none."""
        now = time.monotonic()
        if not self._is_named(self._identity):
            opened = _open(self._path)
            os.close(self._file)
            self._file, self._identity, self._is_other = opened, _identity(os.fstat(opened)), True
        self._checked_at = now  # not set after a failure, so that the next reader checks again

    def _is_named(self, identity: tuple[int, int]) -> bool:
        try:
            return _identity(self._path.stat()) == identity
        except FileNotFoundError:
            return False

    def _begin_anew(self) -> int:
        """Invalidate everything in a file that was truncated, restored or damaged, and return its counter."""
        with _lock(self._file):
            value = _read(self._file) or 0
            if value >= self._highest and _is_whole(self._file):
                return value  # another process has done it
            return _write_whole(self._file, above=self._highest)

    def _read_table(self) -> Sequence[int]:
        data = os.pread(self._file, SLOTS * _CELL.size, _COUNTER.size)
        if len(data) < SLOTS * _CELL.size:
            self._begin_anew()
            data = os.pread(self._file, SLOTS * _CELL.size, _COUNTER.size)
        return memoryview(data.ljust(SLOTS * _CELL.size, b"\xff")).cast("Q")

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open the file that has the name, and lock it. The lock belongs to this descriptor, and ends with it or with the process."""
        while True:
            file = _open(self._path)
            try:
                with _lock(file):
                    if not self._is_named(_identity(os.fstat(file))):
                        continue
                    if not _is_whole(file):
                        _write_whole(file, above=0)
                    yield file
                    return
            finally:
                os.close(file)

    def _follow_up(self, identity: tuple[int, int]) -> None:
        """Invalidate everything in a file that took the name during a commit; other processes may have cached old values under it."""
        try:
            while not self._is_named(identity):
                with self._locked() as file:
                    identity = _identity(os.fstat(file))
                    _write_whole(file, above=_read(file) or 0)
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)  # works on a full disk too, and every process notices
            time.sleep(_NOTICE_SECONDS)

    def _finish_abandoned(self) -> None:
        """Release the slots that a dead writer marked; does nothing while a writer is at work, or if the file cannot be written."""
        with contextlib.suppress(OSError):
            file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            try:
                if _identity(os.fstat(file)) == self._identity:
                    with _lock(file, seconds=0):
                        _release_all(file)
            finally:
                os.close(file)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


@contextmanager
def _lock(file: int, seconds: float = _PATIENCE_SECONDS) -> Iterator[None]:
    """Hold the file's lock for the block; raises OSError if it is not free within `seconds`."""
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(_A_MOMENT)
        else:
            break
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _open(path: Path) -> int:
    """Open the file; create it if there is none. A file that has only just got its name is opened once all other processes know of it."""
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
    """Create the file (0600), complete and synced to disk before it gets its name; if another process was first, its file stays."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _write_whole(file, above=0)
        os.fsync(file)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.close(file)
        draft.unlink()


def _read(file: int) -> int | None:
    """Return the counter, or None if the file has been truncated or damaged."""
    for _ in range(_TRIES):
        data = os.pread(file, _COUNTER.size, 0)
        if len(data) < _COUNTER.size:
            return None
        one, other = _COUNTER.unpack(data)
        if one == other:  # else a writer is at work
            return int(one) if one < _MOST else None
    return None


def _is_whole(file: int) -> bool:
    return _read(file) is not None and os.fstat(file).st_size >= _SIZE


def _write(file: int, value: int) -> None:
    _write_at(file, _COUNTER.pack(value, value), 0)


def _write_slots(file: int, slots: Sequence[int], value: int) -> None:
    for slot in slots:
        _write_at(file, _CELL.pack(value), _COUNTER.size + slot * _CELL.size)


def _write_at(file: int, data: bytes, offset: int) -> None:
    if os.pwrite(file, data, offset) < len(data):
        os.pwrite(file, data, offset)  # the second call raises the reason, such as a full disk


def _next(file: int, above: int = 0) -> int:
    return max(_read(file) or 0, above, time.time_ns()) + 1


def _write_whole(file: int, *, above: int) -> int:
    """Write the file anew, with everything invalidated; returns the counter. The caller holds the lock, or nobody else has the file."""
    value = _next(file, above)
    _write_at(file, array("Q", [value]).tobytes() * SLOTS, _COUNTER.size)
    _write(file, value)
    return value


def _mark(file: int, slots: Sequence[int]) -> None:
    """Mark slots: a change is under way. The counter rises last, since nobody looks at the slots before it does."""
    value = _next(file)
    _write_slots(file, slots, _UNDER_WAY | value)
    _write(file, value)


def _release(file: int, slots: Sequence[int]) -> None:
    """Release the slots after the change; a file that was truncated meanwhile is written anew."""
    if not _is_whole(file):
        _write_whole(file, above=0)
        return
    value = _next(file)
    _write_slots(file, slots, value)
    _write(file, value)


def _release_all(file: int) -> None:
    """Release every slot that is marked, or newer than the counter: its writer died before it raised the counter."""
    value = _read(file)
    cells = memoryview(os.pread(file, SLOTS * _CELL.size, _COUNTER.size)).cast("Q")
    if value is not None and (left := [slot for slot, cell in enumerate(cells) if cell > value]):
        _release(file, left)
