"""The supervisor with small programs: starting again, replacing, stopping, and what becomes of the processes without it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.load import ROOT
from tests.support.supervised import NAMES, Supervised, is_alive, supervised
from tests.support.waiting import until


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Supervised]:
    """A supervisor whose programs are ready."""
    with supervised(tmp_path) as started:
        until(lambda: all(started.ready(name) for name in NAMES), "both programs are ready")
        yield started


def test_a_process_that_cannot_start_is_tried_again_and_again_while_the_other_goes_on(running: Supervised) -> None:
    """However often; once it can start, it runs."""
    (running.place / "broken").touch()
    os.kill(running.starts("first")[0], signal.SIGKILL)
    until(lambda: len(running.starts("first")) >= 3, "two tries more")
    (running.place / "broken").unlink()
    until(lambda: len(running.ready("first")) == 2, "it is ready again")

    assert is_alive(running.ready("first")[1])
    assert running.starts("second") == running.ready("second")
    assert is_alive(running.starts("second")[0])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2])
def test_the_processes_end_with_their_supervisor_however_it_ends(running: Supervised, how: signal.Signals) -> None:
    """No orphan goes on serving, or holds the port."""
    running.process.send_signal(how)
    running.process.wait(20)

    until(lambda: not any(is_alive(running.starts(name)[0]) for name in NAMES), "both have ended")


def test_a_process_whose_parent_is_gone_at_its_start_ends_at_once(tmp_path: Path) -> None:
    """The kernel tells of a parent's end only from the moment on that it was asked to."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    ran = subprocess.run([sys.executable, "-m", "tests.support.supervised", str(tmp_path), "first", str(gone.pid)], cwd=ROOT, check=False)

    assert ran.returncode == 1
    assert not (tmp_path / "first").exists()


def test_where_the_kernel_does_not_tell_a_closed_pipe_does() -> None:
    """On other systems than Linux the end of the standard input is the parent's end."""
    code = "import signal; from latchpin.serving.parent_process import end_with_input; end_with_input(); signal.pause()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.close()

    assert process.wait(20) == -signal.SIGTERM


def test_a_reload_replaces_one_after_the_other_by_processes_that_are_ready(running: Supervised) -> None:
    """Nobody is killed, and nobody is said to have been."""
    running.process.send_signal(signal.SIGHUP)
    until(lambda: all(len(running.ready(name)) == 2 for name in NAMES), "both have a successor")
    until(lambda: "reload.finished" in running.log(), "the reload is over")

    assert not any(is_alive(running.starts(name)[0]) for name in NAMES)
    assert all(is_alive(running.starts(name)[1]) for name in NAMES)
    assert "process.killed" not in running.log()
    assert "process.ended" not in running.log()


def test_a_reload_whose_new_process_cannot_start_leaves_the_old_one(running: Supervised) -> None:
    """A mistake in the settings takes nothing down."""
    (running.place / "broken").touch()
    running.process.send_signal(signal.SIGHUP)
    until(lambda: "reload.failed" in running.log(), "the reload is over")

    assert all(is_alive(running.starts(name)[0]) for name in NAMES)


def test_a_process_that_is_still_starting_stops_at_once(running: Supervised) -> None:
    """SIGTERM to the supervisor reaches it before it has a handler of its own; it is not waited for until it must be killed."""
    (running.place / "slow").touch()
    os.kill(running.starts("first")[0], signal.SIGKILL)
    until(lambda: len(running.starts("first")) == 2, "it is starting")
    running.process.terminate()

    assert running.process.wait(20) == 0
    assert "process.killed" not in running.log()
