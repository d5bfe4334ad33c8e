"""The list of commands."""

from __future__ import annotations

import click

from latchpin.cli.agent import agent
from latchpin.cli.api import api
from latchpin.cli.audit import audit
from latchpin.cli.db import db
from latchpin.cli.demo import demo
from latchpin.cli.init import init
from latchpin.cli.key import key
from latchpin.cli.login import login, logout
from latchpin.cli.secrets import secrets
from latchpin.cli.serve import serve
from latchpin.cli.settings_list import settings
from latchpin.cli.signing_keys import keys
from latchpin.cli.user import user

ALL: dict[str, click.Command] = {
    command.name or "": command for command in (init, serve, settings, user, key, keys, agent, db, audit, secrets, login, logout, api, demo)
}
