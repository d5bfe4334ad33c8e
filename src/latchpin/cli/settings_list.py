"""`latchpin settings`: every setting, its variable, its value, where that came from, and what it is for."""

from __future__ import annotations

import os
import sys
import textwrap
import tomllib
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import click

from latchpin import settings as deployment_settings
from latchpin.cli import terminal
from latchpin.cli.deployment import data_dir_option, example, json_option, print_json
from latchpin.settings import FROM_FILE, PREFIX, Settings, SettingsError, secret_names, variable


@click.command(epilog=example("latchpin settings --json"))
@data_dir_option
@json_option
def settings(data_dir: Path | None, as_json: bool) -> None:
    """List every setting with its variable, its value, where the value came from, and what it is for.

    A value comes from the environment (LATCHPIN_PORT=9000), else from the file latchpin.toml in the data directory (port = 9000) or
    the one that LATCHPIN_CONFIG names, else it is the default. Secret values are not shown. Where the settings cannot be used, the
    defaults are listed, every problem is printed, and the exit code is 3.
    """
    problems = ""
    try:
        chosen = deployment_settings.load(None, data_dir=data_dir)
    except SettingsError as error:
        problems, chosen = str(error), deployment_settings.load({})
    rows = [_row(spec, chosen, data_dir, is_default=bool(problems)) for spec in fields(Settings)]
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            terminal.write(f"{row['variable']} = {row['value']}  ({row['source']})")
            terminal.write(textwrap.indent(textwrap.fill(str(row["doc"]), 96), "    "))
    if problems:
        terminal.write("\n".join(f"latchpin: {line}" for line in problems.splitlines()), is_error=True)
        sys.exit(3)


def _row(spec: Field[Any], chosen: Settings, data_dir: Path | None, *, is_default: bool) -> dict[str, object]:
    source = "default" if is_default else _source(spec.name, chosen, data_dir)
    value = getattr(chosen, spec.name)
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    if spec.metadata["secret"]:
        text = "not set" if source == "default" else "set"
    return {"name": spec.name, "variable": variable(spec.name), "value": text, "source": source, "doc": spec.metadata["doc"]}


def _source(name: str, chosen: Settings, data_dir: Path | None) -> str:
    if name == "data_dir" and data_dir is not None:
        return "--data-dir"
    key = variable(name)
    if key in os.environ and deployment_settings.is_ours(key, os.environ[key]):
        return "environment"
    by_file = name + FROM_FILE if name in secret_names() else name
    if by_file != name and variable(by_file) in os.environ:
        return variable(by_file)
    file = Path(os.environ.get(PREFIX + "CONFIG") or chosen.data_dir / "latchpin.toml")
    if file.is_file() and {name, by_file} & set(tomllib.loads(file.read_text(encoding="utf-8"))):
        return str(file)
    return "default"
