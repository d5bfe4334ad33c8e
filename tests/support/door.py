"""One organization's sign-in, tried from addresses that no other test uses."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin
from latchpin.identity import sign_in
from latchpin.identity.sign_in import Attempt, Outcome
from tests.support.people import PASSWORD, Organization

_networks = itertools.count(1)


class Door:
    """One organization's sign-in, asked from addresses that no other test uses."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.server = organization.server
        self.person = organization.user()
        self.network = f"2001:db8:{next(_networks):x}"

    def address(self, host: int) -> str:
        """Return an address of the test's own network."""
        return f"{self.network}::{host:x}"

    def tried(self, password: str = "wrong", *, email: str | None = None, host: int = 1, device: str | None = None) -> Attempt:
        """Return a try."""
        return Attempt(email if email is not None else self.person.email, password, Origin(self.address(host), "test"), device)

    def attempt(self, password: str = "wrong", **where: Any) -> Outcome:
        """Try once, and keep what came of it, as the page does."""

        async def work(session: AsyncSession) -> Outcome:
            return await sign_in.attempt(session, self.tried(password, **where), self.server.settings, self.server.services.secrets)

        return self.organization.write(work)

    def burst(self, tries: int) -> list[Outcome]:
        """Try at once, each hashed before any is judged, as the page does with requests that come together."""
        secrets, settings, tried = self.server.services.secrets, self.server.settings, self.tried()

        async def one(checked: sign_in.Checked | None) -> Outcome:
            async with self.server.database.transaction() as session:
                return await sign_in.attempt(session, tried, settings, secrets, checked=checked)

        async def all_() -> list[Outcome]:
            async with self.server.database.read() as session:
                checked = await sign_in.check(session, tried, secrets)
            await asyncio.gather(*(self.server.database.ping() for _ in range(tries)))  # all connections are there before it begins
            return await asyncio.gather(*(one(checked) for _ in range(tries)))

        return self.server.run(all_())

    def is_open(self, **where: Any) -> bool:
        """Whether the right password opens."""
        return self.attempt(PASSWORD, **where).opened is not None

    def device(self) -> str:
        """Return the device cookie of a browser that has signed in."""
        outcome = self.attempt(PASSWORD, host=0xFFFF)
        assert outcome.user is not None
        return sign_in.device_cookie(self.server.services.secrets, outcome.user)

    def attack(self, hosts: int = 8, each: int = 5) -> None:
        """Guess from many addresses, as often as each is let."""
        for host, _ in itertools.product(range(0x100, 0x100 + hosts), range(each)):
            self.attempt(host=host)
