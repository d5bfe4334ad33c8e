"""Limits that the operating system enforces on a child process: memory, open files, no core dumps, and no life after its worker."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import threading

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 1, 38, 4
_FILES, _FILE_BYTES, _STACK = 256, 64 * 1024 * 1024, 512 * 1024


def bind_to_parent(parent: int) -> None:
    """Die with the parent process, at once and whatever this process is doing. Ends the process if the parent is gone already."""
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    library.prctl(_PR_SET_DUMPABLE, 0)
    if os.getppid() != parent:
        os._exit(1)


def apply(*, memory_mb: int, cpu_seconds: int) -> None:
    """Set the limits. Threads get small stacks, which count as memory."""
    threading.stack_size(_STACK)
    memory = memory_mb * 1024 * 1024
    for kind, limit in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (allowed, allowed))
