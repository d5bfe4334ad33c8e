"""Files of runs: their rows, their keys in the file store, and signed paths that open one for a few minutes without a credential."""

from __future__ import annotations

import hmac
from datetime import timedelta
from urllib.parse import quote

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.automation.run_lifecycle import Lease
from latchpin.errors import Missing
from latchpin.kit import clock
from latchpin.storage.models import Run, RunFile
from latchpin.storage.models.run import RunFileType
from latchpin.storage.secrets import Secrets

PATH = "/api/files"


def prefix_of(run_id: int) -> str:
    """Return the prefix of the keys of a run's files."""
    return f"runs/{run_id}"


def key_of(lease: Lease, name: str) -> str:
    """Return the key of a file of one attempt, which no other attempt writes to."""
    return f"{prefix_of(lease.run_id)}/{lease.fencing_token}/{name}"


async def add(session: AsyncSession, lease: Lease, kind: RunFileType, name: str, size: int = 0) -> RunFile:
    """Record a file of an attempt."""
    file = RunFile(
        run_id=lease.run_id,
        fencing_token=lease.fencing_token,
        file_type=kind,
        name=name,
        size=size,
        storage_key=key_of(lease, name),
        created_at=clock.now(),
    )
    session.add(file)
    await session.flush()
    return file


async def set_size(session: AsyncSession, file_id: int, size: int, kind: RunFileType | None = None) -> None:
    """Record a file's present size in bytes, and its new type."""
    values = {"size": size} | ({"file_type": kind} if kind is not None else {})
    await session.execute(update(RunFile).where(RunFile.id == file_id).values(**values).execution_options(synchronize_session=False))


async def of_run(session: AsyncSession, run_id: int) -> list[RunFile]:
    """Return a run's files, oldest first. Check first that the run is visible."""
    query = select(RunFile).where(RunFile.run_id == run_id, RunFile.removed_at.is_(None)).order_by(RunFile.id)
    return list((await session.scalars(query)).all())


async def get(session: AsyncSession, run_id: int, file_id: int) -> RunFile:
    """Return one file of a visible run; raises Missing."""
    file = await session.scalar(select(RunFile).where(RunFile.id == file_id, RunFile.run_id == run_id, RunFile.removed_at.is_(None)))
    if file is None:
        raise Missing("file", file_id)
    return file


async def delivered(session: AsyncSession, run: Run) -> RunFile | None:
    """Return the records file of a run's last attempt."""
    query = select(RunFile).where(
        RunFile.run_id == run.id,
        RunFile.fencing_token == run.fencing_token,
        RunFile.file_type.in_((RunFileType.DELIVERED_FILE, RunFileType.INTERNAL_EXPORT_FILES)),
        RunFile.removed_at.is_(None),
    )
    return await session.scalar(query.order_by(RunFile.id).limit(1))


async def remove(session: AsyncSession, run_id: int, *, keep_logs: bool = False) -> list[str]:
    """Mark a run's files as removed; returns their keys, whose bytes the caller deletes after the commit."""
    rows = await of_run(session, run_id)
    gone = [row for row in rows if not (keep_logs and row.file_type in (RunFileType.LOG_TEXT, RunFileType.LOG_HTML))]
    for row in gone:
        row.removed_at = clock.now()
    return [row.storage_key for row in gone]


def signed_path(file: RunFile, secrets: Secrets, *, minutes: int) -> str:
    """Return a path on our host that opens a file for some minutes, for whoever has it."""
    expires = int((clock.now() + timedelta(minutes=minutes)).timestamp())
    return f"{PATH}/{file.id}/{quote(file.name)}?expires={expires}&signature={_signature(file.id, expires, secrets)}"


async def opened(session: AsyncSession, file_id: int, expires: int, signature: str, secrets: Secrets) -> RunFile:
    """Return the file that a signed path names; raises Missing if the path has expired or was changed, or the file is gone."""
    sound = hmac.compare_digest(signature.encode(), _signature(file_id, expires, secrets).encode())
    file = await session.get(RunFile, file_id) if sound and expires > clock.timestamp() else None
    if file is None or file.removed_at is not None:
        raise Missing("file", file_id)
    return file


def _signature(file_id: int, expires: int, secrets: Secrets) -> str:
    return hmac.digest(secrets.derive("file-download"), f"{file_id}/{expires}".encode(), "sha256").hex()
