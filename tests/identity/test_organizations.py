"""The deployment's row, organizations, and the one-time way to the first administrator (security.md 116)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin import settings
from latchpin.audit import Actor
from latchpin.errors import Conflict, Invalid, Missing
from latchpin.identity import credentials, organizations, passwords, users
from latchpin.identity.roles import Group
from latchpin.kit import clock as kit_clock
from latchpin.settings import Settings
from latchpin.storage import Database, secrets
from latchpin.storage.models import Deployment, Organization, User
from tests.support.databases import Templates
from tests.support.people import PASSWORD
from tests.support.people import Organization as Acme

BY = Actor("test")


class Fresh:
    """A deployment without any user, which nobody serves. `run` runs a coroutine in the loop that its database belongs to."""

    def __init__(self, chosen: Settings, runner: asyncio.Runner) -> None:
        self.database, self.secrets = Database(chosen), secrets.load(chosen.secrets_file)
        self.run = runner.run

    def write(self, work: Callable[[AsyncSession], Any]) -> Any:
        """Run `work(session)` in one transaction."""

        async def inside() -> Any:
            async with self.database.transaction() as session:
                return await work(session)

        return self.run(inside())

    def offer(self) -> str | None:
        """Ask for a first-run token, as `serve` does at its start."""
        token: str | None = self.write(organizations.offer_setup)
        return token

    def opens(self, token: str) -> bool:
        """Whether a token opens the first-run page now."""
        return bool(self.write(lambda session: organizations.is_setup_token(session, token)))

    async def begin(self, email: str = "ada@example.com", password: str = PASSWORD) -> users.CreatedUser:
        """Make the first administrator, in a transaction of its own."""
        hashed = await passwords.hashed(password)
        async with self.database.transaction() as session:
            return await organizations.first_administrator(
                session, organization="Acme", full_name="Ada Byron", email=email, password=hashed, temporary=False, by=BY
            )

    def counted(self) -> tuple[int, int]:
        """Return how many organizations and users there are."""

        async def work(session: AsyncSession) -> tuple[int, int]:
            return len((await session.scalars(select(Organization))).all()), len((await session.scalars(select(User))).all())

        counts: tuple[int, int] = self.write(work)
        return counts


@pytest.fixture
def fresh(kind: str, templates: Templates, tmp_path: Path, clock: kit_clock.Frozen) -> Iterator[Fresh]:
    """A deployment of the test's own, empty."""
    with templates.fresh(kind, tmp_path) as url, asyncio.Runner() as runner:
        deployment = Fresh(settings.load({}, data_dir=tmp_path, database_url=url or None), runner)
        yield deployment
        runner.run(deployment.database.close())


def test_there_is_no_default_administrator(fresh: Fresh) -> None:
    """Nobody is there until somebody with the link makes them."""
    assert fresh.counted() == (0, 0)


def test_the_first_run_token_works_until_there_is_a_user(fresh: Fresh) -> None:
    """Once."""
    token = fresh.offer()
    assert token is not None
    assert fresh.opens(token)

    created_user = fresh.run(fresh.begin())

    assert created_user.user.user_group == Group.ADMINISTRATOR
    assert not created_user.user.must_change_password
    assert not fresh.opens(token)
    assert fresh.offer() is None


def test_the_first_run_token_is_forgotten_with_its_use(fresh: Fresh) -> None:
    """It opens nothing again, not even where all users are gone."""
    token = fresh.offer()
    assert token is not None
    created_user = fresh.run(fresh.begin())

    fresh.write(lambda session: session.execute(delete(User).where(User.id == created_user.user.id)))

    assert not fresh.opens(token)


def test_a_first_run_token_opens_nothing_beside_a_user(fresh: Fresh) -> None:
    """However the user came there: out of a backup, or by another process at this very moment."""
    fresh.run(fresh.begin())
    token = "kept-from-before"

    async def plant(session: AsyncSession) -> None:
        row = await session.get_one(Deployment, 1)
        row.setup_digest, row.setup_expires_at = credentials.token_digest(token), kit_clock.now() + timedelta(hours=1)

    fresh.write(plant)

    assert not fresh.opens(token)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_new_token_kills_the_earlier_one(fresh: Fresh) -> None:
    """The link in the newest console output is the one that counts."""
    first, second = fresh.offer(), fresh.offer()
    assert first is not None
    assert second is not None

    assert not fresh.opens(first)
    assert fresh.opens(second)


def test_a_token_dies_after_24_hours(fresh: Fresh, clock: kit_clock.Frozen) -> None:
    """A link in an old log opens nothing."""
    token = fresh.offer()
    assert token is not None
    clock.advance(timedelta(hours=23, minutes=59))
    assert fresh.opens(token)

    clock.advance(timedelta(minutes=1))

    assert not fresh.opens(token)


@pytest.mark.parametrize("token", ["", "x", "0" * 43, "ä\0"])
def test_an_invented_token_opens_nothing(fresh: Fresh, token: str) -> None:
    """With or without one that was offered."""
    assert not fresh.opens(token)
    fresh.offer()
    assert not fresh.opens(token)


def test_a_token_is_kept_as_a_digest(fresh: Fresh) -> None:
    """A copy of the database does not open the first-run page."""
    token = fresh.offer()
    assert token is not None

    async def work(session: AsyncSession) -> Deployment:
        return await session.get_one(Deployment, 1)

    row = fresh.write(work)
    assert len(token) == 43
    assert len(row.setup_digest) == 32
    assert token.encode() not in row.setup_digest


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_two_who_use_the_same_link_at_once_make_one_administrator(fresh: Fresh) -> None:
    """The later one is told that there are users already."""
    fresh.offer()

    async def both() -> Any:
        return await asyncio.gather(fresh.begin(), fresh.begin("eve@example.com"), return_exceptions=True)

    results = fresh.run(both())

    assert sorted(type(result).__name__ for result in results) == ["Conflict", "CreatedUser"]
    assert fresh.counted() == (1, 1)


def test_refused_entries_leave_the_link_usable(fresh: Fresh) -> None:
    """Nothing is half made, and the person may try again."""
    token = fresh.offer()
    assert token is not None

    with pytest.raises(Invalid):
        fresh.run(fresh.begin(email="nobody", password="password"))

    assert fresh.counted() == (0, 0)
    assert fresh.opens(token)


def test_a_second_first_administrator_is_refused(fresh: Fresh) -> None:
    """`latchpin init` twice makes nobody."""
    fresh.run(fresh.begin())

    with pytest.raises(Conflict, match="has users already"):
        fresh.run(fresh.begin("second@example.com"))


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_processes_that_start_at_once_make_one_row_of_the_deployment(fresh: Fresh) -> None:
    """On both databases, without an error in either process."""

    async def remove(session: AsyncSession) -> None:
        await session.execute(delete(Deployment))

    fresh.write(remove)

    async def prepare() -> int:
        async with fresh.database.transaction() as session:
            return (await organizations.prepare(session, fresh.secrets)).id

    async def five() -> Any:
        return await asyncio.gather(*(prepare() for _ in range(5)))

    assert fresh.run(five()) == [1] * 5


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_organizations_are_found_by_id_and_listed_oldest_first(organization: Acme, other: Acme) -> None:
    """One that is not there is missing."""

    async def work(session: AsyncSession) -> tuple[str, list[int]]:
        ids = [each.id for each in await organizations.list_all(session)]
        return (await organizations.get(session, organization.id)).name, ids

    name, ids = organization.write(work)
    assert name == f"Organization {organization.number}"
    assert ids == sorted(ids)
    assert {organization.id, other.id} <= set(ids)
    with pytest.raises(Missing):
        organization.write(lambda session: organizations.get(session, 2**31 - 1))


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "Ac\nme"])
def test_an_organization_needs_a_sound_name(organization: Acme, name: str) -> None:
    """Told by field."""
    with pytest.raises(Invalid) as caught:
        organization.write(lambda session: organizations.create(session, name, by=BY))

    assert {problem.field for problem in caught.value.problems} == {"organization"}


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_the_oldest_administrator_stands_in_where_nobody_is_named(organization: Acme) -> None:
    """For agents that the command line applies."""
    organization.user("Second Admin", Group.ADMINISTRATOR)

    async def work(session: AsyncSession) -> User | None:
        return await organizations.owner_of(session, organization.id)

    owner = organization.write(work)
    assert owner is not None
    assert owner.id == organization.admin.id
