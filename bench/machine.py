"""The machine: which cores the server and the load run on, the processor time of a process, and the facts for the table's head."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from latchpin import __version__

_TICKS = os.sysconf("SC_CLK_TCK")
_QUIET = 0.5


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the servers, that of the load, and that of the second server, which makes the changes; None: not pinned."""

    server: int | None = None
    load: int | None = None
    changes: int | None = None


def cores() -> Cores:
    """Choose different cores where there are two; with two the second server shares that of the load."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores() if len(usable) < 2 else Cores(usable[0], usable[1], usable[2] if len(usable) > 2 else usable[1])


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Let this process, and what it starts in the block, run on one core only."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def processor_seconds(pid: int) -> float:
    """Return the processor time, of user and system, that a process and its descendants have taken so far (/proc/PID/stat)."""
    ticks: dict[int, int] = {}
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):  # one that has just ended
                fields = Path(entry.path, "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                ticks[int(entry.name)] = int(fields[11]) + int(fields[12])
                children[int(fields[1])].append(int(entry.name))
    total, left = 0, [pid]
    while left:
        one = left.pop()
        total += ticks.get(one, 0)
        left += children[one]
    return total / _TICKS


def facts(chosen: Cores) -> Iterator[str]:
    """Yield a line for each fact that the figures depend on."""
    yield f"Machine: {_processor()}, {len(os.sched_getaffinity(0))} cores usable, {platform.system()} {platform.release()}."
    if chosen.server is None:
        yield "Pinned: nothing, because there is only one core: server and load take it from each other."
    else:
        yield f"Pinned: servers to core {chosen.server}, load to core {chosen.load}, the server of the changes to core {chosen.changes}."
    software = [f"Latchpin {__version__}{_commit()}", f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}"]
    if shutil.which("node"):
        software.append(f"Node.js {_printed('node', '--version')}")
    yield f"Software: {', '.join(software)}."
    load = os.getloadavg()[0]
    if load > _QUIET:
        yield f"The machine is busy already (load {load:.1f}): trust processor times and their ratios, not the rates."
    else:
        yield f"The machine is quiet (load {load:.1f})."


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    text = _printed("git", "describe", "--always", "--dirty")
    return f" ({text})" if text else ""


def _printed(*command: str) -> str:
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    return ""
