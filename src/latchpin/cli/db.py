"""`latchpin db`: bring the database to this version's schema, and say where it stands."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from latchpin.cli.deployment import asynchronous, connected, data_dir_option, example, json_option, load_settings, print_json
from latchpin.identity.deployment import bring_up
from latchpin.storage import migrate


@click.group()
def db() -> None:
    """Bring the database to this version's schema, and say where it stands."""


@db.command(epilog=example("LATCHPIN_DATABASE_URL=postgresql://latchpin@db.example/latchpin latchpin db upgrade"))
@data_dir_option
@asynchronous
async def upgrade(data_dir: Path | None) -> None:
    """Bring the database to the schema of this version; does nothing where it is there already.

    Needed on PostgreSQL, before `latchpin serve` of a new version. The embedded database is upgraded by `serve` itself. Make a backup
    first.
    """
    async with connected(load_settings(data_dir)) as deployment:
        was = await migrate.current(deployment.database.engine)
        await migrate.upgrade(deployment.database.engine)
        await bring_up(deployment.settings, deployment.database, deployment.secrets)
    now = migrate.head()
    click.echo(f"The database is at revision {now} already." if was == now else f"Upgraded from {was or 'empty'} to revision {now}.")


@db.command(epilog=example("latchpin db current --json"))
@data_dir_option
@json_option
@asynchronous
async def current(data_dir: Path | None, as_json: bool) -> None:
    """Print the database's revision and the one this version needs; exit code 1 where they differ."""
    async with connected(load_settings(data_dir)) as deployment:
        found = await migrate.current(deployment.database.engine)
    needed = migrate.head()
    if as_json:
        print_json({"revision": found, "needed": needed, "upToDate": found == needed})
    elif found == needed:
        click.echo(f"Revision {found}, as this version needs.")
    else:
        click.echo(f"Revision {found or 'none (the database is empty)'}; this version needs {needed}. Run: latchpin db upgrade")
    if found != needed:
        sys.exit(1)
