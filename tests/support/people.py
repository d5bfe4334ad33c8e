"""Short ways to make organizations, users, Spaces, agents and keys in a served deployment."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin
from latchpin.automation import agents, run_files
from latchpin.automation.run_lifecycle import Lease
from latchpin.identity import api_keys, organizations, passwords, policy, spaces, users
from latchpin.identity.activity import actor
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group, Role
from latchpin.identity.scopes import Access
from latchpin.kit import clock
from latchpin.storage.models import Agent, Run
from latchpin.storage.models.agent import RunStatus
from latchpin.storage.models.run import RunFileType, RunOrigin
from latchpin.storage.models.space import SpaceScope
from tests.support.server import Server

T = TypeVar("T")
_number = itertools.count(1)
PASSWORD = "correct horse battery staple"


def definition(name: str = "Book prices", description: str = "Prices of books.") -> str:
    """Return the text of a small sound agent definition."""
    return f"""version: 1
name: {name}
description: {description}
start_url: https://books.example/catalogue/{{category}}
input_parameters:
  - name: category
    default: fiction
  - name: account_password
    encrypted: true
record:
  selector: article.book
  fields:
    - name: title
      selector: h3
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A user of a test's organization."""

    id: int
    email: str
    full_name: str
    organization_id: int
    group: Group

    @property
    def principal(self) -> Principal:
        """The user, as the command line acts for them."""
        credential = Credential(CredentialKind.COMMAND_LINE, None, "test")
        return Principal(self.id, self.organization_id, self.full_name, self.email, self.group, credential)

    @property
    def actor(self) -> Actor:
        """The user in the audit trail."""
        return actor(self.principal, Origin())


@dataclass(frozen=True, slots=True)
class Key:
    """An issued key, with its full text."""

    id: int
    secret: str
    prefix: str

    @property
    def header(self) -> dict[str, str]:
        """The header that carries the key."""
        return {"Authorization": f"ApiKey {self.secret}"}


class Organization:
    """One organization with an administrator, to which tests add what they need."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.number = next(_number)
        self._password = self.server.run(passwords.hashed(PASSWORD))
        self.id, self.admin = self.write(self._begin)

    def write(self, work: Callable[[AsyncSession], Coroutine[Any, Any, T]]) -> T:
        """Run `work(session)` in one committed transaction of the server's database."""

        async def inside() -> T:
            async with self.server.database.transaction() as session:
                return await work(session)

        return self.server.run(inside())

    async def _begin(self, session: AsyncSession) -> tuple[int, Person]:
        nobody = Actor("test")
        organization = await organizations.create(session, f"Organization {self.number}", by=nobody)
        new = users.NewUser(
            full_name="Ada Admin",
            email=f"ada.{self.number}@example.com",
            group=Group.ADMINISTRATOR,
            password=self._password,
            temporary=False,
        )
        user = (await users.create(session, organization.id, new, by=nobody)).user
        return organization.id, Person(user.id, user.email, user.full_name, organization.id, Group.ADMINISTRATOR)

    def user(self, name: str = "Grace User", group: Group = Group.USER, *, temporary: bool = False) -> Person:
        """Add a user with the password PASSWORD."""
        email = f"{name.split(maxsplit=1)[0].lower()}.{self.number}.{next(_number)}@example.com"

        async def work(session: AsyncSession) -> Person:
            new = users.NewUser(full_name=name, email=email, group=group, password=self._password, temporary=temporary)
            user = (await users.create(session, self.id, new, by=self.admin.actor)).user
            return Person(user.id, email, name, self.id, group)

        return self.write(work)

    def key(
        self,
        person: Person | None = None,
        access: Access = Access.FULL,
        *,
        description: str | None = None,
        expires: datetime | None = None,
        networks: tuple[str, ...] = (),
        rate_limit: int | None = None,
    ) -> Key:
        """Issue a key for a person (by default the administrator)."""

        async def work(session: AsyncSession) -> Key:
            user = await users.get(session, self.id, (person or self.admin).id)
            rules = await policy.get(session, self.id, self.server.settings)
            new = api_keys.KeyParameters(
                expires_at=expires, description=description, access=access, networks=networks, rate_limit=rate_limit
            )
            secrets = self.server.application.services.secrets
            issued_key = await api_keys.create(session, user, new, policy=rules, secrets=secrets, by=self.admin.actor)
            return Key(issued_key.key.id, issued_key.secret, issued_key.key.prefix)

        return self.write(work)

    def revoke(self, key: Key) -> None:
        """Revoke a key."""

        async def work(session: AsyncSession) -> None:
            await api_keys.revoke(session, await api_keys.get(session, self.id, key.id), by=self.admin.actor)

        self.write(work)

    def space(self, name: str = "Retail", scope: SpaceScope = SpaceScope.PRIVATE, *, default_access: bool = False) -> int:
        """Make a Space and return its id."""
        fields = spaces.SpaceFields(name=name, scope=scope, is_default_access=default_access)

        async def work(session: AsyncSession) -> int:
            return (await spaces.create(session, self.id, fields, by=self.admin.actor)).id

        return self.write(work)

    def member(self, space_id: int, person: Person, role: Role | None) -> None:
        """Give a person a role in a Space, or remove them."""

        async def work(session: AsyncSession) -> None:
            space = await spaces.owned(session, self.id, space_id)
            user = await users.get(session, self.id, person.id)
            await spaces.set_member(session, space, user, role, by=self.admin.actor)

        self.write(work)

    def agent(self, name: str = "Book prices", space_id: int | None = None, owner: Person | None = None) -> int:
        """Make an agent and return its id."""
        who = owner or self.admin

        async def work(session: AsyncSession) -> int:
            return (await agents.create(session, who.principal, definition(name), space_id=space_id, by=who.actor)).id

        return self.write(work)

    def ended_run(self, agent_id: int) -> dict[str, int]:
        """Make a run of an agent that has failed, with a file, as a worker would have left them; returns their ids by wire name."""

        async def work(session: AsyncSession) -> dict[str, int]:
            agent = await session.get_one(Agent, agent_id)
            agent.started_runs += 1
            at = clock.now()
            run = Run(
                organization_id=agent.organization_id,
                space_id=agent.space_id,
                agent_id=agent.id,
                user_id=agent.user_id,
                concurrency_group=agents.group_of_runs(agent),
                sequence=agent.started_runs,
                config_version=1,
                status=RunStatus.FAILURE,
                message=f"No page of {agent.name} could be read.",
                origin=RunOrigin.USER,
                origin_name="test",
                input="{}",
                created_at=at,
                started_at=at,
                ended_at=at,
                fencing_token=1,
            )
            session.add(run)
            await session.flush()
            file = await run_files.add(session, Lease(run.id, 0, 1), RunFileType.LOG_TEXT, "log.txt")
            return {"runId": run.id, "fileId": file.id}

        return self.write(work)

    def get(self, path: str, key: Key, **params: Any) -> httpx.Response:
        """Ask the API with a key."""
        return self.server.http.get(f"/api/v1{path}", headers=key.header, params=params)

    def post(self, path: str, key: Key, body: object = None) -> httpx.Response:
        """Post to the API with a key."""
        return self.server.http.post(f"/api/v1{path}", headers=key.header, json=body)
