"""A second way to a served deployment's database, in the test's own process, as the command line has."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin
from latchpin.identity import api_keys, organizations, policy, sessions, spaces, users
from latchpin.identity.roles import Group, Role
from latchpin.kit import clock
from latchpin.settings import Settings
from latchpin.storage import Database, secrets
from latchpin.storage.secrets import Secrets
from tests.support.processes import Serving

BY = Actor("test")


@dataclass(frozen=True, slots=True)
class Issued:
    """A key with its id, its user's and its organization's."""

    id: int
    user_id: int
    organization_id: int
    secret: str


class Office:
    """Makes and changes things in a database that others serve. Changes return when they were answered (monotonic seconds)."""

    def __init__(self, chosen: Settings, kept: Secrets) -> None:
        self.settings, self.secrets = chosen, kept
        self.database = Database(chosen)
        self.organization_id = self.admin_id = 0

    async def begin(self) -> None:
        """Make the organization with an administrator who stays."""
        async with self.database.transaction() as session:
            made = await organizations.create(session, "Acme", by=BY)
            self.organization_id = made.id
        self.admin_id = await self.user(Group.ADMINISTRATOR)
        async with self.database.transaction() as session:
            (await users.get(session, self.organization_id, self.admin_id)).must_change_password = False

    async def user(self, group: Group = Group.USER) -> int:
        """Make a user and return the id."""
        async with self.database.transaction() as session:
            number = await users.count(session)
            new = users.NewUser(full_name=f"User {number}", email=f"user.{number}@example.com", group=group)
            return (await users.create(session, self.organization_id, new, by=BY)).user.id

    async def keys(self, user_id: int, count: int) -> list[Issued]:
        """Issue keys."""
        async with self.database.transaction() as session:
            user = await users.get(session, self.organization_id, user_id)
            rules = await policy.get(session, self.organization_id, self.settings)
            made = [
                await api_keys.create(session, user, api_keys.NewKey(), policy=rules, secrets=self.secrets, by=BY) for _ in range(count)
            ]
            return [Issued(issued.key.id, user_id, self.organization_id, issued.secret) for issued in made]

    async def change(self, work: Callable[[AsyncSession], Awaitable[object]]) -> float:
        """Run `work(session)` in one transaction; return when it was answered."""
        async with self.database.transaction() as session:
            await work(session)
        return time.monotonic()

    async def revoke(self, issued: Issued) -> float:
        """Revoke a key as the command line does; return when it was answered."""

        async def work(session: AsyncSession) -> None:
            await api_keys.revoke(session, await api_keys.get(session, issued.organization_id, issued.id), by=BY)

        return await self.change(work)

    async def pages(self) -> AsyncClient:
        """Sign the administrator in, and return a client that asks the API as the Control Center's own pages do."""
        async with self.database.transaction() as session:
            opened = await sessions.open_(session, await users.get(session, self.organization_id, self.admin_id), self.settings, Origin())
        headers = {"Cookie": f"{sessions.cookie_name(self.settings)}={opened.token}", "Sec-Fetch-Site": "same-origin"}
        return AsyncClient(base_url=self.settings.public_url, headers=headers, timeout=30, trust_env=False)

    async def space(self) -> int:
        """Make a private Space and return its id."""
        async with self.database.transaction() as session:
            return (await spaces.create(session, self.organization_id, spaces.Entry(name="Retail"), by=BY)).id

    async def member(self, space_id: int, issued: Issued, role: Role | None) -> float:
        """Give the key's user a role in the Space, or take it away; return when it was answered."""

        async def work(session: AsyncSession) -> None:
            space = await spaces.owned(session, self.organization_id, space_id)
            user = await users.get(session, self.organization_id, issued.user_id)
            if user.user_group == Group.USER:  # an administrator sees the Space without being a member
                await spaces.set_member(session, space, user, role, by=BY)

        return await self.change(work)

    async def disable(self, issued: Issued) -> float:
        """Disable the key's user."""

        async def work(session: AsyncSession) -> None:
            await users.disable(session, await users.get(session, self.organization_id, issued.user_id), by=BY)

        return await self.change(work)

    async def demote(self, issued: Issued) -> float:
        """Make the key's administrator an ordinary user."""

        async def work(session: AsyncSession) -> None:
            user = await users.get(session, self.organization_id, issued.user_id)
            await users.change(session, user, group=Group.USER, by=BY)

        return await self.change(work)

    async def delete(self, issued: Issued) -> float:
        """Delete the key's entry."""

        async def work(session: AsyncSession) -> None:
            await api_keys.delete(session, await api_keys.get(session, issued.organization_id, issued.id), by=BY)

        return await self.change(work)

    async def expire(self, issued: Issued) -> float:
        """Move the key's expiry to a moment from now; return that moment, once it is over, on the monotonic clock."""
        async with self.database.transaction() as session:
            rules = await policy.get(session, self.organization_id, self.settings)
            key = await api_keys.get(session, self.organization_id, issued.id)
            expires = clock.now() + timedelta(milliseconds=200)
            await api_keys.change_expiry(session, key, expires, policy=rules, by=BY)
        answered = time.monotonic()
        over = answered + (expires - clock.now()).total_seconds()
        await clock.wait_until(expires.timestamp() + 0.05)
        return max(answered, over)


async def revoke_over_http(pages: AsyncClient, issued: Issued) -> float:
    """Revoke a key as the Control Center does; return when it was answered."""
    answer = await pages.post(f"/api/v1/admin/keys/{issued.id}/revoke")
    assert answer.is_success, answer.text
    return time.monotonic()


@asynccontextmanager
async def office(served: Serving) -> AsyncIterator[Office]:
    """Open the served deployment's database a second time, with a fresh organization."""
    opened = Office(served.settings, secrets.load(served.settings.secrets_file))
    try:
        await opened.begin()
        yield opened
    finally:
        await opened.database.close()
