"""`latchpin keys`: the keys that access tokens are signed with. API keys are `latchpin key`."""

from __future__ import annotations

from pathlib import Path

import click

from latchpin.cli import terminal
from latchpin.cli.deployment import data_dir_option, example, json_option, open_deployment, print_json, print_table, run_async
from latchpin.identity import signing_keys
from latchpin.kit import clock
from latchpin.storage.models import SigningKey


@click.group()
def keys() -> None:
    """List and replace the keys that sign OAuth tokens (not API keys: those are `latchpin key`).

    Nothing needs to be done here: the first key is made at the first start, and a new one every LATCHPIN_KEY_ROTATION_DAYS.
    """


@keys.command(name="list", epilog=example("latchpin keys list"))
@data_dir_option
@json_option
@run_async
async def list_(data_dir: Path | None, as_json: bool) -> None:
    """List the published signing keys, the oldest first: which signs, which comes next, and until when each is published."""
    async with open_deployment(data_dir) as deployment, deployment.database.read() as session:
        rows = [_to_json(row) for row in await signing_keys.published(session)]
    if as_json:
        print_json(rows)
        return
    columns = ("kid", "algorithm", "state", "signsFrom", "signsUntil", "leaves")
    lines = [tuple(str(row[column] or "") for column in columns) for row in rows]
    print_table([("key", "algorithm", "state", "signs from", "signs until", "published until"), *lines])


@keys.command(epilog=example("latchpin keys rotate", "latchpin keys rotate --now"))
@data_dir_option
@click.option("--now", "at_once", is_flag=True, help="A key was exposed: sign with a new one and take all others down this moment.")
@json_option
@run_async
async def rotate(data_dir: Path | None, at_once: bool, as_json: bool) -> None:
    """Replace the signing key, in a server that is running too.

    The new key is published now and signs in 20 minutes, when everybody who checks our tokens knows it; the present one stays published
    until its last token has ended. No request is lost.

    With --now, every access token of the deployment is refused by our API from the moment this command ends, and by others when they
    fetch the keys again, ten minutes later at most. Apps refresh, and nobody has to sign in again.
    """
    async with open_deployment(data_dir) as deployment, deployment.database.transaction() as session:
        kid = await signing_keys.rotate(session, deployment.secrets, deployment.settings, by=deployment.actor(), at_once=at_once)
        document = next(_to_json(row) for row in await signing_keys.published(session) if row.kid == kid)
    if as_json:
        print_json(document)
    elif at_once:
        terminal.write(f"{kid} signs from now on. All other keys are taken down, and tokens that they signed are refused.")
    else:
        terminal.write(f"{kid} is published, and signs from {document['signsFrom']} on.")


def _to_json(row: SigningKey) -> dict[str, object]:
    at = clock.now()
    if row.signs_from > at:
        state = "next"
    elif row.signs_until is None or row.signs_until > at:
        state = "signs"
    else:
        state = "checks"
    return {
        "kid": row.kid,
        "algorithm": row.algorithm,
        "state": state,
        "created": clock.iso(row.created_at),
        "signsFrom": clock.iso(row.signs_from),
        "signsUntil": clock.iso(row.signs_until) if row.signs_until else None,
        "leaves": clock.iso(row.published_until) if row.published_until else None,
    }
