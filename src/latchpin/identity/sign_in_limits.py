"""The counters that slow guessing (docs/decisions/0008): failures in 15 minutes, by account, by client subnet, and by both together.

The account's counter locks nobody out. When it is high, it only lowers the limit of client subnets that have not signed in to this account
before. A browser that has signed in has a device cookie and keeps its own limit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit import client_subnet, clock
from latchpin.kit.fields import email_key
from latchpin.storage.models import SignInFailures
from latchpin.storage.upsert import insert

WINDOW = timedelta(minutes=15)
SKEW = timedelta(minutes=1)  # allowed difference of two nodes' clocks; a window that ends later comes from a clock that was set back
PER_PAIR = 5
PER_ADDRESS = 50
PER_ACCOUNT = 20
PER_PAIR_UNDER_ATTACK = 2


@dataclass(frozen=True, slots=True)
class Buckets:
    """The counters of an attempt: `pair` is the account from this browser with `is_known_device`, else from this client subnet."""

    account: bytes
    address: bytes
    pair: bytes
    is_known_device: bool


@dataclass(frozen=True, slots=True)
class ThrottleState:
    """The throttling of an attempt: the seconds it has to `wait`, 0 for none, and the full buckets with the limit of each."""

    wait: int
    full: Mapping[bytes, int]


def buckets(email: str, address: str | None, known_device: str | None) -> Buckets:
    """Return an attempt's buckets; `known_device` is the device cookie of a browser that has signed in to this account, else None."""
    account, home = email_key(email), client_subnet.of(address)
    pair = f"pair|{home}|{account}" if known_device is None else f"device|{known_device}|{account}"
    return Buckets(_digest(f"account|{account}"), _digest(f"address|{home}"), _digest(pair), known_device is not None)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


async def one_at_a_time(session: AsyncSession, email: str, address: str | None) -> None:
    """Serialize the attempts at one account, and those from one client subnet, so that a burst cannot pass the limit.

    SQLite has one writer anyway; on PostgreSQL the locks end with the transaction.
    """
    if session.get_bind().dialect.name == "postgresql":
        where = buckets(email, address, None)
        for bucket in sorted((where.account, where.address)):
            number = int.from_bytes(bucket[:8], "big", signed=True)
            await session.execute(select(func.pg_advisory_xact_lock(number)))


async def throttle_state(session: AsyncSession, where: Buckets) -> ThrottleState:
    """Return whether an attempt must wait, and which buckets are full."""
    at = clock.now()
    rows = await session.scalars(select(SignInFailures).where(SignInFailures.bucket.in_((where.account, where.address, where.pair))))
    counts = {row.bucket: row for row in rows.all() if at < row.window_ends_at <= at + WINDOW + SKEW}
    failures = {bucket: row.failures for bucket, row in counts.items()}
    allowance = PER_PAIR if where.is_known_device or failures.get(where.account, 0) < PER_ACCOUNT else PER_PAIR_UNDER_ATTACK
    limits = {where.pair: allowance} if where.is_known_device else {where.pair: allowance, where.address: PER_ADDRESS}
    full = {bucket: most for bucket, most in limits.items() if failures.get(bucket, 0) >= most}
    wait = max((int((counts[bucket].window_ends_at - at).total_seconds()) + 1 for bucket in full), default=0)
    return ThrottleState(wait, full)


async def count_failure(session: AsyncSession, where: Buckets) -> None:
    """Count a failed attempt."""
    await _count(session, where.account, where.address, where.pair)


async def count_early(session: AsyncSession, where: Buckets, throttle: ThrottleState) -> bool:
    """Count an attempt that came too early; returns whether to record it: the 1st, 2nd, 4th, 8th ... above a bucket's limit.

    For a full client subnet only its own counter grows: with another account each time, it could fill the disk with rows.
    """
    if where.address in throttle.full:
        counts = await _count(session, where.address)
    else:
        counts = await _count(session, where.account, where.address, where.pair)
    beyond = max(counts[bucket] - most for bucket, most in throttle.full.items() if bucket in counts)
    return beyond <= 1 or beyond & (beyond - 1) == 0


async def count_shed(session: AsyncSession, where: Buckets, tries: int) -> None:
    """Count attempts that were not checked, for the client subnet only."""
    await _count(session, where.address, by=tries)


async def _count(session: AsyncSession, *where: bytes, by: int = 1) -> dict[bytes, int]:
    at = clock.now()
    is_over = _is_over(at)
    counts: dict[bytes, int] = {}
    for bucket in sorted(where):  # one order, so that two attempts cannot deadlock
        row = insert(session, SignInFailures).values(bucket=bucket, failures=by, window_ends_at=at + WINDOW)
        upsert = row.on_conflict_do_update(
            index_elements=[SignInFailures.bucket],
            set_={
                "failures": case((is_over, by), else_=SignInFailures.failures + by),
                "window_ends_at": case((is_over, at + WINDOW), else_=SignInFailures.window_ends_at),
            },
        ).returning(SignInFailures.failures)
        counts[bucket] = await session.scalar(upsert) or 0
    return counts


def _is_over(at: datetime) -> ColumnElement[bool]:
    return or_(SignInFailures.window_ends_at <= at, SignInFailures.window_ends_at > at + WINDOW + SKEW)


async def clear(session: AsyncSession, where: Buckets) -> None:
    """Remove the failures of this account from this browser or client subnet, after a success."""
    await session.execute(delete(SignInFailures).where(SignInFailures.bucket == where.pair))


async def purge_expired(session: AsyncSession) -> None:
    """Remove counters whose window has ended."""
    await session.execute(delete(SignInFailures).where(_is_over(clock.now())))
