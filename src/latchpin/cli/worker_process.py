"""The worker that `serve` starts beside itself: a process of its own, started again when it dies, ended with the server."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from latchpin.settings import Settings, variable

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds between two starts
_LIVED_WELL = 60.0  # seconds after which a worker's death is not one of a row
_END_SECONDS = 10  # beyond the drain time
_log = structlog.get_logger(__name__)


@contextmanager
def worker_beside(chosen: Settings) -> Iterator[None]:
    """Keep a worker running for the length of the block, unless the settings say otherwise."""
    if not chosen.worker:
        yield
        return
    supervisor = _Supervisor(chosen)
    supervisor.start()
    try:
        yield
    finally:
        supervisor.stop()


class _Supervisor:
    """A thread that waits for the worker's end, and starts it again."""

    def __init__(self, chosen: Settings) -> None:
        self._environment = os.environ | {variable("data_dir"): str(chosen.data_dir)}
        self._patience = chosen.worker_drain_seconds + _END_SECONDS
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._supervise, name="worker-supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the worker to end, and end it where it does not within the drain time and some seconds."""
        with self._lock:
            self._ending.set()
            process = self._process
        if process is not None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self._patience)
            process.kill()
        self._thread.join(_END_SECONDS)

    def _supervise(self) -> None:
        pause = _FIRST_PAUSE
        while not self._ending.is_set():
            began = time.monotonic()
            with self._lock:
                if self._ending.is_set():
                    return
                self._process = process = subprocess.Popen(  # noqa: S603  ourselves
                    [sys.executable, "-m", "latchpin", "worker", "--beside", str(os.getpid())],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is for the server, which then ends the worker in order
                )
            code = process.wait()
            if self._ending.is_set():
                return
            pause = _FIRST_PAUSE if time.monotonic() - began > _LIVED_WELL else min(pause * 2, _LONGEST_PAUSE)
            _log.warning("worker.died", code=code, again_in=pause)
            self._ending.wait(pause)
