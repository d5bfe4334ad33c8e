"""The workers that are connected: each has a row that it renews, and removes when it ends normally."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.storage.database_time import now
from latchpin.storage.models import Worker

SILENT_SECONDS = 30  # after which a worker is treated as not connected


async def connect(session: AsyncSession, *, name: str, host: str, process_id: int, slots: int) -> Worker:
    """Record a worker that has just started."""
    at = await now(session)
    worker = Worker(name=name, host=host, process_id=process_id, slots=slots, started_at=at, heartbeat_at=at)
    session.add(worker)
    await session.flush()
    return worker


async def renew(session: AsyncSession, worker_id: int) -> bool:
    """Record that a worker is alive; returns whether its row still exists."""
    done = await session.execute(update(Worker).where(Worker.id == worker_id).values(heartbeat_at=await now(session)))
    return bool(done.rowcount)  # type: ignore[attr-defined]


async def drain(session: AsyncSession, worker_id: int) -> None:
    """Record that a worker takes no more runs."""
    await session.execute(update(Worker).where(Worker.id == worker_id).values(draining_at=await now(session)))


async def disconnect(session: AsyncSession, worker_id: int) -> None:
    """Remove a worker that has ended."""
    await session.execute(delete(Worker).where(Worker.id == worker_id))


async def list_all(session: AsyncSession) -> list[Worker]:
    """Return all workers, the oldest first, silent ones included."""
    return list((await session.scalars(select(Worker).order_by(Worker.id))).all())


async def any_connected(session: AsyncSession) -> bool:
    """Whether a worker has renewed its row lately and takes runs."""
    since = await now(session) - timedelta(seconds=SILENT_SECONDS)
    return bool(await session.scalar(select(exists().where(Worker.heartbeat_at > since, Worker.draining_at.is_(None)))))


async def purge_silent(session: AsyncSession) -> None:
    """Remove workers that have not renewed their rows for a day."""
    await session.execute(delete(Worker).where(Worker.heartbeat_at < await now(session) - timedelta(days=1)))
