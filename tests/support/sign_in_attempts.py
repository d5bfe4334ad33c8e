"""One organization's sign-in, tried from addresses that no other test uses, and tries that meet another change."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin
from latchpin.identity import sign_in
from latchpin.identity.sign_in import Attempt, Outcome
from tests.support.people import PASSWORD, Organization
from tests.support.server import Server

_networks = itertools.count(1)


class SignInAttempts:
    """One organization's sign-in, asked from addresses that no other test uses."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.server = organization.server
        self.person = organization.user()
        self.network = f"2001:db8:{next(_networks):x}"

    def address(self, host: int) -> str:
        """Return an address of the test's own network; each host is a client subnet of its own."""
        return f"{self.network}:{host:x}::1"

    def tried(
        self,
        password: str = "wrong",
        *,
        email: str | None = None,
        host: int = 1,
        address: str | None = None,
        device: str | None = None,
        previous: str | None = None,
    ) -> Attempt:
        """Return a try, from a host of the test's network or from any address."""
        origin = Origin(address or self.address(host), "test")
        return Attempt(email if email is not None else self.person.email, password, origin, device, previous)

    def looked(self, **where: Any) -> sign_in.Lookup:
        """Take the first step of one try."""
        tried, secrets = self.tried(**where), self.server.services.secrets
        return self.organization.write(lambda session: sign_in.look_up(session, tried, secrets))

    async def judge(self, tried: Attempt) -> Outcome:
        """Take all steps of one try but the place, in the server's event loop."""
        secrets = self.server.services.secrets
        async with self.server.database.read() as session:
            lookup = await sign_in.look_up(session, tried, secrets)
        checked = await sign_in.check(lookup, tried.password)
        async with self.server.database.transaction() as session:
            return await sign_in.attempt(session, tried, self.server.settings, secrets, checked=checked)

    def attempt(self, password: str = "wrong", **where: Any) -> Outcome:
        """Try once, and keep what came of it, as the page does."""

        async def work(session: AsyncSession) -> Outcome:
            return await sign_in.attempt(session, self.tried(password, **where), self.server.settings, self.server.services.secrets)

        return self.organization.write(work)

    def burst(self, tries: int, **where: Any) -> list[Outcome]:
        """Try at once, each hashed before any is judged, as the page does with requests that come together."""
        secrets, settings, tried = self.server.services.secrets, self.server.settings, self.tried(**where)

        async def one(checked: sign_in.PasswordCheck | None) -> Outcome:
            async with self.server.database.transaction() as session:
                return await sign_in.attempt(session, tried, settings, secrets, checked=checked)

        async def all_() -> list[Outcome]:
            async with self.server.database.read() as session:
                lookup = await sign_in.look_up(session, tried, secrets)
            checked = await sign_in.check(lookup, tried.password)
            await asyncio.gather(*(self._connect() for _ in range(tries)))  # all connections are there before it begins
            return await asyncio.gather(*(one(checked) for _ in range(tries)))

        return self.server.run(all_())

    async def _connect(self) -> None:
        async with self.server.database.read() as session:
            await session.execute(text("SELECT 1"))

    def is_open(self, **where: Any) -> bool:
        """Whether the right password opens."""
        return self.attempt(PASSWORD, **where).session is not None

    def device(self) -> str:
        """Return the device cookie of a browser that has signed in."""
        outcome = self.attempt(PASSWORD, host=0xFFFF)
        assert outcome.user is not None
        return sign_in.device_cookie(self.server.services.secrets, outcome.user)

    def attack(self, hosts: int = 8, each: int = 5) -> None:
        """Guess from many addresses, as often as each is let."""
        for host, _ in itertools.product(range(0x100, 0x100 + hosts), range(each)):
            self.attempt(host=host)


def meet(server: Server, first: Callable[[AsyncSession], Awaitable[Any]], second: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Begin `second` while the transaction of `first` is done but for its commit; returns what `second` returned or raised."""

    async def both() -> Any:
        async with server.database.transaction() as session:
            await first(session)
            await session.flush()
            task = asyncio.create_task(second())
            if not server.settings.is_sqlite:  # there the second waits for the one write lock anyway
                await _somebody_waits(server)
        return (await asyncio.gather(task, return_exceptions=True))[0]

    return server.run(both())


async def _somebody_waits(server: Server) -> None:
    waiting = text("SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.datname = current_database() WHERE NOT l.granted")
    async with asyncio.timeout(20):
        while True:
            async with server.database.read() as session:
                if await session.scalar(waiting):
                    return
