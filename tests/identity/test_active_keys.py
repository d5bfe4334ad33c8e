"""One rule says whether a key is active, in Python and in SQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import active_keys
from latchpin.kit import clock as kit_clock
from latchpin.storage.models import ApiKey
from tests.support.people import Organization

MOMENTS = [timedelta(days=-1), timedelta(microseconds=-1), timedelta(0), timedelta(microseconds=1), timedelta(days=1)]


@pytest.mark.both_databases("moments are compared by the database")
def test_python_and_sql_agree(organization: Organization, clock: kit_clock.Frozen) -> None:
    """For keys that ended, end now or will end, revoked or not, at every moment around their end."""
    now = kit_clock.now()
    cases = list(product(MOMENTS, (None, now)))
    keys = [organization.key() for _ in cases]

    async def arrange(session: AsyncSession) -> None:
        for key, (ends_in, revoked_at) in zip(keys, cases, strict=True):
            await session.execute(update(ApiKey).where(ApiKey.id == key.id).values(expires_at=now + ends_in, revoked_at=revoked_at))

    async def compare(session: AsyncSession, at: datetime | None) -> None:
        rows = (await session.scalars(select(ApiKey))).all()
        in_sql = set(await session.scalars(select(ApiKey.id).where(active_keys.active(at))))
        assert in_sql == {row.id for row in rows if active_keys.is_active(row, at)}
        assert 0 < len(in_sql) < len(rows)

    organization.write(arrange)
    organization.write(lambda session: compare(session, None))
    organization.write(lambda session: compare(session, now + timedelta(hours=1)))


def test_a_key_is_expired_at_the_moment_that_it_names(clock: kit_clock.Frozen) -> None:
    """And revoked is said before expired."""
    now = kit_clock.now()

    assert active_keys.status(ApiKey(revoked_at=None, expires_at=now)) == "expired"
    assert active_keys.status(ApiKey(revoked_at=None, expires_at=now + timedelta(microseconds=1))) == "active"
    assert active_keys.status(ApiKey(revoked_at=now, expires_at=now)) == "revoked"
