"""Changes to users, as an administrator makes them, in one line each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin
from latchpin.identity import passwords, sessions, users
from latchpin.identity.roles import Group
from latchpin.identity.users import NewUser
from latchpin.storage.models import User
from tests.support.people import Organization, Person


def create(organization: Organization, **fields: Any) -> users.CreatedUser:
    """Make a user as an administrator does, by default with a temporary password."""
    typed = fields.pop("password", None)
    password = organization.server.run(passwords.temporary() if typed is None else passwords.hashed(typed))
    defaults = {"full_name": "Grace Hopper", "email": f"grace.{organization.number}@example.com", "password": password}
    new = NewUser(**{**defaults, **fields})

    async def work(session: AsyncSession) -> users.CreatedUser:
        return await users.create(session, organization.id, new, by=organization.admin.actor)

    return organization.write(work)


def on(organization: Organization, person: Person, work: Callable[[AsyncSession, User], Awaitable[Any]]) -> Any:
    """Run `work(session, user)` in a transaction."""

    async def inside(session: AsyncSession) -> Any:
        return await work(session, await users.get(session, organization.id, person.id))

    return organization.write(inside)


async def set_password(session: AsyncSession, user: User, *, current: str, new: str, by: Actor, keep_session: int | None = None) -> None:
    """Change a password as its owner does."""
    change = await users.prepare_change(user.password_hash, current=current, new=new)
    await users.change_password(session, user, change, by=by, keep_session=keep_session)


async def reset_password(session: AsyncSession, user: User, *, by: Actor) -> str:
    """Give a user a temporary password and return it."""
    temporary = await passwords.temporary()
    await users.reset_password(session, user, temporary, by=by)
    return temporary.text


def disable(organization: Organization, person: Person) -> int:
    """Disable a user; returns how many keys were revoked."""
    revoked: int = on(organization, person, lambda session, user: users.disable(session, user, by=organization.admin.actor))
    return revoked


def demote(organization: Organization, person: Person) -> None:
    """Make an administrator an ordinary user."""
    on(organization, person, lambda session, user: users.change(session, user, group=Group.USER, by=organization.admin.actor))


def delete(organization: Organization, person: Person, new_owner: Person) -> int:
    """Delete a user; returns how many live keys died."""

    async def work(session: AsyncSession, user: User) -> int:
        return await users.delete(session, user, new_owner=await users.get(session, organization.id, new_owner.id), by=new_owner.actor)

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


def sign_in(organization: Organization, person: Person) -> sessions.NewSession:
    """Open a browser session for a user."""
    chosen = organization.server.settings
    opened: sessions.NewSession = on(organization, person, lambda session, user: sessions.open_(session, user, chosen, Origin("192.0.2.1")))
    return opened
