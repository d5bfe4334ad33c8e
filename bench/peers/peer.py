"""What the benchmark needs to know of a peer, and how it is installed: into build/bench-peers, with the machine's own registries."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.http import Request
from bench.load import Chains

PLACE = Path("build/bench-peers").absolute()
SECRET = "bench-secret-of-43-characters-like-the-others"  # noqa: S105  of a deployment that only this run has


class Unavailable(Exception):
    """The peer cannot be installed or started here; the text says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer that serves: its process, and how its token endpoint is asked."""

    pid: int
    client_credentials: Request
    refresh: Chains


def run(command: Sequence[str], *, cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> str:
    """Run one step of an installation and return what it printed; raises Unavailable."""
    try:
        done = subprocess.run(
            command, cwd=cwd, env={**os.environ, **(environ or {})}, capture_output=True, text=True, check=False, timeout=600
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"{command[0]} cannot be run ({type(error).__name__})"
        raise Unavailable(message) from error
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no word why"]
        message = f"{Path(command[0]).name} {command[1] if len(command) > 1 else ''} failed: {last[0][:200]}"
        raise Unavailable(message)
    return done.stdout
