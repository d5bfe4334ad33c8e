"""The list of commands, and the group that imports a command only when it runs.

Importing all of them takes most of a second: each brings the database, the authorization server or the HTTP server with it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from latchpin.kit.collector import no_collection


class CommandEntry(NamedTuple):
    """Where a command is defined, and the line that `latchpin --help` shows for it."""

    module: str
    help: str


ALL: Mapping[str, CommandEntry] = {
    "init": CommandEntry("init", "Make the first organization and its administrator, and print a temporary password."),
    "serve": CommandEntry("serve", "Serve the API and the Control Center until Ctrl-C."),
    "worker": CommandEntry("worker", "Execute runs until Ctrl-C."),
    "settings": CommandEntry(
        "settings_list", "List every setting with its variable, its value, where the value came from, and what it is for."
    ),
    "user": CommandEntry("user", "Add users, list them, disable and enable them, reset a password."),
    "key": CommandEntry("key", "Issue, list and revoke API keys."),
    "keys": CommandEntry("signing_keys", "List and replace the keys that sign OAuth tokens (not API keys: those are `latchpin key`)."),
    "agent": CommandEntry("agent", "Save an agent's definition from a file, and list agents."),
    "db": CommandEntry("db", "Bring the database to this version's schema, and say where it stands."),
    "audit": CommandEntry("audit", "Read the audit trail, and check that it is whole."),
    "backup": CommandEntry("backup", "Copy the database and the secrets into files, while the server runs."),
    "secrets": CommandEntry("secrets", "Look after the deployment's secrets file."),
    "login": CommandEntry("login", "Sign in at a server by entering a code in a browser, on this computer or another (RFC 8628)."),
    "logout": CommandEntry("login", "End the sign-in at the server and remove its tokens from this computer."),
    "api": CommandEntry(
        "api", "Call PATH of the server's API as the user who signed in with `latchpin login`, and print the answer's JSON."
    ),
    "demo": CommandEntry("demo", "Make a deployment with believable data where there is none, and serve it on 127.0.0.1."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported by name; its own help and completion import none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the names in the order of the list."""
        return list(ALL)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  as above
        """Import and return a command, or None where there is none of this name."""
        entry = ALL.get(cmd_name)
        if entry is None:
            return None
        name = f"latchpin.cli.{entry.module}"
        if name not in sys.modules:
            with no_collection():
                import_module(name)
        command: click.Command = getattr(sys.modules[name], cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  as above
        """Write the commands' section of the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in ALL.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name, or an option of the group."""
        completions: list[Any] = [CompletionItem(name, help=entry.help) for name, entry in ALL.items() if name.startswith(incomplete)]
        return completions + click.Command.shell_complete(self, ctx, incomplete)
