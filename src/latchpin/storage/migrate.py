"""Bringing a database to the schema of this version (Alembic), and saying where it stands."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import latchpin
from latchpin.errors import Unavailable
from latchpin.storage.time_limit import seconds_of, time_limit

if TYPE_CHECKING:  # imported where a migration runs: nearly every process finds its database up to date, and asks only for its revision
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"


class UnsupportedDatabase(Exception):
    """The database responds but cannot be used; the text says why, and what to do."""


class WrongRevision(UnsupportedDatabase):
    """The database has another schema than this version needs; the text says which command to run."""


def config() -> Config:
    """Return Alembic's configuration for this package's migrations."""
    from alembic.config import Config  # noqa: PLC0415  as above

    cfg = Config()
    cfg.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    cfg.set_main_option("path_separator", "os")
    return cfg


@cache
def revisions() -> tuple[str, ...]:
    """Return the revisions that this version of the product knows, the oldest first: a migration's file is named after its revision."""
    names = (each.name for each in (_MIGRATIONS / "versions").iterdir())
    return tuple(sorted(match[1] for name in names if (match := re.fullmatch(r"(\d{4})_\w+\.py", name))))


def head() -> str:
    """Return the revision that this version of the product needs."""
    return revisions()[-1]


async def current(engine: AsyncEngine) -> str | None:
    """Return the database's revision, or None for an empty database.

    Raises Unavailable if it does not respond, UnsupportedDatabase if its encoding is not UTF-8 or a newer version created it.
    """
    try:
        async with time_limit(seconds_of(engine)), engine.connect() as connection:
            await connection.run_sync(_require_utf8)
            return await connection.run_sync(_revision)
    except (DBAPIError, OSError) as error:
        detail = f"The database cannot be reached ({type(error).__name__}). Check LATCHPIN_DATABASE_URL."
        raise Unavailable(detail) from error


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Bring the database to `revision`; safe to run from several processes at once (the later ones find nothing to do).

    Raises Unavailable if the database does not respond, or its lock is held by another process for too long.
    """
    if revision == "head" and await current(engine) == head():
        return
    try:
        async with schema_transaction(engine) as connection:
            await connection.run_sync(_upgrade, revision)
    except (OperationalError, InterfaceError, OSError) as error:
        detail = f"The database cannot be brought up to date now ({type(error).__name__}): it is away, or locked by another program."
        raise Unavailable(detail) from error


@asynccontextmanager
async def schema_transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a transaction in which a migration may replace a table.

    When a table is dropped, SQLite deletes its rows first, and rows that refer to them with ON DELETE CASCADE; so foreign keys are not
    enforced here, which can only be set outside a transaction (https://www.sqlite.org/lang_altertable.html, section 7).
    """
    async with engine.execution_options(latchpin_writes=True).connect() as connection:
        await connection.run_sync(_set_foreign_keys, "OFF")
        try:
            async with connection.begin():
                yield connection
        finally:
            await connection.run_sync(_set_foreign_keys, "ON")


def _set_foreign_keys(connection: Connection, state: Literal["ON", "OFF"]) -> None:
    if connection.dialect.name == "sqlite":
        cursor = connection.connection.cursor()  # the driver's own: through SQLAlchemy a transaction would begin
        cursor.execute(f"PRAGMA foreign_keys = {state}")
        cursor.close()


async def require_head(engine: AsyncEngine) -> None:
    """Raise WrongRevision where the database is not at this version's revision."""
    revision, needed = await current(engine), head()
    if revision != needed:
        message = f"The database is at revision {revision or 'none (it is empty)'}, this version needs {needed}. Run: latchpin db upgrade"
        raise WrongRevision(message)


def _require_utf8(connection: Connection) -> None:
    """Raise UnsupportedDatabase for an encoding other than UTF-8, which could not store every person's name."""
    encoding = "UTF8" if connection.dialect.name == "sqlite" else connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        message = (
            f"The database keeps text as {encoding}, which cannot hold all names. Make one for Latchpin with: "
            "CREATE DATABASE latchpin ENCODING 'UTF8' TEMPLATE template0; and name it in LATCHPIN_DATABASE_URL"
        )
        raise UnsupportedDatabase(message)


def _revision(connection: Connection) -> str | None:
    """Return the database's revision, or None for an empty database; raises WrongRevision for one that this version does not know."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    current: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()
    if current is not None and current not in revisions():
        message = (
            f"The database is at revision {current}, which a newer version of Latchpin made; this one ({latchpin.__version__}) knows up to "
            f"{head()}. Install the newer version, or restore the backup that was made before the upgrade"
        )
        raise WrongRevision(message)
    return current


def _upgrade(connection: Connection, revision: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7202331)")  # one upgrade at a time
    _require_utf8(connection)
    _revision(connection)
    from alembic import command  # noqa: PLC0415  as above

    cfg = config()
    cfg.attributes["connection"] = connection
    command.upgrade(cfg, revision)
