"""How a command finds its deployment, opens it, and reports a refusal.

Exit codes: 0 done, 1 refused (the reason on standard error), 2 wrong usage, 3 the database or the settings cannot be used, 130 Ctrl-C.
"""

from __future__ import annotations

import asyncio
import codecs
import functools
import getpass
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar
from urllib.parse import urlsplit

import click

from latchpin import settings
from latchpin.audit import Actor, chain
from latchpin.audit.actor import command_line
from latchpin.cli import terminal
from latchpin.errors import Invalid, LatchpinError, Unavailable
from latchpin.identity import deployment as deployments
from latchpin.identity.deployment import NoDeployment
from latchpin.settings import Settings, SettingsError
from latchpin.storage import Database, migrate
from latchpin.storage.migrate import UnsupportedDatabase
from latchpin.storage.secrets import Secrets, SecretsError
from latchpin.storage.sqlite_file import sqlite_file

P = ParamSpec("P")
T = TypeVar("T")

data_dir_option = click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), help="The deployment's data directory (LATCHPIN_DATA_DIR)."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def example(*lines: str) -> str:
    """Return the epilog of a command's help that shows how it is used, kept line by line."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


@dataclass(frozen=True, slots=True)
class Deployment:
    """An opened deployment."""

    settings: Settings
    secrets: Secrets
    database: Database

    def actor(self, organization_id: int | None = None) -> Actor:
        """Return the audit trail's view of whoever runs this command."""
        return command_line(operator(), organization_id)


def operator() -> str:
    """Return the operating system's name of whoever runs this command."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def load_settings(data_dir: Path | None = None, **overrides: object) -> Settings:
    """Read the settings, or end with exit code 3 and every problem named."""
    try:
        return settings.load(None, data_dir=data_dir, **overrides)
    except SettingsError as error:
        fail(str(error), code=3)


@asynccontextmanager
async def open_deployment(data_dir: Path | None) -> AsyncIterator[Deployment]:
    """Open an existing deployment for one command; brings an embedded database up to date, as `serve` does. Makes nothing.

    Raises NoDeployment, WrongRevision, SecretsError, Unavailable with what to do.
    """
    chosen = load_settings(data_dir)
    deployments.require_initialized(chosen)
    async with database(chosen) as db:
        secrets = await deployments.open_(chosen, db)
        chain.use_key(secrets.derive("audit"))
        yield Deployment(chosen, secrets, db)


@asynccontextmanager
async def initialized(chosen: Settings, *, upgrade: bool = False, with_known_secrets: bool = False) -> AsyncIterator[Deployment]:
    """Open the deployment for one of the commands that make it where there is none yet; raises as `open_deployment` does.

    `upgrade` brings PostgreSQL up to date as well, `with_known_secrets` makes an empty database anew beside secrets that are there.
    """
    if not with_known_secrets and chosen.secrets_file.exists():
        deployments.require_initialized(chosen)
    if chosen.is_sqlite:
        _require_writable(chosen)
    async with database(chosen, may_create=True) as db:
        secrets = await deployments.initialize(chosen, db, upgrade=upgrade, with_known_secrets=with_known_secrets)
        chain.use_key(secrets.derive("audit"))
        yield Deployment(chosen, secrets, db)


@asynccontextmanager
async def database(chosen: Settings, *, may_create: bool = False) -> AsyncIterator[Database]:
    """Open the database alone, whatever its revision is; raises Unavailable with what to do."""
    db = Database(chosen, may_create=may_create)
    try:
        await _require_database(db, chosen)
        yield db
    finally:
        await db.close()


async def _require_database(database: Database, chosen: Settings) -> None:
    """Ask the database for its revision, so that one that cannot be used is told of in its own words."""
    try:
        await migrate.current(database.engine)
    except Unavailable as error:
        cause = error.__cause__
        reason = " ".join(str(getattr(cause, "orig", None) or cause or "").split()) or "no answer"
        place = f"The file {sqlite_file(chosen.database_url)}" if chosen.is_sqlite else f"The database at {_database_address(chosen)}"
        message = f"{place} cannot be used: {reason}. Check LATCHPIN_DATA_DIR and LATCHPIN_DATABASE_URL."
        raise Unavailable(message) from error


def _database_address(chosen: Settings) -> str:
    url = urlsplit(chosen.database_url)  # without user and password
    return f"{url.hostname or 'localhost'}:{url.port or 5432}{url.path}"


def _require_writable(chosen: Settings) -> None:
    """Make the data directory (0700) where there is none, and refuse one that this user cannot write."""
    file = sqlite_file(chosen.database_url)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        detail = f"LATCHPIN_DATA_DIR: {file.parent} cannot be made ({error.strerror})."
        raise Unavailable(detail) from error
    for place in (file.parent, file):
        if place.exists() and not os.access(place, os.R_OK | os.W_OK):
            detail = f"{place} cannot be read and written by {operator()}. Run the command as the user that runs the server."
            raise Unavailable(detail)


def run_async(command: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Run a coroutine as a command; refusals become one message and an exit code, never a stack trace."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return asyncio.run(command(*args, **kwargs))
        except Invalid as error:
            lines = [f"  {_line_prefix(problem)}{problem.field}: {problem.message}" for problem in error.problems]
            fail("\n".join([error.detail, *lines]))
        except (Unavailable, NoDeployment, UnsupportedDatabase, SecretsError) as error:
            fail(getattr(error, "detail", str(error)), code=3)
        except LatchpinError as error:
            fail(error.detail)
        except KeyboardInterrupt:
            sys.exit(130)

    return run


def fail(message: str, *, code: int = 1) -> NoReturn:
    """End the command with a message on standard error."""
    terminal.write(f"latchpin: {message}", is_error=True)
    sys.exit(code)


def print_json(document: object) -> None:
    """Print one JSON document, with names as they are where standard output is UTF-8."""
    is_unicode = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
    terminal.write(json.dumps(document, indent=2, ensure_ascii=not is_unicode))


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print rows in columns, the first row being their names; nothing where there are no others."""
    if len(rows) < 2:  # noqa: PLR2004  the names alone
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        terminal.write("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _line_prefix(problem: Any) -> str:  # noqa: ANN401  a FieldProblem
    return f"line {problem.line}, " if problem.line else ""
