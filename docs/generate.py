"""Writes the reference pages from the code: settings, scopes, audit events, errors, command line.

Run it after a change: `.venv/bin/python docs/generate.py`. `make docs` fails while a page is not what this would write.
"""

from __future__ import annotations

import inspect
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

import click

from latchpin import app, problem_types, secret_forms, settings
from latchpin.api.routing import PERMISSION, api_handlers
from latchpin.audit import events
from latchpin.cli import main as command_line
from latchpin.identity import scopes
from latchpin.settings import Settings, variable
from latchpin.storage import secrets

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
_NOTE = "<!-- Written by docs/generate.py from the code; do not edit. -->"


def pages() -> dict[Path, str]:
    """Return each generated page with its text."""
    with tempfile.TemporaryDirectory() as place:
        application = app.build(settings.load({}, data_dir=Path(place)), secrets.generate())
    contents = {
        "settings.md": _settings(),
        "scopes.md": _scopes(application),
        "audit-events.md": _audit_events(),
        "errors.md": _errors(),
        "command-line.md": _command_line(),
        "secret-forms.md": _secret_forms(),
    }
    return {REFERENCE / name: f"{_NOTE}\n\n" + "\n".join(lines).rstrip() + "\n" for name, lines in contents.items()}


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _settings() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield "A value comes from the environment (`LATCHPIN_PORT=9000`), else from a TOML file (`port = 9000`), else it is the default. The"
    yield "file is `latchpin.toml` in the data directory, or the one that `LATCHPIN_CONFIG` names. Settings are read once, at start. What"
    yield "cannot be used is refused with every problem and its variable; an unknown `LATCHPIN_` variable is refused too."
    yield "What Kubernetes makes of a Service named `latchpin` is passed over: `LATCHPIN_PORT=tcp://...`, `LATCHPIN_SERVICE_HOST`."
    yield "`latchpin settings` shows the values in force and where each came from."
    yield ""
    file_variables = " and ".join(f"`{variable(name + settings.FROM_FILE)}`" for name in sorted(settings.secret_names()))
    yield f"A setting that is a secret may lie in a file of its own, as container platforms and systemd hand them out: {file_variables}"
    yield "name that file. The setting itself and its file together are refused."
    yield ""
    defaults = settings.load({}, data_dir=Path("/DATA"))
    yield from _table(
        ("variable", "default", "values", "meaning"),
        (
            (
                f"`{variable(spec.name)}`",
                _default(spec.name, getattr(defaults, spec.name)),
                _values(spec.metadata["parse"]),
                spec.metadata["doc"],
            )
            for spec in fields(Settings)
        ),
    )


def _default(name: str, value: object) -> str:
    if name == "data_dir":
        return "`latchpin-data`"
    if value in ("", ()):
        return ""
    text = str(value).replace("/DATA", "DATA_DIR").replace("sqlite+aiosqlite:///", "sqlite:///")
    return f"`{text}`"


def _values(parse: object) -> str:
    if not inspect.isfunction(parse):
        return ""
    bound = inspect.getclosurevars(parse).nonlocals
    if "least" in bound:
        return f"{bound['least']:,} to {bound['most']:,}"
    if "words" in bound:
        return ", ".join(f"`{word}`" for word in bound["words"])
    return {"boolean": "yes, no", "path": "path", "text": "text", "host": "host name or address"}.get(parse.__name__, "")


def _secret_forms() -> Iterator[str]:
    yield "# The forms of our secrets"
    yield ""
    yield "For secret scanners, log filters and review. Each secret is a prefix of its own and base62 characters that carry 256 random"
    yield "bits; none fits where another belongs, and the prefix alone tells nobody anything."
    yield ""
    rows = ((f"`{each.prefix}`", each.name, f"`{each.pattern}`", each.lifetime, each.revocation) for each in secret_forms.ALL)
    yield from _table(("prefix", "what it is", "regular expression", "lives", "take it back"), rows)
    yield ""
    yield "All of them at once:"
    yield ""
    yield "```"
    yield secret_forms.ANY
    yield "```"
    yield ""
    yield "An API key also holds a checksum, so a scanner can be sure of it: see [the form of an API key](api-keys.md)."
    yield ""
    yield "Without a prefix, since they live for a minute or stay in one browser: authorization codes and session cookies. Access tokens"
    yield "are JWTs of a quarter of an hour, and begin with `eyJ`; the client id of an app (`app_...`) is no secret."
    yield ""
    yield "Found one where it should not be? Take it back first, then look into what it did: the audit log can be filtered by credential."


def _scopes(application: app.Application) -> Iterator[str]:
    yield "# Scopes"
    yield ""
    yield "A scope says what a credential may be used for. It narrows, and gives its user no right that the user has not got: a request is"
    yield "allowed where the credential carries the scope, **and** the user's group and role in the Space allow it at this moment."
    yield ""
    yield "## Access of an API key"
    yield ""
    ordered = list(scopes.Scope)
    yield from _table(
        ("access", *(f"`{scope}`" for scope in ordered)),
        ((f"`{access}`", *("yes" if scope in members else "" for scope in ordered)) for access, members in scopes.SETS.items()),
    )
    yield ""
    yield "## What each route asks for"
    yield ""
    yield "A route without a scope is for signed-in people only; no API key opens it, whatever its access. A key that lacks the scope gets"
    yield "403 with `errorCode` `insufficient_scope` and the scope that is needed."
    yield ""
    rows = set()
    for path, handler in api_handlers(application.litestar):
        permission = handler.opt[PERMISSION]
        for method in handler.http_methods:
            scope = f"`{permission.scope}`" if permission.scope else "none"
            rows.add((path.replace(":int", ""), method, scope, permission.group.value, permission.role.word if permission.scope else ""))
    yield from _table(
        ("route", "scope", "group", "role in the Space"),
        ((f"`{method} {path}`", scope, group, role) for path, method, scope, group, role in sorted(rows)),
    )


def _audit_events() -> Iterator[str]:
    yield "# Audit events"
    yield ""
    yield "Each event is written in the transaction of the change it tells of. It carries the time, the actor, the credential, the target,"
    yield "the address and user agent, the request's id, the outcome (`done`, `refused` or `failed`), a reason where there is one, and"
    yield "old and new values without secrets. Repeated events, such as uses of one key for one route, are one event with a `count`."
    yield ""
    yield "Read them in the Control Center under **Audit log**, or with `latchpin audit tail --json`. `latchpin audit verify` checks the"
    yield "chain of keyed hashes that every event belongs to."
    yield ""
    yield from _table(
        ("action", "target", "when"),
        ((f"`{each.action}`", (each.target_kind or "").replace("_", " "), _sentence(each)) for each in events.ALL),
    )


def _errors() -> Iterator[str]:
    yield "# Errors"
    yield ""
    yield "Every refusal of the API is a problem document (RFC 9457, `application/problem+json`) with `type`, `title`, `status`, `detail`,"
    yield "`instance`, `errorCode` and `requestId`. `detail` says what to do next. A refused entry has `errors`, one for each field, with"
    yield "`field`, `message`, and `line` and `column` where the entry is a text. A missing scope has `scope`. Give `requestId` to your"
    yield "administrator: it is in the logs and in the audit log."
    yield ""
    yield "`type` is an address of your deployment, such as `https://latchpin.example/errors/insufficient-scope`. It opens a page with what"
    yield "stands here, an example besides, and needs no sign-in; `/errors` lists all of them. Programs compare `errorCode`, which stays as"
    yield "it is."
    yield ""
    yield from _table(
        ("status", "`errorCode`", "error"),
        ((str(each.status), f"`{each.code}`", f"[{each.heading}](#{_anchor(each.heading)})") for each in problem_types.ALL_TYPES),
    )
    for each in problem_types.ALL_TYPES:
        yield from ("", f"## {each.heading}", "", f"{each.status}, `{each.code}`. {each.meaning}", "")
        yield from (f"**Why it happens.** {each.why}", "", f"**What to do next.** {each.advice}")


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _command_line() -> Iterator[str]:
    yield "# Command line"
    yield ""
    yield "Every command finds the deployment as `serve` does: by the `LATCHPIN_*` variables (see [settings](settings.md)), or by"
    yield "`--data-dir` for the embedded database. Commands work while the server serves, take effect at once, and are audited as the"
    yield "command line. Exit codes: 0 done, 1 refused (the reason is on standard error), 2 wrong usage, 3 the database or the settings"
    yield "cannot be used, 130 ended by Ctrl-C. `login`, `logout` and `api` are for people who use a server: they need its address and no"
    yield "deployment, and 3 means that it cannot be reached."
    yield from _command(command_line, "latchpin", 2)


def _command(command: click.Command, name: str, level: int) -> Iterator[str]:
    context = click.Context(command, info_name=name, terminal_width=100, max_content_width=100, help_option_names=["-h", "--help"])
    yield ""
    yield f"{'#' * min(level, 3)} {name}"
    yield ""
    yield "```text"
    yield from (line.rstrip() for line in command.get_help(context).splitlines())
    yield "```"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            subcommand = command.get_command(context, each)
            if subcommand is not None:
                yield from _command(subcommand, f"{name} {each}", level + 1)


def _sentence(thing: type) -> str:
    return " ".join((inspect.getdoc(thing) or "").split())


if __name__ == "__main__":
    for page, content in pages().items():
        page.write_text(content, encoding="utf-8")
        print(f"wrote {page.relative_to(ROOT)}")
