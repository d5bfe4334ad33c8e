"""`latchpin worker`: the process that executes runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from latchpin.cli.deployment import data_dir_option, example, fail, load_settings, open_deployment, run_async
from latchpin.kit.collector import no_collection
from latchpin.serving.parent_process import end_with_parent
from latchpin.settings import Settings


@click.command(epilog=example("latchpin worker --slots 8"))
@data_dir_option
@click.option("--slots", type=click.IntRange(1, 256), help="Runs at the same time (LATCHPIN_WORKER_SLOTS).")
@click.option("--beside", type=int, hidden=True, help="The server's process id; the worker stops when it is gone.")
def worker(data_dir: Path | None, slots: int | None, beside: int | None) -> None:
    """Execute runs until Ctrl-C.

    `latchpin serve` starts one by itself, unless LATCHPIN_WORKER=off. With PostgreSQL any number of workers may run, on any machine that
    reaches the database and has the same secrets and files; with the embedded database there is one. When it is asked to stop, it takes
    no more runs, lets its own go on for LATCHPIN_WORKER_DRAIN_SECONDS, and hands the rest back to the queue.
    """
    chosen = load_settings(data_dir, worker_slots=slots)
    if beside is not None:
        end_with_parent(beside)
    with only_worker(chosen):
        work(chosen)


@contextmanager
def only_worker(chosen: Settings) -> Iterator[None]:
    """Hold the lock of the embedded database's one worker; ends the command (exit code 3) where another holds it."""
    if not chosen.is_sqlite:
        yield
        return
    chosen.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(chosen.data_dir / "worker.lock", os.O_RDWR | os.O_CREAT, 0o600), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            fail("Another worker executes the runs of this deployment. `latchpin serve` starts one, unless LATCHPIN_WORKER=off.", code=3)
        yield


@run_async
async def work(chosen: Settings) -> None:
    """Work until asked to stop."""
    with no_collection():
        from latchpin.automation.run_engine import open_engine
        from latchpin.kit import logs
        from latchpin.worker.context import WorkerContext
        from latchpin.worker.main import Worker, stop_on_signals
        from latchpin.worker.spare import SpareChild

    logs.configure(chosen)
    logs.capture_uncaught()
    async with open_deployment(chosen.data_dir) as deployment:
        engine = open_engine(chosen, deployment.database, deployment.secrets)
        context = WorkerContext(chosen, deployment.secrets, deployment.database, engine.admission, engine.store, SpareChild())
        started = Worker(context)
        stop_on_signals(started)
        await started.run(alone=chosen.is_sqlite)
