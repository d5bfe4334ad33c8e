"""How long API keys may be valid: the deployment's settings, limited further by the organization."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.errors import Missing
from latchpin.kit import clock
from latchpin.kit.fields import FieldValidation
from latchpin.settings import Settings
from latchpin.storage.models import Organization


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """Lifetimes in days. `deployment_max_days` is the ceiling that the organization cannot pass."""

    default_days: int
    max_days: int
    deployment_max_days: int

    def default_expiry(self) -> datetime:
        """When a key that is created now expires by default."""
        return clock.now() + timedelta(days=self.default_days)

    def latest_expiry(self) -> datetime:
        """The latest expiry that may be chosen now; a key is valid to the end of the chosen day, so a day is added."""
        return clock.now() + timedelta(days=self.max_days + 1)


def of(organization: Organization, settings: Settings) -> KeyPolicy:
    """Return the policy in force for an organization."""
    most = min(organization.key_max_days or settings.key_max_days, settings.key_max_days)
    default = min(organization.key_default_days or settings.key_default_days, most)
    return KeyPolicy(default, most, settings.key_max_days)


async def get(session: AsyncSession, organization_id: int, settings: Settings) -> KeyPolicy:
    """Return the policy in force for an organization, by id; raises Missing."""
    organization = await session.get(Organization, organization_id)
    if organization is None:
        raise Missing("organization", organization_id)
    return of(organization, settings)


async def change(
    session: AsyncSession, organization_id: int, settings: Settings, *, default_days: int | None, max_days: int | None, by: Actor
) -> KeyPolicy:
    """Set the organization's lifetimes in days (None for the deployment's). Existing keys keep their expiry. Raises Invalid, Missing."""
    organization = await session.get(Organization, organization_id)
    if organization is None:
        raise Missing("organization", organization_id)
    form = FieldValidation()
    form.number("max_days", max_days, least=1, most=settings.key_max_days)
    form.number("default_days", default_days, least=1, most=min(max_days or settings.key_max_days, settings.key_max_days))
    form.done()
    changes = {
        "default_days": (organization.key_default_days, default_days),
        "max_days": (organization.key_max_days, max_days),
    }
    changed = {name: pair for name, pair in changes.items() if pair[0] != pair[1]}
    organization.key_default_days, organization.key_max_days = default_days, max_days
    if changed:
        event = events.KeyPolicyChanged(target_id=organization.id, target_name=organization.name, changes=changed)
        record(session, event, by)
    return of(organization, settings)
