"""A deployment that is measured: one organization with an administrator, its users, and 50 agents; SQLite or PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.process import free_port
from latchpin import settings
from latchpin.audit import Actor
from latchpin.automation import agents
from latchpin.identity import deployment, organizations, passwords, spaces
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group
from latchpin.settings import Settings
from latchpin.storage import Database

AGENTS = 50
PORT = int(os.environ.get("BENCH_PORT", "8099"))
SQLITE, POSTGRESQL = "sqlite", "postgresql"
_SERVER = "postgresql://postgres@127.0.0.1:5432"
_DEFINITION = """version: 1
name: Agent {number:02d}
description: Title, price and stock of every book in a category of books.example.
start_url: https://books.example/category/{{category}}
input_parameters:
  - name: category
    default: fiction
record:
  selector: article
  fields:
    - name: title
      selector: h3
"""


class NoDatabase(Exception):
    """A database cannot be had here; the text says why."""


def environ(data_dir: Path, **more: str) -> dict[str, str]:
    """Return settings as variables, with limits that nobody meets; `more` are further ones by name."""
    chosen = {
        "data_dir": str(data_dir),
        "port": str(PORT),
        "rate_limit": "1000000",
        "rate_limit_window_seconds": "1",
        "token_limit": "1000000",
        "access_token_minutes": "60",
        "reauth_minutes": "60",
        **more,
    }
    return {f"LATCHPIN_{name.upper()}": text for name, text in chosen.items()}


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a deployment is. Its second server process has a port of its own, and the same public address."""

    database: str
    data_dir: Path
    database_url: str
    port: int
    other_port: int

    @property
    def url(self) -> str:
        """The address of the server that is measured."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def other_url(self) -> str:
        """The address of the second server, which makes the changes."""
        return f"http://127.0.0.1:{self.other_port}"

    def environ(self, **more: str) -> dict[str, str]:
        """Return its settings as variables; `more` are further ones by name."""
        place = {"port": str(self.port), "public_url": self.url, "worker": "off"}
        if self.database_url:
            place["database_url"] = self.database_url
        return environ(self.data_dir, **(place | more))

    def settings(self) -> Settings:
        """Return its settings."""
        return settings.load(self.environ())


@contextmanager
def deployment_of(database: str, place: Path) -> Iterator[Deployment]:
    """Make a deployment, and remove its database afterwards; raises NoDatabase where there is no PostgreSQL."""
    data_dir = place / database
    data_dir.mkdir()
    with _postgresql() if database == POSTGRESQL else _nothing() as url:
        made = Deployment(database, data_dir, url, free_port(), free_port())
        asyncio.run(make(made.settings()))
        yield made


@contextmanager
def _nothing() -> Iterator[str]:
    yield ""


@contextmanager
def _postgresql() -> Iterator[str]:
    """Make a database of its own on the server that BENCH_POSTGRESQL names."""
    server, name = os.environ.get("BENCH_POSTGRESQL", _SERVER), f"latchpin_bench_{os.getpid()}_{uuid.uuid4().hex[:6]}"
    try:
        asyncio.run(_admin(server, f'CREATE DATABASE "{name}"'))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        message = f"PostgreSQL does not answer as BENCH_POSTGRESQL says ({server.rpartition('@')[2]}: {type(error).__name__})"
        raise NoDatabase(message) from error
    try:
        yield f"postgresql+asyncpg://{server.removeprefix('postgresql://')}/{name}"
    finally:
        asyncio.run(_admin(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _admin(server: str, statement: str) -> None:
    connection = await asyncpg.connect(f"{server}/postgres", timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def make(chosen: Settings) -> None:
    """Make the deployment that the settings describe: an organization with an administrator, a Space and its agents."""
    database = Database(chosen, may_create=True)
    await deployment.initialize(chosen, database, upgrade=True)
    nobody = Actor("bench")
    password = await passwords.temporary()
    async with database.transaction() as session:
        created = await organizations.first_administrator(
            session, organization="Bench", full_name="Bench", email="bench@example.com", password=password, temporary=False, by=nobody
        )
        user = created.user
        credential = Credential(CredentialKind.COMMAND_LINE)
        principal = Principal(user.id, user.organization_id, user.full_name, user.email, Group.ADMINISTRATOR, credential)
        by = Actor(user.email, user.id, user.organization_id)
        space = await spaces.create(session, user.organization_id, spaces.SpaceFields(name="Bench"), by=by)
        for number in range(AGENTS):
            await agents.create(session, principal, _DEFINITION.format(number=number), space_id=space.id, by=by)
    await database.close()
