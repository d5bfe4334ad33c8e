"""Bringing a deployment up: its schema, its row, and the secrets that belong to it. The server and every command do it first."""

from __future__ import annotations

from latchpin.identity import organizations
from latchpin.settings import Settings
from latchpin.storage import Database, migrate
from latchpin.storage.secrets import Secrets


async def bring_up(chosen: Settings, database: Database, kept: Secrets) -> None:
    """Bring the embedded database up to date, or refuse a PostgreSQL database at another revision.

    Raises WrongRevision, SecretsError, Unavailable.
    """
    if chosen.is_sqlite:
        await migrate.upgrade(database.engine)
    else:
        await migrate.require_head(database.engine)
    async with database.transaction() as session:
        await organizations.prepare(session, kept)
