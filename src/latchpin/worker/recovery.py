"""What every worker repairs every few seconds: runs whose worker is lost, and waiting runs for which a slot is free."""

from __future__ import annotations

from latchpin.automation import admission, run_files, run_leases, run_lifecycle, workers
from latchpin.kit.logger import Logger
from latchpin.worker.context import WorkerContext

_log = Logger(__name__)


async def recover(context: WorkerContext, *, gone: frozenset[int] | None = None) -> None:
    """End runs whose lease has expired, or whose owner is known to be `gone`; admit waiting runs. Raises Unavailable."""
    database, lease_seconds = context.database, context.settings.worker_lease_seconds
    async with database.read() as session:
        lost = await run_leases.expired(session, owners=gone)
        waiting = await admission.waiting_groups(session)
    for run_id, organization_id in lost:
        async with database.transaction() as session:
            run = await run_leases.end_lost(session, run_id, organization_id, context.admission, lease_seconds=lease_seconds, owners=gone)
            if run is not None:
                for file in await run_files.of_run(session, run_id):
                    file.size = await context.store.size(file.storage_key) or file.size
                _log.warning("run.worker_lost", run=run_id, worker=run.server_name)
    if repaired := await context.admission.queue.repair(database):
        _log.warning("queue.repaired", runs=repaired)
    for organization_id, group in waiting:
        async with database.transaction() as session:
            await run_lifecycle.lock(session, organization_id)
            await context.admission.admit(session, group)


async def purge(context: WorkerContext) -> None:
    """Remove the rows of workers that are long gone. Raises Unavailable."""
    async with context.database.transaction() as session:
        await workers.purge_silent(session)
