"""`latchpin secrets`: give new API keys another pepper, while keys under the old one go on working."""

from __future__ import annotations

import base64
import json
import os
import secrets as generator
from pathlib import Path

import click

from latchpin.audit import events, record
from latchpin.cli import terminal
from latchpin.cli.deployment import data_dir_option, example, fail, open_deployment, run_async
from latchpin.identity.deployment import check_secrets
from latchpin.storage.secrets import load


@click.group()
def secrets() -> None:
    """Look after the deployment's secrets file."""


@secrets.command(name="rotate-pepper", epilog=example("latchpin secrets rotate-pepper"))
@data_dir_option
@run_async
async def rotate_pepper(data_dir: Path | None) -> None:
    """Add a pepper to the secrets file and use it for new API keys; keys made before go on working.

    Every process of the deployment must be restarted afterwards, and every further host needs the changed file first: a process that
    has not read it refuses keys made under the new pepper. Make a backup of the file.
    """
    async with open_deployment(data_dir) as deployment:
        was = deployment.secrets.current_pepper
        path = deployment.settings.secrets_file.resolve()
        draft, now = _draft(path)
        try:
            async with deployment.database.transaction() as session:
                await check_secrets(session, load(draft))
                record(session, events.PepperRotated(changes={"pepper_version": (was, now)}), deployment.actor())
        except BaseException:
            draft.unlink()
            raise
        draft.replace(path)
    terminal.write(f"New keys use pepper {now}. Copy {deployment.settings.secrets_file} to every host, then restart every process.")


def _draft(path: Path) -> tuple[Path, int]:
    """Write the file anew beside itself, with one more pepper; returns the draft and the new pepper's version."""
    draft = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        fail(f"{draft} is there already: another rotation is at work, or was interrupted. Remove the file if none is.")
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        document = json.loads(path.read_text(encoding="ascii"))
        version = max(map(int, document["peppers"])) + 1
        document["peppers"][str(version)] = base64.b64encode(generator.token_bytes(32)).decode("ascii")
        document["current_pepper"] = version
        json.dump(document, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    return draft, int(version)
