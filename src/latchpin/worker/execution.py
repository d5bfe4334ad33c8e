"""One attempt of one run: a child process, its messages, and the changes of the run's row.

The row moves to its last status only after the child process has ended. While the database is unreachable the run goes on while its
lease is valid; then its child is killed, because another worker may take the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from latchpin.automation import run_files, run_leases
from latchpin.automation.run_leases import Counters, Orders, Outcome, TakenRun
from latchpin.automation.run_lifecycle import Cause, LeaseLost
from latchpin.errors import Unavailable
from latchpin.kit import clock
from latchpin.kit.logger import Logger
from latchpin.storage import Session
from latchpin.storage.models.agent import RunStatus
from latchpin.storage.models.run import LogMode, RunFileType, TransitionCause
from latchpin.worker import output, preparation
from latchpin.worker.child_process import BrokenPipe, ChildProcess
from latchpin.worker.context import STOP_SECONDS, WorkerContext
from latchpin.worker.messages import EXIT_ABANDONED, CrawlCounters, CrawlResult, CrawlStarted, LogLine, Message, RequestLog, ScrapedRecord
from latchpin.worker.output import RunOutput
from latchpin.worker.spare import ChildFailed

T = TypeVar("T")
_RETRY_SECONDS = 0.5
_UNREPORTED = "Its worker could not reach the database in time, so the run was ended."
_LATE_SECONDS = 30  # for how long a child may go on after the longest time of its run
_MIB = 1024 * 1024
_log = Logger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What was written about a run, when writing began, and the orders for the worker; `orders` is None if the lease is lost."""

    started_at: float
    counters: Counters
    orders: Orders | None


class Execution:
    """Executes a run that was taken. `report` is called by the worker's pulse, `hand_back` and `lose` end it from outside."""

    def __init__(self, context: WorkerContext, taken: TakenRun, files: RunOutput) -> None:
        self.lease = taken.lease
        self._context = context
        self._taken = taken
        self._output = files
        self._counters = Counters()
        self._reported = Counters()
        self._renewed = time.monotonic()
        self._started_at = time.monotonic()
        self._child: ChildProcess | None = None
        self._finished: CrawlResult | None = None
        self._failure: str | None = None
        self._stop_message: str | None = None
        self._stopping_since: float | None = None
        self._is_lost = self._is_handed_back = self._is_killed = False
        self._longest = float("inf")

    async def run(self) -> None:
        """Execute the run to its end; returns when its child process has ended and its row says so, or belongs to another worker."""
        try:
            code = await self._crawl()
            await self._conclude(code)
        except LeaseLost:
            await self._end_child()
            _log.warning("run.lease_lost", run=self.lease.run_id)
        except Exception:  # noqa: BLE001  whatever it is, the run must not stay Running
            _log.exception("run.failed", run=self.lease.run_id)
            await self._end_child()
            self._failure = "The worker failed on this run. Its log tells your administrator why."
            with contextlib.suppress(LeaseLost):
                await self._conclude(None)

    async def _crawl(self) -> int | None:
        """Start the child and listen until its end; returns its exit code, None if none could be started."""
        try:
            spec = await preparation.specify(self._context, self._taken)
            self._child = child = await self._context.spare.take()
        except (preparation.NotPrepared, ChildFailed) as error:
            self._failure = str(error)
            return None
        finally:
            self._context.spare.prepare()
        self._longest = spec.definition.limits.max_run_seconds + _LATE_SECONDS
        self._note("Info", f"Run {self._taken.run.sequence}, version {self._taken.run.config_version}, on {self._taken.run.server_name}")
        await child.start(spec)
        if self._is_killed:  # the kill was requested while the child started
            child.kill()
        elif self._stopping_since is not None:
            await child.ask_to_stop()
        try:
            async for message in child.messages():
                await self._hear(message)
        except BrokenPipe as error:
            self._failure = f"The run's process sent {error}."
            child.kill()
        return await child.ended()

    async def _hear(self, message: Message) -> None:
        counters = self._counters
        if isinstance(message, ScrapedRecord):
            if self._output.record(message):
                counters.data_count += 1
            elif self._failure is None:
                self._fail(f"The records reached the limit of {self._context.settings.run_output_mb:,} MiB.")
        elif isinstance(message, RequestLog):
            counters.request_count += 1
            counters.traffic += message.bytes
            self._output.request(message)
        elif isinstance(message, LogLine):
            self._output.log(message)
        elif isinstance(message, CrawlCounters):
            counters.page_count, counters.dynamic_page_count = message.pages, message.dynamic_pages
            counters.action_count, counters.error_count = message.actions, message.errors
        elif isinstance(message, CrawlStarted):
            await self._write(lambda session: run_leases.advance(session, self.lease, RunStatus.RUNNING))
        else:
            self._finished = message

    async def report(self, session: Session) -> Report:
        """Write how far the run has come and renew its lease; `heard` is to be called with the answer after the commit."""
        started_at, counters = time.monotonic(), Counters(**self._counters.values())
        try:
            orders = await run_leases.report(session, self.lease, counters, lease_seconds=self._context.settings.worker_lease_seconds)
        except LeaseLost:
            return Report(started_at, counters, None)
        if started_at - self._renewed >= self._context.renew_seconds:
            await self._write_sizes(session)
        return Report(started_at, counters, orders)

    async def heard(self, report: Report) -> None:
        """Obey the orders that the report returned; kill the child if the lease is lost."""
        if report.orders is None:
            self.lose()
            return
        self._renewed, self._reported = report.started_at, report.counters
        self.obey(report.orders)
        if self._child is not None:
            await self._child.keep_alive()

    @property
    def is_due(self) -> bool:
        """Whether there is something to report, or the lease to be renewed."""
        return self._counters != self._reported or time.monotonic() - self._renewed >= self._context.renew_seconds

    def obey(self, orders: Orders) -> None:
        """Stop or kill the run as ordered."""
        if orders.kill:
            self._stop_message = self._stop_message or "Killed."
            self._kill_child()
        elif orders.stop and self._stopping_since is None:
            self._stopping_since = time.monotonic()
            if self._child is not None:
                self._stopping = asyncio.ensure_future(self._child.ask_to_stop())

    async def look_after(self) -> None:
        """Append to the files, and kill a child that uses too much memory or time, or has lost its lease. Called once per pulse."""
        await self._output.flush()
        now, child, settings = time.monotonic(), self._child, self._context.settings
        if now - self._renewed > self._context.hold_seconds:
            self._fail(_UNREPORTED, kill=True)
        if child is None or not child.is_alive:
            return
        if child.memory() > settings.run_memory_mb * _MIB:
            self._fail(f"The run took more than {settings.run_memory_mb:,} MiB of memory.", kill=True)
        elif now - self._started_at > self._longest:
            self._fail("The run did not end in time, so it was ended.", kill=True)
        elif self._stopping_since is not None and now - self._stopping_since > STOP_SECONDS:
            self._stop_message = f"It did not stop within {STOP_SECONDS:.0f} seconds, so it was ended."
            self._kill_child()

    def hand_back(self) -> None:
        """Kill the child; the run goes back into the queue."""
        self._is_handed_back = True
        self._kill_child()

    def lose(self) -> None:
        """Kill the child of a run that now belongs to another worker."""
        self._is_lost = True
        self._kill_child()

    def _fail(self, reason: str, *, kill: bool = False) -> None:
        self._failure = self._failure or reason
        if kill:
            self._kill_child()
        elif self._child is not None:
            self._stopping = asyncio.ensure_future(self._child.ask_to_stop())
            self._stopping_since = self._stopping_since or time.monotonic()

    def _kill_child(self) -> None:
        self._is_killed = True
        if self._child is not None:
            self._child.kill()

    async def _end_child(self) -> None:
        if self._child is not None:
            self._child.kill()
            await self._child.ended()

    async def _conclude(self, code: int | None) -> None:
        """Move the row to its last status, after the last bytes of the files were written."""
        if self._is_lost:
            raise LeaseLost(f"run {self.lease.run_id}")
        if self._is_handed_back and self._finished is None:
            self._note("Info", "The worker was asked to stop; the run goes back into the queue.")
            await self._output.flush()
            message = f"The worker {self._taken.run.server_name} was stopped; the run begins again elsewhere."
            await self._write(lambda session: self._hand_back(session, message))
            return
        outcome = self._outcome(code)
        if outcome.status is not RunStatus.FAILURE:
            await self._write(lambda session: run_leases.advance(session, self.lease, RunStatus.EXPORTING))
            outcome.counters.export_count = outcome.counters.data_count
        self._note("Error" if outcome.status is RunStatus.FAILURE else "Info", outcome.message or "Ended.")
        await self._output.flush()
        if self._taken.run.log_mode is LogMode.TEXT_AND_HTML:
            await self._write_html_log()
        ended = await self._write(lambda session: self._end(session, outcome))
        _log.info("run.ended", run=self.lease.run_id, status=ended.name)

    async def _hand_back(self, session: Session, message: str) -> RunStatus:
        await self._write_sizes(session)
        return await run_leases.hand_back(session, self.lease, self._context.admission, message)

    async def _end(self, session: Session, outcome: Outcome) -> RunStatus:
        await self._write_sizes(session)
        if outcome.status is not RunStatus.FAILURE and self._output.records.file_id is not None:
            records = self._output.records
            await run_files.set_size(session, self._output.records.file_id, records.size, RunFileType.DELIVERED_FILE)
        return await run_leases.end(session, self.lease, outcome, self._context.admission)

    def _outcome(self, code: int | None) -> Outcome:
        finished, counters = self._finished, self._counters
        fields = finished.fields if finished is not None else None
        limit, child = Cause(TransitionCause.LIMIT), Cause(TransitionCause.CHILD)
        if self._failure is not None:
            return Outcome(RunStatus.FAILURE, self._with_saved(self._failure), limit, counters, fields)
        if self._stopping_since is not None or self._stop_message is not None:
            message = self._with_saved(self._stop_message) if self._stop_message else None
            return Outcome(RunStatus.STOPPED, message, child, counters, fields)
        if code == EXIT_ABANDONED:
            return Outcome(RunStatus.FAILURE, self._with_saved(_UNREPORTED), limit, counters, fields)
        if finished is None:
            how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
            message = self._with_saved(f"The run's process ended unexpectedly ({how}).")
            return Outcome(RunStatus.FAILURE, message, child, counters, fields)
        text = self._output.hide(finished.message) if finished.message else None
        status = RunStatus.FAILURE if finished.is_failure else RunStatus.COMPLETED
        return Outcome(status, text, child, counters, fields)

    def _with_saved(self, text: str) -> str:
        count = self._counters.data_count
        return f"{text} {count:,} {'record was' if count == 1 else 'records were'} saved."

    def _note(self, level: str, text: str) -> None:
        self._output.log(LogLine(at=clock.timestamp(), level=level, text=text))

    async def _write_sizes(self, session: Session) -> None:
        for file in self._output.files:
            if file.file_id is not None:
                await run_files.set_size(session, file.file_id, file.size)

    async def _write_html_log(self) -> None:
        text = b"".join([part async for part in self._context.store.read(run_files.key_of(self.lease, self._output.log_name))])
        page = output.as_html(text, self._taken.agent_name)
        name = f"{self._output.log_name.removesuffix('.txt')}.html"
        await self._context.store.append(run_files.key_of(self.lease, name), page)
        await self._write(lambda session: run_files.add(session, self.lease, RunFileType.LOG_HTML, name, len(page)))

    async def _write(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run `work` in a transaction, and retry while the database is unreachable; raises LeaseLost."""
        while True:
            try:
                async with self._context.database.transaction() as session:
                    return await work(session)
            except Unavailable:
                await asyncio.sleep(_RETRY_SECONDS)
