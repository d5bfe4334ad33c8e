"""The counter in a file: whole when it is made, and never a reason to trust old knowledge or to die."""

from __future__ import annotations

import asyncio
import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from latchpin.errors import Unavailable
from latchpin.storage.shared_counter import SharedCounter

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
    """Eight bytes that take room, not a hole whose first write may find the disk full."""
    opened(path)

    status = path.stat()
    assert (status.st_size, stat.S_IMODE(status.st_mode)) == (8, 0o600)
    assert status.st_blocks > 0
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


def test_a_counter_that_cannot_be_written_is_taken_away_so_that_nobody_believes_it(path: Path, opened: Opener) -> None:
    """The change it stands for is committed by then: all others must notice, and who can write begins anew."""
    counter, other = opened(path), opened(path)
    before = other.current_nowait()

    with _nothing_can_be_written():
        counter.advance()
        with pytest.raises(Unavailable, match="generation"):
            other.current_nowait()

    assert other.current_nowait() > before
    assert counter.current_nowait() == other.current_nowait()


def test_a_file_that_cannot_be_made_is_told_and_nothing_half_made_stays(path: Path) -> None:
    """A full disk at the first start is one plain refusal."""
    with _nothing_can_be_written(), pytest.raises(Unavailable, match="cannot be used"):
        SharedCounter(path)

    assert list(path.parent.iterdir()) == []
