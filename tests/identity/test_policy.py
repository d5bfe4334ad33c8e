"""How long keys may live: the deployment's settings, narrowed by the organization."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Invalid
from latchpin.identity import api_keys, policy
from latchpin.identity.policy import KeyPolicy
from latchpin.kit import clock as kit_clock
from tests.support.people import Organization


def _change(organization: Organization, default_days: int | None, max_days: int | None) -> KeyPolicy:
    async def work(session: AsyncSession) -> KeyPolicy:
        chosen = organization.server.settings
        return await policy.change(
            session, organization.id, chosen, default_days=default_days, max_days=max_days, by=organization.admin.actor
        )

    return organization.write(work)


def test_an_organization_starts_with_the_deployments_policy(organization: Organization) -> None:
    """One year by default, two at most (security.md 96)."""

    async def work(session: AsyncSession) -> KeyPolicy:
        return await policy.get(session, organization.id, organization.server.settings)

    assert organization.write(work) == KeyPolicy(365, 730, 730)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_an_organization_narrows_the_policy(organization: Organization, clock: kit_clock.Frozen) -> None:
    """Keys made after the change follow it."""
    _change(organization, 30, 90)

    key = organization.key()

    assert _expiry(organization, key.id) == kit_clock.now() + timedelta(days=30)


def test_existing_keys_keep_their_expiry(organization: Organization, clock: kit_clock.Frozen) -> None:
    """A narrower policy is for new keys and for changes of expiry, not for what stands."""
    key = organization.key()
    before = _expiry(organization, key.id)

    _change(organization, 1, 1)

    assert _expiry(organization, key.id) == before


@pytest.mark.parametrize(("default_days", "max_days"), [(None, 731), (91, 90), (0, None), (None, 0), (-1, None), (731, None)])
def test_a_policy_beyond_the_deployments_is_refused(organization: Organization, default_days: int | None, max_days: int | None) -> None:
    """An organization narrows and never widens, and its default fits its maximum (security.md 96)."""
    with pytest.raises(Invalid) as refused:
        _change(organization, default_days, max_days)

    assert refused.value.problems


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_smaller_maximum_pulls_the_default_down(organization: Organization) -> None:
    """Where only the maximum is set, the default does not pass it."""
    assert _change(organization, None, 30) == KeyPolicy(30, 30, 730)


def _expiry(organization: Organization, key_id: int) -> object:
    async def work(session: AsyncSession) -> object:
        return (await api_keys.get(session, organization.id, key_id)).expires_at

    return organization.write(work)
