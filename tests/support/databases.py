"""Fresh databases for tests: a copied SQLite file, or a PostgreSQL database made from a template; none stays behind."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import uuid
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg

from latchpin import settings
from latchpin.identity import deployment
from latchpin.storage import Database
from tests.support import shortcuts

shortcuts.take()
POSTGRESQL = os.environ.get("LATCHPIN_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432")
_RUN = f"latchpin_test_{os.getpid()}_{uuid.uuid4().hex[:6]}"


def wait_for(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a thread of its own: a browser test has an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


async def _admin(*statements: str) -> None:
    connection = await asyncpg.connect(f"{POSTGRESQL}/postgres", timeout=30)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@cache
def reachable() -> str | None:
    """Return None where PostgreSQL answers, else what is missing and how to provide it."""
    try:
        wait_for(_admin("SELECT 1"))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        return f"PostgreSQL does not answer at {POSTGRESQL} ({type(error).__name__}); start one there, or set LATCHPIN_TEST_POSTGRESQL"
    return None


async def _begin(url: str, data_dir: Path) -> None:
    chosen = settings.load({}, data_dir=data_dir, database_url=url or None)
    database = Database(chosen, may_create=True)
    try:
        await deployment.initialize(chosen, database, upgrade=True, with_known_secrets=chosen.secrets_file.exists())
    finally:
        await database.close()


class Templates:
    """Deployments without users, begun once a run and copied for each use: the database, and the secrets file beside it.

    All have the same secrets, as the key of the audit chain is one for the process; other templates have others.
    """

    _instances = itertools.count(1)

    def __init__(self, place: Path) -> None:
        self._prefix = f"{_RUN}_{next(self._instances)}"
        self._place = place
        self._secrets = place / "secrets.json"
        self._ready: set[str] = set()
        self._number = 0

    @contextmanager
    def fresh(self, kind: str, data_dir: Path) -> Iterator[str]:
        """Yield the address of a fresh database ("" for the embedded one in `data_dir`, where the secrets are in both cases)."""
        data_dir.mkdir(parents=True, exist_ok=True)
        if kind == "sqlite":
            shutil.copy(self._sqlite(), data_dir / "latchpin.db")
            shutil.copy(self._secrets, data_dir)
            yield ""
            return
        template = self._postgresql()
        shutil.copy(self._secrets, data_dir)
        self._number += 1
        name = f"{self._prefix}_{self._number}"
        # As on SQLite (shortcuts.py), nobody waits for the disk.
        wait_for(_admin(f'CREATE DATABASE "{name}" TEMPLATE "{template}"', f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
        try:
            yield f"postgresql+asyncpg://{POSTGRESQL.removeprefix('postgresql://')}/{name}"
        finally:
            wait_for(_admin(f'DROP DATABASE "{name}" WITH (FORCE)'))

    @contextmanager
    def empty(self, kind: str, data_dir: Path) -> Iterator[str]:
        """Yield the address of an empty database, for tests of migrations."""
        data_dir.mkdir(parents=True, exist_ok=True)
        if kind == "sqlite":
            yield ""
            return
        name = f"{_RUN}_empty_{uuid.uuid4().hex[:6]}"
        wait_for(_admin(f'CREATE DATABASE "{name}"'))
        try:
            yield f"postgresql+asyncpg://{POSTGRESQL.removeprefix('postgresql://')}/{name}"
        finally:
            wait_for(_admin(f'DROP DATABASE "{name}" WITH (FORCE)'))

    def close(self) -> None:
        """Remove the templates."""
        if "postgresql" in self._ready:
            wait_for(_admin(f'DROP DATABASE IF EXISTS "{self._prefix}_template" WITH (FORCE)'))

    def _sqlite(self) -> Path:
        place = self._place / "sqlite"
        if "sqlite" not in self._ready:
            self._make("", place)
            self._ready.add("sqlite")
        return place / "latchpin.db"

    def _postgresql(self) -> str:
        name = f"{self._prefix}_template"
        if "postgresql" not in self._ready:
            wait_for(_admin(f'CREATE DATABASE "{name}"'))
            self._ready.add("postgresql")
            self._make(f"postgresql+asyncpg://{POSTGRESQL.removeprefix('postgresql://')}/{name}", self._place / "postgresql")
        return name

    def _make(self, url: str, place: Path) -> None:
        place.mkdir()
        if self._secrets.exists():
            shutil.copy(self._secrets, place)
        wait_for(_begin(url, place))
        shutil.copy(place / "secrets.json", self._secrets)
