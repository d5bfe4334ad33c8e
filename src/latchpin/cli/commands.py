"""The list of commands."""

from __future__ import annotations

import click

from latchpin.cli.demo import demo
from latchpin.cli.init import init
from latchpin.cli.key import key
from latchpin.cli.serve import serve

ALL: dict[str, click.Command] = {command.name or "": command for command in (init, serve, key, demo)}
