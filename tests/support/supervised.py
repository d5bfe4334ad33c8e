"""A supervisor of two small programs, in a process of its own: `python -m tests.support.supervised DIRECTORY`.

Each program notes its process ids in the file of its name, and in another when it is ready. A file `broken` in the directory lets it end
at its start, a file `slow` lets it never become ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from latchpin.serving.parent_process import end_with_parent, tell_ready
from latchpin.serving.supervisor import Program, Supervisor
from tests.support.load import ROOT

NAMES = ("first", "second")


@dataclass(frozen=True, slots=True)
class Supervised:
    """A running supervisor."""

    process: subprocess.Popen[bytes]
    place: Path

    def starts(self, name: str) -> list[int]:
        """The process ids that a program has had, the present one last."""
        return _numbers(self.place / name)

    def ready(self, name: str) -> list[int]:
        """Those of them that became ready."""
        return _numbers(self.place / f"{name}.ready")

    def log(self) -> str:
        """What the supervisor logged."""
        return (self.place / "log").read_text(encoding="utf-8")


@contextmanager
def supervised(place: Path) -> Iterator[Supervised]:
    """Run a supervisor for the length of the block."""
    with (place / "log").open("wb") as log:
        command = [sys.executable, "-m", "tests.support.supervised", str(place)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        yield Supervised(process, place)
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody asked about does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0] != "Z"
    return False


def program(place: Path, name: str, parent: int) -> None:
    """Be one of the programs."""
    end_with_parent(parent)
    _note(place / name)
    if (place / "broken").exists():
        sys.exit(3)
    if (place / "slow").exists():
        signal.pause()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _note(place / f"{name}.ready")
    tell_ready()
    signal.pause()


def _note(file: Path) -> None:
    with file.open("a", encoding="ascii") as notes:
        notes.write(f"{os.getpid()}\n")


def _numbers(file: Path) -> list[int]:
    return [int(line) for line in file.read_text(encoding="ascii").splitlines()] if file.exists() else []


async def _supervise(place: str) -> None:
    again = [sys.executable, "-m", "tests.support.supervised", place]
    programs = [Program(name, [*again, name], stop_seconds=40, is_replaceable=True) for name in NAMES]
    await Supervisor(programs, when_stopping=lambda: None).run()


if __name__ == "__main__":
    if len(sys.argv) == 2:
        asyncio.run(_supervise(sys.argv[1]))
    else:
        program(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
