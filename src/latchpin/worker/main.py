"""The worker process: takes runs, executes them, renews their leases, and recovers the runs of workers that are lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable

from latchpin.automation import run_leases, workers
from latchpin.errors import Unavailable
from latchpin.kit.logger import Logger
from latchpin.storage.models import Worker as WorkerRow
from latchpin.worker import preparation
from latchpin.worker.context import PULSE_SECONDS, WorkerContext
from latchpin.worker.execution import Execution
from latchpin.worker.recovery import purge, recover

_RECOVERY_SECONDS = 5.0
_RETRY_SECONDS = 1.0
_log = Logger(__name__)


class Worker:
    """One worker. `run` returns after `stop` was called and its runs have ended or were handed back."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._executions: dict[int, Execution] = {}
        self._handling: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._row: WorkerRow | None = None
        self._renewed = 0.0

    def stop(self) -> None:
        """Take no more runs; running ones may end within the drain time."""
        self._stopping.set()

    async def run(self, *, on_ready: Callable[[], None] = lambda: None, alone: bool = False) -> None:
        """Work until stopped. `alone` means that no other worker can be alive: runs of earlier workers are ended at once."""
        settings = self._context.settings
        self._row = await self._patiently(lambda: self._connect(alone=alone))
        self._context.spare.prepare()
        working = [
            asyncio.create_task(self._context.admission.queue.work(self._handle, slots=settings.worker_slots)),
            asyncio.create_task(self._repeat(self._look_after, PULSE_SECONDS)),
            asyncio.create_task(self._repeat(self._report, PULSE_SECONDS)),
            asyncio.create_task(self._repeat(lambda: recover(self._context), _RECOVERY_SECONDS)),
        ]
        _log.info("worker.ready", name=self._row.name, slots=settings.worker_slots)
        on_ready()
        try:
            stopped = asyncio.create_task(self._stopping.wait())
            await asyncio.wait([stopped, *working], return_when=asyncio.FIRST_COMPLETED)
            await self._drain(working[0])
        finally:
            await _cancel(working)
            await self._context.spare.close()
            await self._context.admission.queue.close()
            with contextlib.suppress(Unavailable):
                async with self._context.database.transaction() as session:
                    await workers.disconnect(session, self._row.id)
            _log.info("worker.stopped", name=self._row.name)
        for task in working:
            if task.done() and not task.cancelled():
                task.result()  # a bug ends the process, and the supervisor starts it again

    async def _connect(self, *, alone: bool) -> WorkerRow:
        """Record this worker; if it is alone, end the runs that earlier workers left behind."""
        settings = self._context.settings
        host = socket.gethostname()
        name = settings.worker_name or f"{host}-{os.getpid()}"
        async with self._context.database.transaction() as session:
            for other in await workers.list_all(session) if alone else ():
                await workers.disconnect(session, other.id)
            row = await workers.connect(session, name=name, host=host, process_id=os.getpid(), slots=settings.worker_slots)
        if alone:
            async with self._context.database.read() as session:
                owners = await run_leases.owners(session)
            await recover(self._context, gone=owners - {row.id})
        await purge(self._context)
        return row

    async def _handle(self, run_id: int) -> None:
        """Take a run and execute it; returns when it has ended, or at once if it is no longer available."""
        context, task = self._context, asyncio.current_task()
        assert self._row is not None  # noqa: S101  connected before work begins
        assert task is not None  # noqa: S101  the queue calls in a task
        self._handling.add(task)
        try:
            async with context.database.transaction() as session:
                taken = await run_leases.take(session, run_id, self._row, lease_seconds=context.settings.worker_lease_seconds)
                files = await preparation.open_files(context, session, taken) if taken is not None else None
        except Unavailable:
            _log.warning("run.not_taken", run=run_id, detail="the database cannot be reached")
            self._handling.discard(task)
            return
        try:
            if taken is not None and files is not None:
                for key in taken.stale_keys:
                    await context.store.delete(key)
                self._executions[run_id] = execution = Execution(context, taken, files)
                await execution.run()
        finally:
            self._executions.pop(run_id, None)
            self._handling.discard(task)

    async def _look_after(self) -> None:
        """Look after each run; apart from reporting, which may have to wait for the database."""
        for each in list(self._executions.values()):
            await each.look_after()

    async def _report(self) -> None:
        """Write the reports that are due, and read the orders; renew the worker's own row."""
        executions = list(self._executions.values())
        due = [each for each in executions if each.is_due]
        is_own_due = time.monotonic() - self._renewed >= self._context.renew_seconds
        assert self._row is not None  # noqa: S101  connected before work begins
        if due or is_own_due:
            async with self._context.database.transaction() as session:
                reports = [(each, await each.report(session)) for each in due]
                if is_own_due:
                    await workers.renew(session, self._row.id)
            self._renewed = time.monotonic() if is_own_due else self._renewed
            for each, report in reports:
                await each.heard(report)
        rest = [each for each in executions if each not in due]
        if rest:
            async with self._context.database.read() as session:
                orders_by_run = await run_leases.orders(session, self._row.id)
            for each in rest:
                if (orders := orders_by_run.get(each.lease.run_id)) is not None:
                    each.obey(orders)

    async def _drain(self, queueing: asyncio.Task[None]) -> None:
        """Let runs end within the drain time, and hand the others back."""
        await _cancel([queueing])
        assert self._row is not None  # noqa: S101  connected before work begins
        with contextlib.suppress(Unavailable):
            async with self._context.database.transaction() as session:
                await workers.drain(session, self._row.id)
        if self._handling:
            _log.info("worker.draining", runs=len(self._handling), seconds=self._context.settings.worker_drain_seconds)
            await asyncio.wait(set(self._handling), timeout=self._context.settings.worker_drain_seconds)
        for each in list(self._executions.values()):
            each.hand_back()
        if self._handling:
            await asyncio.wait(set(self._handling))

    async def _repeat(self, work: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            started_at = time.monotonic()
            try:
                await work()
            except Unavailable:
                _log.warning("worker.unavailable", detail="the database cannot be reached; tried again")
            await asyncio.sleep(max(0.05, seconds - (time.monotonic() - started_at)))

    async def _patiently(self, work: Callable[[], Awaitable[WorkerRow]]) -> WorkerRow:
        while True:
            try:
                return await work()
            except Unavailable:
                _log.warning("worker.unavailable", detail="the database cannot be reached; tried again")
                await asyncio.sleep(_RETRY_SECONDS)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def stop_on_signals(worker: Worker) -> None:
    """Stop the worker on SIGTERM and Ctrl-C."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
