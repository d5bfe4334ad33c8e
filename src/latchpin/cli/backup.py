"""`latchpin backup`: the database and the secrets, each in a file of its own."""

from __future__ import annotations

from pathlib import Path

import click

from latchpin.cli import terminal
from latchpin.cli.deployment import data_dir_option, example, fail, load_settings
from latchpin.identity.deployment import NoDeployment, require_initialized
from latchpin.storage import backup as copies
from latchpin.storage.secrets import SecretsError
from latchpin.storage.secrets import load as load_secrets

SECRETS_SUFFIX = ".secrets.json"


@click.command(epilog=example("latchpin backup latchpin-backup.db"))
@data_dir_option
@click.option("--without-secrets", is_flag=True, help="Copy the database alone: the secrets file changes only with `latchpin secrets`.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(data_dir: Path | None, without_secrets: bool, file: Path) -> None:
    """Copy the database and the secrets into files, while the server runs.

    The database goes into FILE, the secrets into FILE.secrets.json, both with mode 0600. Neither file may be there already. An embedded
    database is copied as SQLite's own file, PostgreSQL by pg_dump in its custom format. The deployment is not changed, and not upgraded.
    Whoever has both files can test guesses of API keys: keep them in two places. The files of runs are not copied.
    """
    chosen = load_settings(data_dir)
    beside = file.with_name(file.name + SECRETS_SUFFIX)
    try:
        require_initialized(chosen)
        load_secrets(chosen.secrets_file)  # a damaged one is no backup
        copies.require_free(file, *(() if without_secrets else (beside,)))
        copies.database(chosen, file)
        if not without_secrets:
            copies.secrets(chosen, beside)
    except (copies.BackupError, NoDeployment, SecretsError) as error:
        fail(str(error), code=3)
    terminal.write(f"The database is in {file}.")
    if not without_secrets:
        terminal.write(f"The secrets are in {beside}. Move them to another place, where you keep passwords.")
