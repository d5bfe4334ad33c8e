"""Changes to users, as an administrator makes them, in one line each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin
from latchpin.identity import sessions, users
from latchpin.identity.roles import Group
from latchpin.identity.users import NewUser
from latchpin.storage.models import User
from tests.support.people import Organization, Person


def create(organization: Organization, **entry: Any) -> users.Created:
    """Make a user as an administrator does."""
    new = NewUser(**{"full_name": "Grace Hopper", "email": f"grace.{organization.number}@example.com", **entry})

    async def work(session: AsyncSession) -> users.Created:
        return await users.create(session, organization.id, new, by=organization.admin.actor)

    return organization.write(work)


def on(organization: Organization, person: Person, work: Callable[[AsyncSession, User], Awaitable[Any]]) -> Any:
    """Run `work(session, user)` in a transaction."""

    async def inside(session: AsyncSession) -> Any:
        return await work(session, await users.get(session, organization.id, person.id))

    return organization.write(inside)


def disable(organization: Organization, person: Person) -> int:
    """Disable a user; returns how many keys were revoked."""
    revoked: int = on(organization, person, lambda session, user: users.disable(session, user, by=organization.admin.actor))
    return revoked


def demote(organization: Organization, person: Person) -> None:
    """Make an administrator an ordinary user."""
    on(organization, person, lambda session, user: users.change(session, user, group=Group.USER, by=organization.admin.actor))


def delete(organization: Organization, person: Person, heir: Person) -> int:
    """Delete a user; returns how many live keys died."""

    async def work(session: AsyncSession, user: User) -> int:
        return await users.delete(session, user, heir=await users.get(session, organization.id, heir.id), by=heir.actor)

    died: int = on(organization, person, work)
    return died


def row(organization: Organization, person: Person) -> User | None:
    """Return the user's row as it is now."""

    async def work(session: AsyncSession) -> User | None:
        return await session.get(User, person.id)

    return organization.write(work)


def open_sessions(organization: Organization, person: Person) -> int:
    """Count a user's living sessions."""

    async def work(session: AsyncSession) -> int:
        return len(await sessions.of_user(session, person.id, organization.server.settings))

    return organization.write(work)


def sign_in(organization: Organization, person: Person) -> sessions.Opened:
    """Open a browser session for a user."""
    chosen = organization.server.settings
    opened: sessions.Opened = on(organization, person, lambda session, user: sessions.open_(session, user, chosen, Origin("192.0.2.1")))
    return opened
