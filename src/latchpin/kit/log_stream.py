"""The stream that log lines go to. One that cannot be written, on a full disk, costs lines and never a request."""

from __future__ import annotations

import sys
import threading
from typing import TextIO

from latchpin.kit.logger import Logger


class LogStream:
    """Writes to a stream, standard error by default. What was lost is told by one line when writing works again."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lost = 0
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Write whole lines and flush them. Raises nothing where the stream cannot be written; its lines are counted instead."""
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
        """Tell whether a person reads along."""
        return (self._stream or sys.stderr).isatty()
