"""Processor time that a server and its database have used, which does not swing with what else the machine does (Linux only)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import make_url

_PROC = Path("/proc")


def milliseconds() -> float:
    """Return what the children of this process, and of those, have used so far, with PostgreSQL's processes for BENCH_DATABASE_URL."""
    parents = dict(_parents())
    used = 0.0
    for process_id in parents:
        if _descends(process_id, parents) or _serves_database(process_id):
            for task in _files(_PROC / str(process_id) / "task"):
                with contextlib.suppress(OSError, ValueError):
                    used += int((task / "schedstat").read_text().split()[0]) / 1e6
    return used


def _parents() -> Iterator[tuple[int, int]]:
    for place in _files(_PROC):
        if place.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(place.name), int((place / "stat").read_text().rpartition(")")[2].split()[1])


def _descends(process_id: int, parents: dict[int, int]) -> bool:
    above = parents.get(process_id)
    while above and above != os.getpid():
        above = parents.get(above)
    return above == os.getpid()


def _serves_database(process_id: int) -> bool:
    url = os.environ.get("BENCH_DATABASE_URL")
    if not url:
        return False
    with contextlib.suppress(OSError):
        return f" {make_url(url).database} ".encode() in (_PROC / str(process_id) / "cmdline").read_bytes()
    return False


def _files(place: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return list(place.iterdir())
    return []
