"""`latchpin user`: add users, list them, disable and enable them, and reset a password."""

from __future__ import annotations

from pathlib import Path

import click

from latchpin.cli import terminal
from latchpin.cli.actors import find_organization, find_user
from latchpin.cli.deployment import data_dir_option, example, json_option, open_deployment, print_json, print_table, run_async
from latchpin.identity import passwords, users
from latchpin.identity.queries import user_list
from latchpin.identity.queries.user_list import UserSummary
from latchpin.identity.roles import Group
from latchpin.kit import clock
from latchpin.storage import Session

_PAGE = 200
_GROUPS = {group.value.lower(): group for group in Group}

organization_option = click.option("--organization", help="Name of the organization, where the deployment has several.")
email_argument = click.argument("email")


@click.group()
def user() -> None:
    """Add users, list them, disable and enable them, reset a password."""


@user.command(epilog=example('latchpin user add --email grace@example.com --name "Grace Hopper"'))
@data_dir_option
@click.option("--email", required=True, help="E-mail with which the user signs in.")
@click.option("--name", "full_name", required=True, help="Full name.")
@click.option("--group", type=click.Choice(list(_GROUPS)), default="user", show_default=True, help="What the user may do.")
@organization_option
@json_option
@run_async
async def add(data_dir: Path | None, email: str, full_name: str, group: str, organization: str | None, as_json: bool) -> None:
    """Add a user and print a temporary password, once. It must be changed at the first sign-in."""
    new = users.NewUser(full_name=full_name, email=email, group=_GROUPS[group], password=await passwords.temporary())
    async with open_deployment(data_dir) as deployment, deployment.database.transaction() as session:
        home = await find_organization(session, organization)
        created_user = await users.create(session, home.id, new, by=deployment.actor(home.id))
        document = {
            "id": created_user.user.id,
            "email": created_user.user.email,
            "group": created_user.user.user_group,
            "password": created_user.password,
        }
    if as_json:
        print_json(document)
    else:
        terminal.write(f"{document['group']} {document['email']} with the temporary password {document['password']}")
        terminal.write("It is shown only now and changed at the first sign-in.")


@user.command(name="list", epilog=example("latchpin user list --search grace"))
@data_dir_option
@organization_option
@click.option("--search", default="", help="Part of the name or e-mail.")
@json_option
@run_async
async def list_(data_dir: Path | None, organization: str | None, search: str, as_json: bool) -> None:
    """List the users of an organization, by name."""
    async with open_deployment(data_dir) as deployment, deployment.database.read() as session:
        home = await find_organization(session, organization)
        rows = [_to_json(each) for each in await _list_all(session, home.id, search)]
    if as_json:
        print_json(rows)
        return
    lines = [(r["email"], r["fullName"], r["group"], r["status"], str(r["activeKeys"]), r["lastSignIn"] or "never") for r in rows]
    print_table([("e-mail", "name", "group", "status", "keys", "last sign-in"), *[tuple(map(str, line)) for line in lines]])


@user.command(epilog=example("latchpin user disable grace@example.com"))
@data_dir_option
@email_argument
@run_async
async def disable(data_dir: Path | None, email: str) -> None:
    """Disable a user: all of the user's keys and browser sessions end at once, in every process of the deployment.

    The last active administrator cannot be disabled.
    """
    async with open_deployment(data_dir) as deployment, deployment.database.transaction() as session:
        target_user = await find_user(session, email)
        was = target_user.status.value
        revoked = await users.disable(session, target_user, by=deployment.actor(target_user.organization_id))
        is_changed = target_user.status.value != was
    terminal.write(f"Disabled {email}; keys revoked: {revoked}." if is_changed else f"{email} was disabled before.")


@user.command(epilog=example("latchpin user enable grace@example.com"))
@data_dir_option
@email_argument
@run_async
async def enable(data_dir: Path | None, email: str) -> None:
    """Let a disabled user in again. Keys that were revoked stay revoked."""
    async with open_deployment(data_dir) as deployment, deployment.database.transaction() as session:
        target_user = await find_user(session, email)
        was = target_user.status.value
        await users.enable(session, target_user, by=deployment.actor(target_user.organization_id))
        is_changed = target_user.status.value != was
    terminal.write(f"Enabled {email}. Revoked keys stay revoked." if is_changed else f"{email} was not disabled.")


@user.command(name="reset-password", epilog=example("latchpin user reset-password grace@example.com"))
@data_dir_option
@email_argument
@json_option
@run_async
async def reset_password(data_dir: Path | None, email: str, as_json: bool) -> None:
    """Give a user a temporary password and print it, once; all of the user's browser sessions end."""
    temporary = await passwords.temporary()
    async with open_deployment(data_dir) as deployment, deployment.database.transaction() as session:
        target_user = await find_user(session, email)
        await users.reset_password(session, target_user, temporary, by=deployment.actor(target_user.organization_id))
        document = {"id": target_user.id, "email": target_user.email, "password": temporary.text}
    if as_json:
        print_json(document)
    else:
        terminal.write(f"{document['email']} has the temporary password {document['password']}")
        terminal.write("It is shown only now and changed at the next sign-in.")


async def _list_all(session: Session, organization_id: int, search: str) -> list[UserSummary]:
    summaries: list[UserSummary] = []
    while True:
        number = len(summaries) // _PAGE + 1
        page = await user_list.page(session, organization_id, search=search, number=number, size=_PAGE)
        summaries += page.items
        if len(page.items) < _PAGE:
            return summaries


def _to_json(each: UserSummary) -> dict[str, object]:
    row = each.user
    return {
        "id": row.id,
        "email": row.email,
        "fullName": row.full_name,
        "group": row.user_group,
        "status": row.status.value,
        "activeKeys": each.active_keys,
        "lastSignIn": clock.iso(row.last_sign_in_at) if row.last_sign_in_at else None,
    }
