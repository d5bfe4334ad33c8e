"""The hash chain of the audit trail: each row has a keyed hash over itself, its id and the hash of the row before.

The key is derived from the deployment's secrets, so that `verify` detects it when somebody with only the database changes, moves, removes
or adds a row. If the newest rows are removed, the shorter chain is still valid: only a `Checkpoint` stored elsewhere reveals that.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.storage.models import AuditEvent

FIRST = bytes(32)
_NEWEST = select(AuditEvent.id, AuditEvent.chain).order_by(AuditEvent.id.desc()).limit(1)
_AT_ONCE = 1000
_key: list[bytes] = [b"latchpin-unkeyed-chain"]


def use_key(key: bytes) -> None:
    """Set the key of the chain for this process; the composition root derives it from the deployment's secrets."""
    _key[0] = key


def link(previous: bytes, row: Mapping[str, Any], *, key: bytes | None = None) -> bytes:
    """Return the chain value of a row (a mapping of column to value, all but `chain`) after `previous`, under this process's key."""
    plain = {name: value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value for name, value in row.items()}
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.digest(_key[0] if key is None else key, previous + canonical.encode(), "sha256")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An event's id with its chain value; written ID:CHAIN, the chain value in hexadecimal. It identifies all events up to this one."""

    id: int
    chain: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ID:CHAIN; raises ValueError."""
        number, _, chain = text.strip().partition(":")
        checkpoint = cls(int(number), bytes.fromhex(chain))
        if checkpoint.id < 1 or len(checkpoint.chain) != len(FIRST):
            message = "an id of at least 1, a colon and 64 hexadecimal digits are needed"
            raise ValueError(message)
        return checkpoint

    def __str__(self) -> str:
        return f"{self.id}:{self.chain.hex()}"


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of `verify`: the first row that breaks the chain, the newest event, and the expected checkpoints that are missing."""

    first_broken: int | None
    newest: Checkpoint | None
    unmet: tuple[Checkpoint, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the chain is unbroken and has every expected checkpoint."""
        return self.first_broken is None and not self.unmet


async def newest(session: AsyncSession) -> Checkpoint | None:
    """Return the newest event's checkpoint, None for an empty trail."""
    row = (await session.execute(_NEWEST)).one_or_none()
    return Checkpoint(row.id, row.chain) if row else None


async def holds(session: AsyncSession, checkpoint: Checkpoint) -> bool:
    """Whether the trail has the event of a checkpoint with this chain value; earlier events are not read."""
    return await session.scalar(select(AuditEvent.chain).where(AuditEvent.id == checkpoint.id)) == checkpoint.chain


async def verify(session: AsyncSession, expected: Collection[Checkpoint] = ()) -> Verification:
    """Check the whole trail, and compare it with checkpoints that were stored elsewhere."""
    walk = _Walk(is_gapless=session.get_bind().dialect.name == "sqlite")
    first_broken, unmet = None, set(expected)
    async for row in _rows(session):
        if not walk.fits(row):
            first_broken = row.id
            break
        unmet.discard(Checkpoint(row.id, row.chain))
    return Verification(first_broken, await newest(session), tuple(sorted(unmet, key=lambda each: each.id)))


class _Walk:
    """Follows the chain from its first row. `is_gapless` says that the database assigns ids without gaps (SQLite, not PostgreSQL)."""

    def __init__(self, *, is_gapless: bool) -> None:
        self._is_gapless = is_gapless
        self._chain = FIRST
        self._id = 0

    def fits(self, row: Row[Any]) -> bool:
        """Return whether a row continues the chain; go on from it in any case."""
        values = row._asdict()
        del values["chain"]
        if row.chain == link(self._chain, values):
            fits = row.id == self._id + 1 or not self._is_gapless
        else:  # in the first releases the id was not part of the link
            del values["id"]
            fits = row.chain == link(self._chain, values)
        self._chain, self._id = row.chain, row.id
        return fits


async def _rows(session: AsyncSession) -> AsyncIterator[Row[Any]]:
    last = 0
    query = select(*AuditEvent.__table__.columns).order_by(AuditEvent.id).limit(_AT_ONCE)
    while rows := (await session.execute(query.where(AuditEvent.id > last))).all():
        for row in rows:
            yield row
        last = rows[-1].id
