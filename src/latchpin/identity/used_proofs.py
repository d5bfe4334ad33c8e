"""Used proofs, in the database, where every process sees them (RFC 9449 section 11.1; security.md 87).

One INSERT decides: an existing row means that the proof was used before. Requests that come while one transaction commits share the next,
so that many requests cost few commits (docs/decisions/0014).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete

from latchpin.errors import Unavailable
from latchpin.kit import clock
from latchpin.kit.logger import Logger
from latchpin.storage import Database
from latchpin.storage.models import AssertionId
from latchpin.storage.upsert import insert

PURGE_SECONDS = 60
_MOST_AT_ONCE = 200
_log = Logger(__name__)


@dataclass(frozen=True, slots=True)
class _Use:
    """One request that waits to learn whether its use is the first; the row is kept until `expires_at`."""

    digest: bytes
    expires_at: datetime
    is_first: asyncio.Future[bool]


class UsedProofs:
    """Accepts each proof once; `run` removes expired ones until it is cancelled."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Use] = []
        self._writing: asyncio.Task[None] | None = None
        self._is_swept = True

    async def take(self, digest: bytes, *, until: datetime) -> bool:
        """Mark the proof with this digest as used; False where it was used before, in this or another process. Raises Unavailable."""
        use = _Use(digest, until, asyncio.get_running_loop().create_future())
        self._waiting.append(use)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await use.is_first

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
                await self._decide(batch)
        finally:
            self._writing = None

    async def _decide(self, batch: Sequence[_Use]) -> None:
        try:
            new = await self._insert({use.digest: use.expires_at for use in batch})
        except Exception as error:  # noqa: BLE001  each request fails by itself, and the next ones are tried again
            for use in batch:
                if not use.is_first.done():  # its client may have closed the connection
                    use.is_first.set_exception(error)
            return
        for use in batch:
            if not use.is_first.done():
                use.is_first.set_result(use.digest in new)
            new.discard(use.digest)  # the same proof twice in one batch

    async def _insert(self, expires: dict[bytes, datetime]) -> set[bytes]:
        """Insert the digests that are not there yet, and return those; in one order everywhere, so that no two processes deadlock."""
        self._is_swept = False
        async with self._database.transaction() as session:
            rows = [{"digest": digest, "expires_at": expires[digest]} for digest in sorted(expires)]
            added = insert(session, AssertionId).values(rows).on_conflict_do_nothing().returning(AssertionId.digest)
            return set(await session.scalars(added))

    async def run(self) -> None:
        """Remove expired ones every minute, where this process has stored any; the hourly purge removes the rest."""
        while True:
            await asyncio.sleep(PURGE_SECONDS)
            await self.purge_expired()

    async def purge_expired(self) -> None:
        """Remove expired ones, where this process has stored any since the last time."""
        if self._is_swept:
            return
        try:
            async with self._database.transaction() as session:
                await session.execute(delete(AssertionId).where(AssertionId.expires_at < clock.now()))
            self._is_swept = True
        except Unavailable:
            _log.warning("used_proofs.not_swept", detail="the database cannot be reached; tried again in a minute")
