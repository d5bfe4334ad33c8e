"""Copies of a deployment's database and secrets, made while the server runs; only their owner can ever read them.

A copy gets its final name when it is complete: an interrupted one leaves a file that ends in `.partial`, which the next one replaces.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from latchpin.settings import Settings
from latchpin.storage.sqlite_file import sqlite_file

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "PGPASSFILE", "PGSERVICEFILE", "PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY")


class BackupError(Exception):
    """The copy could not be made; the text says why and what to do, and holds no password."""


def database(settings: Settings, target: Path) -> None:
    """Copy the database into a new file (mode 0600): SQLite's own file, or pg_dump's custom format. Raises BackupError."""
    _once(target, _sqlite(settings) if settings.is_sqlite else _postgresql(settings, target))


def secrets(settings: Settings, target: Path) -> None:
    """Copy the secrets file into a new file (mode 0600). Raises BackupError."""

    def copy(draft: Path) -> None:
        draft.write_bytes(settings.secrets_file.read_bytes())

    _once(target, copy)


def require_free(*targets: Path) -> None:
    """Raise BackupError if one of these files exists already: a backup is never overwritten."""
    for target in targets:
        if target.exists():
            message = f"{target} is there already. Name another file, or remove it."
            raise BackupError(message)


def _once(target: Path, write: Callable[[Path], None]) -> None:
    require_free(target)
    try:
        with _draft(target) as draft:
            write(draft)
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            os.link(draft, target)  # unlike a rename, never replaces a file that was created meanwhile
    except OSError as error:
        message = f"{target} cannot be written ({error.strerror})."
        raise BackupError(message) from error


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """Create an empty file (0600) beside the target, and remove it when the block ends."""
    draft = target.with_name(target.name + ".partial")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _sqlite(settings: Settings) -> Callable[[Path], None]:
    """Copy one consistent state: a plain copy of the file could be taken in the middle of a change, and lacks what is in the WAL."""

    def copy(draft: Path) -> None:
        source = f"{sqlite_file(settings.database_url).as_uri()}?mode=rw"
        try:
            with closing(sqlite3.connect(source, uri=True, isolation_level=None, timeout=10)) as connection:
                connection.execute("VACUUM INTO ?", (str(draft),))  # SQLite accepts an empty file and keeps its mode
        except sqlite3.Error as error:
            message = f"The database cannot be copied: {error}."
            raise BackupError(message) from error

    return copy


def _postgresql(settings: Settings, target: Path) -> Callable[[Path], None]:
    """Have pg_dump write it. The address is passed in its environment, because all users of a machine can read command lines."""
    url = make_url(settings.database_url)
    variables = {
        "PGHOST": url.host or url.query.get("host"),
        "PGPORT": url.port or url.query.get("port"),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        "PGSSLMODE": url.query.get("sslmode"),
    }
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {name: str(value) for name, value in variables.items() if value}
    program = shutil.which("pg_dump")
    if program is None:
        message = (
            "pg_dump is not on this machine; it belongs to the client programs of PostgreSQL. Install them, or run on another machine: "
            f"(umask 077; pg_dump --format=custom --file={target.name} {url.database}), and copy the secrets file."
        )
        raise BackupError(message)

    def dump(draft: Path) -> None:
        with draft.open("wb") as file:
            command = [program, "--format=custom", "--no-password"]
            ran = subprocess.run(command, env=environment, stdout=file, stderr=subprocess.PIPE, check=False)  # noqa: S603  pg_dump
        if ran.returncode != 0:
            message = f"pg_dump failed: {' '.join(ran.stderr.decode(errors='replace').split())}"
            raise BackupError(message)

    return dump
