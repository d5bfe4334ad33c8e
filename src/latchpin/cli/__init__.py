"""The operator's command line, on the same database as the server and safe to use while it serves."""

from __future__ import annotations

import click

import latchpin
from latchpin.cli import commands


@click.group(commands=commands.ALL, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(latchpin.__version__, prog_name="latchpin")
def main() -> None:
    """Latchpin, a control center for web-data agents: serve it and look after it.

    Every command finds the deployment as `serve` does: by the LATCHPIN_* environment variables, or by --data-dir for the embedded
    database. `latchpin settings` lists them. Start with `latchpin init`, then `latchpin serve`.
    """


__all__ = ["main"]
