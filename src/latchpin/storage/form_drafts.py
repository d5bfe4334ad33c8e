"""Rows of form drafts: the latest of each user, by the digest of the token in their browser. web/drafts.py defines their content."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit import clock
from latchpin.storage.models import FormDraft
from latchpin.storage.upsert import insert


async def put(session: AsyncSession, user_id: int, *, digest: bytes, sealed: bytes, expires_at: datetime) -> None:
    """Store a user's draft and replace any earlier one."""
    values = {"digest": digest, "sealed": sealed, "expires_at": expires_at}
    row = insert(session, FormDraft).values(user_id=user_id, **values)
    await session.execute(row.on_conflict_do_update(index_elements=[FormDraft.user_id], set_=values))


async def find(session: AsyncSession, user_id: int, digest: bytes) -> bytes | None:
    """Return a user's draft, sealed, or None. Reading does not remove it, so a page can be loaded again."""
    return await session.scalar(
        select(FormDraft.sealed).where(FormDraft.user_id == user_id, FormDraft.digest == digest, FormDraft.expires_at > clock.now())
    )


async def purge_expired(session: AsyncSession) -> None:
    """Remove drafts that have expired."""
    await session.execute(delete(FormDraft).where(FormDraft.expires_at < clock.now()))
