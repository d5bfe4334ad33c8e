"""The time that leases and heartbeats are compared by: one clock for all hosts.

Clocks of hosts differ. On PostgreSQL it is the database's clock; the embedded database has one host, whose clock it is.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import DateTime, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit import clock

_NOW = select(func.clock_timestamp(type_=DateTime(timezone=True)))


async def now(session: AsyncSession) -> datetime:
    """Return the present by that clock."""
    if session.get_bind().dialect.name != "postgresql":
        return clock.now()
    database_now = await session.scalar(_NOW)
    assert database_now is not None  # noqa: S101  a clock always answers
    return database_now.astimezone(UTC)
