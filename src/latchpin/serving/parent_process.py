"""A process that ends with its parent, however the parent ended: stopped, crashed, or killed.

Its standard input is a socket to the parent (`Child` in supervisor.py), by which the parent also learns that it is ready.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1
_STDIN = 0


def end_with_parent(parent: int) -> None:
    """Have this process get SIGTERM when the process with the id `parent` ends; exits at once if it has ended already.

    Linux sends the signal when the *thread* that started this process ends, so a parent starts its children in its main thread.
    """
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except AttributeError:  # not Linux
        end_with_input()
    if os.getppid() != parent:  # it ended before the kernel could know whom to signal
        sys.exit(1)


def end_with_input() -> None:
    """Have this process get SIGTERM when the other end of its standard input is closed, as it is when the parent ends."""
    threading.Thread(target=_watch_input, name="parent-watcher", daemon=True).start()


def tell_ready() -> None:
    """Tell the parent that this process is ready."""
    with contextlib.suppress(OSError):  # a parent that is gone has caused the signal
        os.write(_STDIN, b"\n")


def _watch_input() -> None:
    with contextlib.suppress(OSError):
        while os.read(_STDIN, 64):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
