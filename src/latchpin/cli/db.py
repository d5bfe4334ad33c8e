"""`latchpin db`: bring the database to this version's schema, and say where it stands."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from latchpin.cli import terminal
from latchpin.cli.deployment import data_dir_option, database, example, initialized, json_option, load_settings, print_json, run_async
from latchpin.identity.deployment import require_initialized
from latchpin.settings import Settings
from latchpin.storage import migrate
from latchpin.storage.sqlite_file import sqlite_file


@click.group()
def db() -> None:
    """Bring the database to this version's schema, and say where it stands."""


@db.command(epilog=example("LATCHPIN_DATABASE_URL=postgresql://latchpin@db.example/latchpin latchpin db upgrade"))
@data_dir_option
@click.option("--new-deployment", is_flag=True, help="Begin anew with an empty database beside a secrets file that is there.")
@run_async
async def upgrade(data_dir: Path | None, new_deployment: bool) -> None:
    """Bring the database to the schema of this version; does nothing where it is there already.

    Needed on PostgreSQL, before `latchpin serve` of a new version. The embedded database is upgraded by `serve` itself. Make a backup
    first.
    """
    chosen = load_settings(data_dir)
    was = await _current(chosen)
    async with initialized(chosen, upgrade=True, with_known_secrets=new_deployment):
        pass
    now = migrate.head()
    terminal.write(f"The database is at revision {now} already." if was == now else f"Upgraded from {was or 'empty'} to revision {now}.")


@db.command(epilog=example("latchpin db current --json"))
@data_dir_option
@json_option
@run_async
async def current(data_dir: Path | None, as_json: bool) -> None:
    """Print the database's revision and the one this version needs; exit code 1 where they differ."""
    chosen = load_settings(data_dir)
    require_initialized(chosen)
    revision = await _current(chosen)
    needed = migrate.head()
    if as_json:
        print_json({"revision": revision, "needed": needed, "upToDate": revision == needed})
    elif revision == needed:
        terminal.write(f"Revision {revision}, as this version needs.")
    else:
        terminal.write(f"Revision {revision or 'none (the database is empty)'}; this version needs {needed}. Run: latchpin db upgrade")
    if revision != needed:
        sys.exit(1)


async def _current(chosen: Settings) -> str | None:
    if chosen.is_sqlite and not sqlite_file(chosen.database_url).exists():
        return None
    async with database(chosen) as db:
        return await migrate.current(db.engine)
