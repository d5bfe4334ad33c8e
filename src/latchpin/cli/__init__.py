"""The operator's command line, on the same database as the server and safe to use while it serves."""

from __future__ import annotations

import io
import sys

import click

import latchpin
from latchpin.cli.commands import LazyGroup

_EPILOG = """\b
The way from nothing to a key:
  latchpin init
  latchpin key create --user ada@example.com
  latchpin serve

\b
Exit codes: 0 done, 1 refused (the reason is on standard error), 2 wrong usage,
3 the database or the settings cannot be used.
"""


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=_EPILOG)
@click.version_option(latchpin.__version__, prog_name="latchpin")
def main() -> None:
    """Latchpin, a control center for web-data agents: serve it and look after it.

    Every command finds the deployment as `serve` does: by the LATCHPIN_* environment variables, or by --data-dir for the embedded
    database. `latchpin settings` lists them. Commands work while the server serves, take effect at once, and are audited.

    For people who use a server there are `login`, `logout` and `api`: they need its address and no deployment.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that a pipe's encoding lacks is written as \u017c, and ends no command
        sys.stdout.reconfigure(errors="backslashreplace")


__all__ = ["main"]
