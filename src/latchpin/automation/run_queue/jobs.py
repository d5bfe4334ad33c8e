"""The queue on PostgreSQL: Procrastinate, whose workers on any machine take jobs with SKIP LOCKED and are woken by NOTIFY.

A job names a run that was admitted, and is inserted by Procrastinate's own SQL function in the transaction that admits the run. The job
holds no state of the run: a worker reads the row. So a job that is handed out twice, or too late, does no harm, and one that
a dead worker has taken along is replaced by `repair`.
"""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.automation.run_queue.interface import Handler
from latchpin.kit.logger import Logger
from latchpin.settings import Settings
from latchpin.storage import Database
from latchpin.storage.models.agent import RunStatus

QUEUE, TASK = "latchpin-runs", "latchpin.execute_run"
_POLL_SECONDS = 1.0  # where no NOTIFY comes, as behind a pooler
_HEARTBEAT_SECONDS, SILENT_SECONDS = 5.0, 20.0
_PAUSE_SECONDS = 1.0  # before the next try if the database is unreachable, or no slot is free
# A cut network ends its connections, which libpq would keep for hours.
_NETWORK = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_log = Logger(__name__)
_DEFER = text("""
    SELECT procrastinate_defer_jobs_v1(ARRAY[
        ROW(:queue, :task, CAST(:priority AS integer), NULL, NULL, jsonb_build_object('run_id', CAST(:run_id AS bigint)), NULL)
    ]::procrastinate_job_to_defer_v1[])
""")
_CANCEL = text("""
    DELETE FROM procrastinate_jobs
    WHERE status = 'todo' AND task_name = :task AND args = jsonb_build_object('run_id', CAST(:run_id AS bigint))
""")
_DROP_STALLED = text("""
    DELETE FROM procrastinate_jobs AS jobs
    WHERE jobs.task_name = :task AND jobs.status <> 'todo' AND NOT EXISTS (
        SELECT FROM procrastinate_workers AS workers
        WHERE workers.id = jobs.worker_id AND workers.last_heartbeat > now() - make_interval(secs => :seconds)
    )
""")
_WITHOUT_JOB = text("""
    SELECT runs.id, runs.queue_rank FROM runs
    WHERE runs.status = :queuing AND runs.admitted_at < now() - make_interval(secs => :seconds) AND runs.ended_at IS NULL
        AND NOT EXISTS (
            SELECT FROM procrastinate_jobs AS jobs
            WHERE jobs.task_name = :task AND jobs.args = jsonb_build_object('run_id', runs.id)
        )
    ORDER BY runs.queue_rank, runs.id
""")


class _NoSlotError(Exception):
    """All slots of this process are taken; the job is put back."""


class ProcrastinateQueue:
    """See RunQueue."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.database_url.replace("postgresql+asyncpg://", "postgresql://", 1)
        self._running: set[asyncio.Task[None]] = set()
        self._is_ending = False

    async def enqueue(self, session: AsyncSession, run_id: int, rank: int) -> None:
        """See RunQueue. A smaller rank is a higher priority."""
        await session.execute(_DEFER, {"queue": QUEUE, "task": TASK, "priority": -rank, "run_id": run_id})

    async def cancel(self, session: AsyncSession, run_id: int) -> None:
        """See RunQueue."""
        await session.execute(_CANCEL, {"task": TASK, "run_id": run_id})

    async def repair(self, database: Database) -> int:
        """See RunQueue. A silent worker's job is dropped; its run gets a new one if it still waits."""
        params = {"task": TASK, "seconds": SILENT_SECONDS}
        async with database.transaction() as session:
            await session.execute(_DROP_STALLED, params)
            lost = (await session.execute(_WITHOUT_JOB, {**params, "queuing": int(RunStatus.QUEUING)})).all()
            for run_id, rank in lost:
                await self.enqueue(session, run_id, rank)
        return len(lost)

    async def work(self, handler: Handler, *, slots: int) -> None:
        """See RunQueue. Continues after the database was unreachable; running handlers are not affected."""
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)  # this module logs what matters, in our own form
        working = asyncio.create_task(self._work_on(handler, slots))
        try:
            await asyncio.shield(working)
        finally:
            self._is_ending = True
            while not working.done():  # connecting may swallow a cancellation
                working.cancel()
                await asyncio.wait([working], timeout=_PAUSE_SECONDS)

    async def _work_on(self, handler: Handler, slots: int) -> None:
        import psycopg  # noqa: PLC0415  only workers work; web processes insert jobs by our own driver
        from procrastinate.exceptions import ConnectorException  # noqa: PLC0415  as above

        while not self._is_ending:
            try:
                await self._work(handler, slots)
            except (ConnectorException, psycopg.Error, OSError) as error:
                _log.warning("queue.unavailable", detail="the database cannot be reached; tried again", error=type(error).__name__)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def close(self) -> None:
        """See RunQueue; waits for running handlers."""
        if self._running:
            await asyncio.wait(self._running)

    async def _work(self, handler: Handler, slots: int) -> None:
        import procrastinate  # noqa: PLC0415  as above

        connector = procrastinate.PsycopgConnector(
            conninfo=self._address,
            min_size=1,
            max_size=3,
            timeout=5.0,
            kwargs={"prepare_threshold": None, "application_name": "latchpin-worker", **_NETWORK},
        )
        app = procrastinate.App(connector=connector)
        retry = procrastinate.RetryStrategy(wait=int(_PAUSE_SECONDS), retry_exceptions=[_NoSlotError])

        @app.task(name=TASK, queue=QUEUE, retry=retry)
        async def execute(run_id: int) -> None:
            if len(self._running) >= slots:  # handlers of the previous worker are still running
                raise _NoSlotError
            task = asyncio.create_task(handler(run_id))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            await asyncio.shield(task)

        async with app.open_async():
            await app.run_worker_async(
                queues=[QUEUE],
                concurrency=slots,
                install_signal_handlers=False,
                delete_jobs="always",
                fetch_job_polling_interval=_POLL_SECONDS,
                update_heartbeat_interval=_HEARTBEAT_SECONDS,
                stalled_worker_timeout=SILENT_SECONDS,
                shutdown_graceful_timeout=0.0,  # its own part of a job ends at once; the handler goes on
            )
