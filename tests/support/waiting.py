"""Waiting for what another process does."""

from __future__ import annotations

import threading
from collections.abc import Callable


def until(condition: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Return once the condition holds; fails the test where that takes far too long."""
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        threading.Event().wait(0.02)
    message = f"not within {seconds} s: {what}"
    raise AssertionError(message)
