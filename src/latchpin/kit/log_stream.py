"""The stream that log lines go to. If it cannot be written, such as on a full disk, lines are lost but no request fails."""

from __future__ import annotations

import sys
import threading
from typing import TextIO

from latchpin.kit.logger import Logger


class LogStream:
    """Writes to a stream, standard error by default. When writing works again, one line reports how much was lost."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lost = 0
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Write whole lines and flush them. Raises nothing if the stream cannot be written; lost lines are counted."""
        stream = self._stream or sys.stderr
        with self._lock:
            try:
                stream.write(text)
                stream.flush()
            except OSError:
                self._lost += text.count("\n")
                return len(text)
            lost, self._lost = self._lost, 0
        if lost:
            Logger(__name__).error("log.lines_lost", count=lost)
        return len(text)

    def flush(self) -> None:
        """Do nothing: what was written is flushed."""

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return (self._stream or sys.stderr).isatty()
