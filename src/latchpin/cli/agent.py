"""`latchpin agent`: save an agent's definition from a file, and list agents."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import click

from latchpin.automation import agent_lists, agents, definitions
from latchpin.automation.agent_lists import AgentRow, Filters
from latchpin.automation.definitions import DefinitionError
from latchpin.cli import terminal
from latchpin.cli.actors import find_user, principal
from latchpin.cli.deployment import (
    Deployment,
    data_dir_option,
    example,
    fail,
    json_option,
    open_deployment,
    print_json,
    print_table,
    run_async,
)
from latchpin.identity import spaces
from latchpin.identity.principal import Principal
from latchpin.kit import plain_text
from latchpin.storage import Session
from latchpin.storage.models import User

user_option = click.option("--user", "email", required=True, help="E-mail of the user who acts; the user's rights decide.")


@click.group()
def agent() -> None:
    """Save an agent's definition from a file, and list agents."""


@agent.command(
    epilog=example('latchpin agent apply book-prices.yaml --space Retail --user ada@example.com --comment "Follow the new layout"')
)
@data_dir_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@user_option
@click.option("--space", "space", help="Name of the Space where the agent lives.")
@click.option("--personal", is_flag=True, help="In the user's personal Space; so it is where no Space is named.")
@click.option("--comment", help="What changed, for the list of versions.")
@json_option
@run_async
async def apply(
    data_dir: Path | None, file: Path, email: str, space: str | None, personal: bool, comment: str | None, as_json: bool
) -> None:
    """Make an agent from FILE, or add a version to the agent of the same name in the same place.

    Problems of the definition are printed as FILE:LINE:COLUMN: FIELD: MESSAGE, and nothing is changed. The same text again adds no
    version. FILE may be `-` for standard input.
    """
    if space is not None and personal:
        message = "--space and --personal exclude each other."
        raise click.UsageError(message)
    text, name = _read(file)
    async with open_deployment(data_dir) as deployment, deployment.database.transaction() as session:
        user = await find_user(session, email)
        document = await _save(session, deployment, user, text, name, space=space, comment=comment)
    if as_json:
        print_json(document)
    else:
        place = f"the Space {space}" if space is not None else f"the personal Space of {email}"
        terminal.write(
            f"{str(document['result']).capitalize()}: {document['name']}, id {document['id']}, version {document['version']}, in {place}."
        )


async def _save(
    session: Session, deployment: Deployment, user: User, text: str, name: str, *, space: str | None, comment: str | None
) -> dict[str, object]:
    who, by = principal(user), deployment.actor(user.organization_id)
    space_id = None if space is None else await _space_id(session, who, space)
    existing = await agents.by_name(session, who, name, space_id)
    if existing is None:
        saved_agent, result = await agents.create(session, who, text, space_id=space_id, comment=comment, by=by), "created"
    else:
        before = existing.version
        held = await agents.get_for_change(session, who, existing.id)
        saved_agent = await agents.change(session, held, text, comment=comment, by=by)
        result = "unchanged" if saved_agent.version == before else "changed"
    return {"id": saved_agent.id, "name": saved_agent.name, "version": saved_agent.version, "result": result}


@agent.command(name="list", epilog=example("latchpin agent list --user ada@example.com"))
@data_dir_option
@user_option
@click.option("--archived", is_flag=True, help="Archived agents too.")
@json_option
@run_async
async def list_(data_dir: Path | None, email: str, archived: bool, as_json: bool) -> None:
    """List the agents that a user may see, by name."""
    async with open_deployment(data_dir) as deployment, deployment.database.read() as session:
        who = principal(await find_user(session, email))
        names = {each.id: each.name for each in await spaces.list_all(session, who)}
        agent_rows = await agent_lists.list_all(session, who, Filters(archived=None if archived else False))
        rows = [_to_json(row, names) for row in agent_rows]
    if as_json:
        print_json(rows)
        return
    lines = [(str(r["id"]), str(r["name"]), str(r["space"] or "(personal)"), str(r["version"]), _state(r)) for r in rows]
    print_table([("id", "name", "space", "version", ""), *lines])


def _read(file: Path) -> tuple[str, str]:
    """Return the text of a sound definition and its agent's name, or end the command with every problem."""
    file_name = "<stdin>" if str(file) == "-" else str(file)
    try:
        raw = sys.stdin.buffer.read(definitions.MAX_BYTES + 1) if str(file) == "-" else file.read_bytes()
    except OSError as error:
        fail(f"{file_name} cannot be read ({error.strerror}).")
    try:
        parsed = definitions.parse(raw)
    except DefinitionError as error:
        _refuse(file_name, error)
    return raw.decode("utf-8-sig"), parsed.name


def _refuse(file_name: str, error: DefinitionError) -> NoReturn:
    for each in error.problems:
        field = f"{each.field}: " if each.field else ""
        terminal.write(f"{file_name}:{each.line}:{each.column}: {field}{each.message}", is_error=True)
    sys.exit(1)


async def _space_id(session: Session, who: Principal, name: str) -> int:
    visible = await spaces.list_all(session, who)
    ids = [each.id for each in visible if plain_text.fold(each.name) == plain_text.fold(plain_text.normalize(name))]
    if len(ids) == 1:
        return ids[0]
    names = ", ".join(each.name for each in visible) or "none"
    return fail(f"{who.email} sees {'several Spaces' if ids else 'no Space'} called {name}. Spaces of this user: {names}.")


def _to_json(row: AgentRow, names: dict[int, str]) -> dict[str, object]:
    return {
        "id": row.id,
        "name": row.name,
        "space": None if row.space_id is None else names.get(row.space_id),
        "version": row.version,
        "archived": row.archived_at is not None,
    }


def _state(row: dict[str, object]) -> str:
    return "archived" if row["archived"] else ""
