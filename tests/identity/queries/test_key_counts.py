"""The number of active keys is kept by the database, and is the one that counting gives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.identity import active_keys, api_keys, policy, users
from latchpin.identity.queries import key_counts, overview, user_list
from latchpin.kit import clock as kit_clock
from latchpin.storage.models import ApiKey, ApiKeyCount
from tests.support.people import Organization
from tests.support.plans import plans, sorts

pytestmark = pytest.mark.both_databases("triggers are each database's own")

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def undone(organization: Organization) -> Iterator[None]:
    """Let the moment of the counts stand at the present afterwards, whatever a test's clock showed."""
    yield
    organization.write(key_counts.advance)


def _counts(organization: Organization) -> tuple[int, int]:
    """Return the kept number, and the one that counting gives."""

    async def work(session: AsyncSession) -> tuple[int, int]:
        counted = select(func.count()).select_from(ApiKey).where(ApiKey.organization_id == organization.id, active_keys.active())
        return await key_counts.total(session, organization.id), await session.scalar(counted) or 0

    return organization.write(work)


def test_making_revoking_changing_and_deleting_keys_keeps_their_number(organization: Organization) -> None:
    """Each key by itself, and all of a user at once."""
    person = organization.user()
    keys = [organization.key(person) for _ in range(5)]
    assert _counts(organization) == (5, 5)

    organization.revoke(keys[0])
    assert _counts(organization) == (4, 4)

    async def change(session: AsyncSession) -> None:
        rules = await policy.get(session, organization.id, organization.server.settings)
        by = organization.admin.actor
        key = await api_keys.get(session, organization.id, keys[1].id)
        await api_keys.change_expiry(session, key, kit_clock.now() + DAY, policy=rules, by=by)
        await api_keys.delete(session, await api_keys.get(session, organization.id, keys[2].id), by=by)
        await api_keys.delete(session, await api_keys.get(session, organization.id, keys[0].id), by=by)

    organization.write(change)
    assert _counts(organization) == (3, 3)

    async def remove(session: AsyncSession) -> None:
        await users.disable(session, await users.get(session, organization.id, person.id), by=organization.admin.actor)

    organization.write(remove)
    assert _counts(organization) == (0, 0)


def test_expiry_counts_at_once_and_moving_the_moment_on_changes_nothing(organization: Organization, clock: kit_clock.Frozen) -> None:
    """Nor does a key that gets another expiry behind the moment."""
    now = kit_clock.now()
    keys = [organization.key(expires=now + days * DAY) for days in (1, 2, 30)]
    clock.advance(1.5 * DAY)
    assert _counts(organization) == (2, 2)

    organization.write(key_counts.advance)
    assert _counts(organization) == (2, 2)

    async def revive(session: AsyncSession) -> None:
        rules = await policy.get(session, organization.id, organization.server.settings)
        key = await api_keys.get(session, organization.id, keys[0].id)
        await api_keys.change_expiry(session, key, now + 3 * DAY, policy=rules, by=organization.admin.actor)

    organization.write(revive)
    assert _counts(organization) == (3, 3)

    clock.advance(10 * DAY)
    organization.write(key_counts.advance)
    assert _counts(organization) == (1, 1)


def test_a_change_that_is_undone_counts_nothing(organization: Organization) -> None:
    """The number belongs to the transaction of the change."""

    class Stop(Exception):
        """Something went wrong late."""

    key = organization.key()

    async def work(session: AsyncSession) -> None:
        await api_keys.revoke(session, await api_keys.get(session, organization.id, key.id), by=organization.admin.actor)
        await session.flush()
        raise Stop

    with pytest.raises(Stop):
        organization.write(work)

    assert _counts(organization) == (1, 1)


def test_the_number_of_a_deleted_user_goes_too(organization: Organization) -> None:
    """Nothing is left behind."""
    person = organization.user()
    organization.key(person)

    async def work(session: AsyncSession) -> int:
        admin = await users.get(session, organization.id, organization.admin.id)
        await users.delete(session, await users.get(session, organization.id, person.id), new_owner=admin, by=organization.admin.actor)
        await session.flush()
        return await session.scalar(select(func.count()).select_from(ApiKeyCount).where(ApiKeyCount.user_id == person.id)) or 0

    assert organization.write(work) == 0
    assert _counts(organization) == (0, 0)


def test_a_page_of_users_counts_the_keys_of_its_users_alone(organization: Organization) -> None:
    """By an index that holds all that is needed; the page of expiring keys is read in the order of one."""
    organization.key()

    async def page(session: AsyncSession) -> None:
        await user_list.page(session, organization.id, size=2)

    async def expiring(session: AsyncSession) -> None:
        await overview.expiring(session, organization.id, within=30 * DAY)

    (counting,) = (plan for plan in organization.server.run(plans(organization.server.database, page)) if "api_keys" in plan)
    assert "ix_api_keys_user_id_expires_at" in counting or not organization.server.database.is_sqlite, counting
    assert "ix_api_keys_" in counting, counting  # which of them PostgreSQL takes depends on its statistics
    (soonest,) = organization.server.run(plans(organization.server.database, expiring))
    assert "ix_api_keys_organization_id_expires_at" in soonest, soonest
    assert not sorts(soonest), soonest


def test_more_keys_than_anybody_reads_are_counted_no_further(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy page says how many keys live too long, up to a number."""
    monkeypatch.setattr(overview, "MOST_COUNTED", 2)
    for _ in range(3):
        organization.key()

    async def work(session: AsyncSession) -> int:
        return await overview.ending_after(session, organization.id, days=1)

    assert organization.write(work) == 2
