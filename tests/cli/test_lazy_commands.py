"""The command line answers `--help` and completions without importing what its commands need."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from latchpin.cli import main
from latchpin.cli.commands import ALL
from tests.cli.conftest import EMAIL, CommandLine

HEAVY = ("sqlalchemy", "litestar", "alembic", "granian", "httpx", "jinja2", "cryptography")


@pytest.mark.parametrize("run", ["main(['--help'])", "main(['--version'])", "main.shell_complete(click.Context(main), '')"])
def test_help_and_completion_import_no_library_that_a_command_needs(run: str) -> None:
    """The database, the HTTP server and the OAuth libraries are imported by the command that runs."""
    code = f"""
import sys, click
from latchpin.cli import main
try:
    {run}
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.splitlines()[-1] == "[]"


def test_a_command_on_a_database_that_is_up_to_date_imports_nothing_for_migrations_logs_or_postgresql(embedded: CommandLine) -> None:
    """`latchpin key list` finds the database at the newest revision, writes no log line, and asks no other database."""
    embedded.init()
    code = f"""
import sys
from latchpin.cli import main
try:
    main(["key", "list", "--user", {EMAIL!r}, "--data-dir", {str(embedded.data_dir)!r}])
except SystemExit as end:
    assert not end.code
print([name for name in ("alembic", "structlog", "asyncpg", "litestar", "granian", "httpx") if name in sys.modules])
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.splitlines()[-1] == "[]"


def test_the_list_of_commands_says_what_each_command_says() -> None:
    """The line in `latchpin --help` is the first sentence of the command's own help."""
    context = click.Context(main)

    for name, lazy_command in ALL.items():
        command = main.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str(limit=500).rstrip(".") == lazy_command.help.rstrip("."), name


def test_completion_offers_the_commands_that_begin_so() -> None:
    """Completing `ke` offers `key` and `keys` with their help."""
    offered = main.shell_complete(click.Context(main), "ke")

    assert [(each.value, each.help) for each in offered] == [("key", ALL["key"].help), ("keys", ALL["keys"].help)]
