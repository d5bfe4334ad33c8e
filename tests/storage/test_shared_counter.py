"""The counter in a file: whole when it is made, and never a reason to trust old knowledge or to die."""

from __future__ import annotations

import asyncio
import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from latchpin.errors import Unavailable
from latchpin.storage.shared_counter import SharedCounter
from latchpin.storage.subjects import EVERYTHING, SLOTS

Opener = Callable[[Path], SharedCounter]
Mishap = Callable[[Path], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the counter's file is."""
    return tmp_path / "generation"


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens counters, and closes them when the test is over."""
    counters: list[SharedCounter] = []

    def open_(path: Path) -> SharedCounter:
        counters.append(SharedCounter(path))
        return counters[-1]

    yield open_
    for counter in counters:
        asyncio.run(counter.close())


@contextmanager
def _nothing_can_be_written() -> Iterator[None]:
    """Let every write to a file fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def _nothing_can_be_written_after(change: AbstractContextManager[None]) -> Iterator[None]:
    """Let a change begin as always, and every write of its end fail."""
    change.__enter__()
    yield
    with _nothing_can_be_written():
        change.__exit__(None, None, None)


def _delete(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(bytes(8))
    other.replace(path)


def _truncate(path: Path) -> None:
    os.truncate(path, 0)


def _set_back(path: Path) -> None:
    path.write_bytes(bytes(8))


def _move_away(path: Path) -> None:
    path.rename(path.with_name("moved"))


def test_a_new_file_is_whole_on_the_disk_and_for_its_owner_alone(path: Path, opened: Opener) -> None:
    """Bytes that take room, not a hole whose first write may find the disk full."""
    opened(path)

    status = path.stat()
    assert (status.st_size, stat.S_IMODE(status.st_mode)) == (16 + 8 * SLOTS, 0o600)
    assert status.st_blocks * 512 >= status.st_size
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mishap", [_delete, _replace, _truncate, _set_back, _move_away])
def test_what_another_process_counts_is_seen_whatever_happened_to_the_file(
    path: Path, opened: Opener, mishap: Callable[[Path], None]
) -> None:
    """Nobody is killed, no value comes twice, and all processes read one file again."""
    running = opened(path)
    seen = {running.current_nowait()}
    running.advance()
    seen.add(running.current_nowait())

    mishap(path)
    fresh = opened(path)
    after_the_mishap = running.current_nowait()
    fresh.advance()
    after_the_change = running.current_nowait()

    assert after_the_change not in seen | {after_the_mishap}
    assert after_the_change > max(seen)
    assert fresh.current_nowait() == running.current_nowait()


def test_a_process_that_still_reads_a_deleted_file_sees_at_once_what_a_sibling_counts(path: Path, opened: Opener) -> None:
    """The sibling raises the file that both have open as well as the new one."""
    one, two = opened(path), opened(path)
    path.unlink()
    before = two.current_nowait()

    one.advance()

    assert two.current_nowait() > before


def test_a_change_that_cannot_be_told_is_not_made(path: Path, opened: Opener) -> None:
    """It is refused before its commit, and what others know stays as good as it was."""
    counter, other = opened(path), opened(path)
    before = other.current_nowait()

    with _nothing_can_be_written(), pytest.raises(OSError, match="too large"), counter.change([5]):
        pytest.fail("the change was made")

    assert other.current_nowait() == before
    assert other.holds([5], before, before)


def test_a_change_whose_end_cannot_be_told_stays_under_way_until_it_can(path: Path, opened: Opener) -> None:
    """Its commit is done by then: everybody asks the database about it, and whoever can write first ends that."""
    counter, other = opened(path), opened(path)
    before = other.current_nowait()

    with _nothing_can_be_written_after(counter.change([5])):
        pass
    with _nothing_can_be_written():
        now = other.current_nowait()
        assert not other.holds([5], before, now)
        assert not other.holds([5], now, now)
        assert other.holds([6], before, now)

    assert not other.holds([5], now, now)  # finds nobody at work, and ends it
    later = other.current_nowait()
    assert later > now
    assert other.holds([5], later, later)
    assert not other.holds([5], now, later)


def test_a_file_that_cannot_be_made_is_told_and_nothing_half_made_stays(path: Path) -> None:
    """A full disk at the first start is one plain refusal."""
    with _nothing_can_be_written(), pytest.raises(Unavailable, match="cannot be used"):
        SharedCounter(path)

    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("mishap", [_delete, _replace, _truncate, _set_back, _move_away])
def test_nothing_that_was_known_under_another_file_counts(path: Path, opened: Opener, mishap: Mishap) -> None:
    """Whatever was counted in the file that is gone can be known no more, so everything is asked for again."""
    counter = opened(path)
    before = counter.current_nowait()
    assert counter.holds([5], before, before)

    mishap(path)
    _pass_the_next_look(path)
    now = counter.current_nowait()

    assert not counter.holds([5], before, now)
    assert counter.holds([5], now, now)


def _pass_the_next_look(path: Path) -> None:
    """Wait until every process looks again where the name leads."""
    time.sleep(0.02)


def test_a_file_that_takes_the_name_while_a_change_is_committed_is_told_of_it(path: Path, opened: Opener) -> None:
    """Who followed it before the commit remembers the old state under the new file."""
    writer, reader = opened(path), opened(path)

    with writer.change([5]):
        path.unlink()
        _pass_the_next_look(path)
        known = reader.current_nowait()
        assert reader.holds([5], known, known)

    assert not reader.holds([5], known, reader.current_nowait())


def test_a_file_that_is_truncated_while_a_change_is_committed_holds_nothing_old(path: Path, opened: Opener) -> None:
    """Cells of zeros, which a write behind the end leaves, would say that nothing was ever invalidated."""
    writer, reader = opened(path), opened(path)
    known = reader.current_nowait()

    with writer.change([SLOTS - 1]):
        os.truncate(path, 0)

    now = reader.current_nowait()
    assert not reader.holds([5], known, now)
    assert reader.holds([5], now, now)


def test_only_what_a_change_concerns_is_forgotten(path: Path, opened: Opener) -> None:
    """While it is under way what concerns it is asked for each time, and afterwards once."""
    writer, reader = opened(path), opened(path)
    before = reader.current_nowait()

    with writer.change([5]):
        now = reader.current_nowait()
        assert now > before
        assert (reader.holds([5], before, now), reader.holds([5], now, now), reader.holds([6, 7], before, now)) == (False, False, True)

    later = reader.current_nowait()
    assert later > now
    assert (reader.holds([5], now, later), reader.holds([5], later, later), reader.holds([6, 7], before, later)) == (False, True, True)


def test_a_change_that_concerns_everything_leaves_nothing(path: Path, opened: Opener) -> None:
    """Even what depends on nothing by name."""
    writer, reader = opened(path), opened(path)
    before = reader.current_nowait()

    writer.advance([EVERYTHING.slot])

    assert not reader.holds([], before, reader.current_nowait())


_DIES = """
import os, sys
from pathlib import Path
from latchpin.storage import shared_counter
writes = 0
inner = shared_counter._write_at
def counted(file, data, offset):
    global writes
    if writes == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
    inner(file, data, offset)
    writes += 1
shared_counter._write_at = counted
with shared_counter.SharedCounter(Path(sys.argv[1])).change([5, 9]):
    if sys.argv[2] == "3":
        os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("step", range(6))
def test_a_writer_that_is_killed_at_any_step_leaves_nothing_old_and_nothing_asked_for_for_good(
    path: Path, opened: Opener, step: int
) -> None:
    """Between its marks, before its commit, after it, between its releases: the counter's step says whether it can have committed."""
    reader = opened(path)
    before = reader.current_nowait()

    died = subprocess.run([sys.executable, "-c", _DIES, str(path), str(step)], check=False)

    assert died.returncode == -9
    now = reader.current_nowait()
    assert reader.holds([6], before, now), "what it did not concern is known still"
    may_have_committed = step >= 3
    assert (now > before) is may_have_committed
    for slot in (5, 9):
        if may_have_committed:
            assert not reader.holds([slot], before, now)
    for slot in (5, 9):  # whoever looked saw that nobody is at work
        again = reader.current_nowait()
        reader.holds([slot], again, again)
    later = reader.current_nowait()
    assert all(reader.holds([slot], later, later) for slot in (5, 9))


def test_a_mark_of_a_writer_that_is_at_work_is_left_alone(path: Path, opened: Opener) -> None:
    """Who meets it asks the database, and releases nothing before the writer does."""
    writer, reader = opened(path), opened(path)

    with writer.change([5]):
        now = reader.current_nowait()
        for _ in range(3):
            assert not reader.holds([5], now, now)
        assert reader.current_nowait() == now
