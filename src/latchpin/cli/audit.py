"""`latchpin audit`: read the audit trail, and check that it is whole."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click

from latchpin.audit import chain, trail
from latchpin.audit.chain import Checkpoint, Verification
from latchpin.cli import terminal
from latchpin.cli.deployment import data_dir_option, example, fail, json_option, open_deployment, print_json, run_async
from latchpin.kit import clock
from latchpin.storage.models import AuditEvent

_SECONDS = 1.0
_AT_ONCE = 10_000


@click.group()
def audit() -> None:
    """Read the audit trail, and check that it is whole."""


@audit.command(epilog=example("latchpin audit tail -n 100 --json | grep api_key"))
@data_dir_option
@click.option("-n", "number", type=click.IntRange(0, _AT_ONCE), default=20, show_default=True, help="How many of the newest events.")
@click.option("--follow", is_flag=True, help="Go on printing events as they come, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line.")
@run_async
async def tail(data_dir: Path | None, number: int, follow: bool, as_json: bool) -> None:
    """Print the newest audit events of the whole deployment, the newest last."""
    async with open_deployment(data_dir) as deployment:
        last, limit = 0, number
        if not number:
            async with deployment.database.read() as session:
                last = max((row.id for row in await trail.newest(session, limit=1)), default=0)
        while True:
            async with deployment.database.read() as session:
                rows = await trail.newest(session, after=last, limit=limit) if limit else []
            for row in rows:
                terminal.write(json.dumps(_document(row), ensure_ascii=False) if as_json else _line(row))
                last = row.id
            if not follow:
                return
            limit = _AT_ONCE
            await asyncio.sleep(_SECONDS)


def _checkpoint(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> tuple[Checkpoint, ...]:
    try:
        return tuple(Checkpoint.parse(each) for each in given)
    except ValueError:
        message = "write ID:CHAIN as `latchpin audit verify` and the server's log tell it, such as 1204:5f0c... with all 64 digits"
        raise click.BadParameter(message) from None


@audit.command(epilog=example("latchpin audit verify", "latchpin audit verify --expect $(cat checkpoint.txt)"))
@data_dir_option
@click.option(
    "--expect", "expected", multiple=True, metavar="ID:CHAIN", callback=_checkpoint, help="A checkpoint kept elsewhere; may be repeated."
)
@json_option
@run_async
async def verify(data_dir: Path | None, expected: tuple[Checkpoint, ...], as_json: bool) -> None:
    """Check the whole trail: each event carries a keyed hash over itself and all before it. Exit code 1 where one was changed or removed.

    Prints the newest event's checkpoint. Events cut off at the newest end leave a shorter trail that is whole: keep checkpoints off the
    machine (the server logs one at its start and each day), and give one with --expect.
    """
    async with open_deployment(data_dir) as deployment, deployment.database.read() as session:
        verification = await chain.verify(session, expected)
    if as_json:
        print_json(_verification(verification))
    if verification.first_broken is not None:
        fail(f"The trail does not fit at event {verification.first_broken}: this event, or one before it, was changed or removed.")
    if verification.unmet:
        fail("\n".join(_unmet(each, verification.newest) for each in verification.unmet))
    if not as_json:
        terminal.write(
            f"The trail is whole. Its checkpoint, to keep elsewhere: {verification.newest}"
            if verification.newest
            else "The trail is empty."
        )


def _verification(verification: Verification) -> dict[str, object]:
    return {
        "whole": verification.is_whole,
        "firstBroken": verification.first_broken,
        "newest": verification.newest.id if verification.newest else 0,
        "checkpoint": str(verification.newest) if verification.newest else None,
        "unmet": [str(each) for each in verification.unmet],
    }


def _unmet(expected: Checkpoint, newest: Checkpoint | None) -> str:
    last = newest.id if newest else 0
    if expected.id > last:
        return f"Event {expected.id} is expected and the trail ends at event {last}: its newest events were cut off."
    return f"Event {expected.id} is not the expected one: the trail was cut off before it and went on, or is another deployment's."


def _line(row: AuditEvent) -> str:
    who = row.actor_name if not row.credential_name else f"{row.actor_name} through {row.credential_name}"
    parts = [clock.iso(row.at.replace(microsecond=0)), f"#{row.id}", row.action, row.outcome, f"by {who}"]
    if row.target_name:
        parts.append(f"on {row.target_name}")
    if row.address:
        parts.append(f"from {row.address}")
    if row.count > 1:
        parts.append(f"({row.count} times)")
    if row.reason:
        parts.append(f"[{row.reason}]")
    return "  ".join(parts)


def _document(row: AuditEvent) -> dict[str, object]:
    return {
        "id": row.id,
        "at": clock.iso(row.at),
        "action": row.action,
        "outcome": row.outcome,
        "reason": row.reason,
        "organizationId": row.organization_id,
        "actor": {"id": row.actor_id, "name": row.actor_name},
        "credential": {"kind": row.credential_kind, "id": row.credential_id, "name": row.credential_name},
        "target": {"kind": row.target_kind, "id": row.target_id, "name": row.target_name},
        "address": row.address,
        "userAgent": row.user_agent,
        "requestId": row.request_id,
        "changes": json.loads(row.changes) if row.changes else {},
        "count": row.count,
    }
