"""The schema of a database in tests: what differs from the models, and the way back to an earlier revision."""

from __future__ import annotations

from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from latchpin.storage import migrate
from latchpin.storage.models import Base


def differences(connection: Connection) -> list[Any]:
    """Return what Alembic's own comparison finds between the database and the models."""
    context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": is_ours})
    found: list[Any] = compare_metadata(context, Base.metadata)
    return found


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Whether a name in the database is one of our models' and not of the job queue's package."""
    return kind != "table" or not str(name).startswith("procrastinate_")


async def downgrade(engine: AsyncEngine, revision: str) -> None:
    """Bring the database back to a revision."""

    def run(connection: Connection) -> None:
        cfg = migrate.config()
        cfg.attributes["connection"] = connection
        command.downgrade(cfg, revision)

    async with migrate.schema_transaction(engine) as connection:
        await connection.run_sync(run)
