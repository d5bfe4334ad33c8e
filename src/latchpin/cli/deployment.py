"""How a command finds its deployment, opens it, and reports a refusal.

Exit codes: 0 done, 1 refused (the reason on standard error), 2 wrong usage, 3 the database or the settings cannot be used.
"""

from __future__ import annotations

import asyncio
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

import click

from latchpin import settings
from latchpin.app import prepare
from latchpin.audit import Actor
from latchpin.audit import log as audit_log
from latchpin.audit.actor import command_line
from latchpin.errors import Invalid, LatchpinError, Unavailable
from latchpin.settings import Settings, SettingsError
from latchpin.storage import Database, secrets
from latchpin.storage.migrate import WrongRevision
from latchpin.storage.secrets import Secrets, SecretsError

P = ParamSpec("P")
T = TypeVar("T")

data_dir_option = click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), help="The deployment's data directory (LATCHPIN_DATA_DIR)."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


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
async def opened(data_dir: Path | None) -> AsyncIterator[Deployment]:
    """Open the deployment for one command; brings an embedded database up to date, as `serve` does."""
    chosen = load_settings(data_dir)
    kept = secrets.load_or_create(chosen.secrets_file)
    audit_log.use_key(kept.derive("audit"))
    database = Database(chosen)
    try:
        await prepare(chosen, database, kept)
        yield Deployment(chosen, kept, database)
    finally:
        await database.close()


def asynchronous(command: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Run a coroutine as a command; refusals become one message and an exit code, never a stack trace."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return asyncio.run(command(*args, **kwargs))
        except Invalid as error:
            lines = [f"  {_place(problem)}{problem.field}: {problem.message}" for problem in error.problems]
            fail("\n".join([error.detail, *lines]))
        except (Unavailable, WrongRevision, SecretsError) as error:
            fail(getattr(error, "detail", str(error)), code=3)
        except LatchpinError as error:
            fail(error.detail)

    return run


def fail(message: str, *, code: int = 1) -> NoReturn:
    """End the command with a message on standard error."""
    click.echo(f"latchpin: {message}", err=True)
    sys.exit(code)


def print_json(document: object) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _place(problem: Any) -> str:  # noqa: ANN401  a FieldProblem
    return f"line {problem.line}, " if problem.line else ""
