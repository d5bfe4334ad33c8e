"""Behind a pooler that lends out a server connection for one transaction: everything works, with nothing to set."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import pytest
from sqlalchemy import text

from latchpin import settings
from latchpin.storage import Database, migrate
from tests.conftest import missing
from tests.support import databases
from tests.support.people import Organization
from tests.support.pgbouncer import pooled
from tests.support.server import served

pytestmark = pytest.mark.postgresql


@pytest.fixture
def behind(templates: databases.Templates, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh migrated database behind PgBouncer."""
    if lack := databases.reachable():
        missing("tests on PostgreSQL", lack)
    with templates.fresh("postgresql", tmp_path) as url, pooled(url) as address:
        yield address


def test_many_callers_share_few_connections_of_a_pooler(behind: str, tmp_path: Path) -> None:
    """Lists, which ask outside a transaction otherwise, and changes go on side by side; a revoked key is refused at once."""
    with served(behind, tmp_path) as server:
        organization = Organization(server)
        organization.agent()
        key, doomed = organization.key(), organization.key()

        def call(number: int) -> int:
            if number % 5 == 0:
                organization.space(f"Space {number}")
            return organization.get(("/agent/all", "/spaces")[number % 2], key).status_code

        with ThreadPoolExecutor(12) as pool:
            assert set(pool.map(call, range(120))) == {200}
        assert organization.get("/agent/all", doomed).status_code == 200
        organization.revoke(doomed)
        assert organization.get("/agent/all", doomed).status_code == 401
        assert not server.failure()


def test_a_database_is_made_behind_a_pooler(templates: databases.Templates, tmp_path: Path) -> None:
    """From nothing to this version's schema."""
    if lack := databases.reachable():
        missing("tests on PostgreSQL", lack)

    async def make(address: str) -> str | None:
        database = Database(settings.load({}, data_dir=tmp_path, database_url=address))
        try:
            await migrate.upgrade(database.engine)
            return await migrate.current(database.engine)
        finally:
            await database.close()

    with templates.empty("postgresql", tmp_path) as url, pooled(url) as address:
        assert anyio.run(make, address) == migrate.head()


def test_without_a_pooler_statements_stay_prepared(templates: databases.Templates, tmp_path: Path) -> None:
    """A direct connection is told from a pooler's, so that it keeps its speed."""
    if lack := databases.reachable():
        missing("tests on PostgreSQL", lack)

    async def prepared(url: str) -> int:
        database = Database(settings.load({}, data_dir=tmp_path, database_url=url))
        try:
            async with database.read() as session:
                await session.execute(text("SELECT 1"))
                return await session.scalar(text("SELECT count(*) FROM pg_prepared_statements")) or 0
        finally:
            await database.close()

    with templates.fresh("postgresql", tmp_path) as url:
        assert anyio.run(prepared, url) > 0
        with pooled(url) as address:
            assert anyio.run(prepared, address) == 0
