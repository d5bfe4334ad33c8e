"""`latchpin key`: issue, list and revoke API keys."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path

import click

from latchpin.cli import terminal
from latchpin.cli.actors import find_user
from latchpin.cli.deployment import data_dir_option, example, fail, json_option, open_deployment, print_json, print_table, run_async
from latchpin.identity import active_keys, api_keys, policy
from latchpin.identity.credentials import DISPLAY, PREFIX
from latchpin.identity.scopes import Access, access_of, parse
from latchpin.kit import clock
from latchpin.storage.models import ApiKey

MOST_ID = 2**31 - 1


@click.group()
def key() -> None:
    """Issue, list and revoke API keys."""


@key.command(
    epilog=example(
        "latchpin key create --user ada@example.com --access read-only \\", '    --expires 2027-06-30 --description "Nightly export" --json'
    )
)
@data_dir_option
@click.option("--user", "email", required=True, help="E-mail of the user that the key acts for.")
@click.option(
    "--access",
    type=click.Choice([access.value for access in Access]),
    default=Access.FULL.value,
    show_default=True,
    help="What the key may be used for; never more than its user may do.",
)
@click.option(
    "--expires",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Last day on which the key works (UTC), such as 2027-06-30. Default: one year, or what the organization set.",
)
@click.option("--description", metavar="TEXT", help="What the key is for.")
@click.option("--network", "networks", multiple=True, metavar="CIDR", help="Network it may be used from; may be given several times.")
@click.option("--rate-limit", type=int, metavar="N", help="Requests per window; default is the deployment's.")
@json_option
@run_async
async def create(
    data_dir: Path | None,
    email: str,
    access: str,
    expires: datetime | None,
    description: str | None,
    networks: tuple[str, ...],
    rate_limit: int | None,
    as_json: bool,
) -> None:
    """Issue a key for a user and print it, once. It works at once, in a server that is running too.

    The key alone goes to standard output and everything else to standard error, so that it can be piped into a secret store. With
    --json the output is one document with `id`, `key`, `prefix` and `expires` (the first moment at which it no longer works).
    """
    new = api_keys.KeyParameters(
        expires_at=end_of_day(expires) if expires else None,
        description=description,
        access=Access(access),
        networks=networks,
        rate_limit=rate_limit,
    )
    async with open_deployment(data_dir) as deployment, deployment.database.transaction() as session:
        user = await find_user(session, email)
        rules = await policy.get(session, user.organization_id, deployment.settings)
        by = deployment.actor(user.organization_id)
        issued_key = await api_keys.create(session, user, new, policy=rules, secrets=deployment.secrets, by=by)
        document = {
            "id": issued_key.key.id,
            "key": issued_key.secret,
            "prefix": issued_key.key.prefix,
            "expires": clock.iso(issued_key.key.expires_at),
        }
    if as_json:
        print_json(document)
    else:
        terminal.write(f"Key {document['id']} for {email}, until {document['expires']}. It is shown only now:", is_error=True)
        terminal.write(str(document["key"]))


@key.command(name="list", epilog=example("latchpin key list --user ada@example.com"))
@data_dir_option
@click.option("--user", "email", required=True, help="E-mail of the user.")
@json_option
@run_async
async def list_(data_dir: Path | None, email: str, as_json: bool) -> None:
    """List a user's keys, active ones and others, newest first. The keys themselves are not kept, only their first characters."""
    async with open_deployment(data_dir) as deployment, deployment.database.read() as session:
        user = await find_user(session, email)
        rows = [_to_json(row) for row in await api_keys.of_user(session, user.id)]
    if as_json:
        print_json(rows)
        return
    columns = ("id", "prefix", "status", "access", "expires", "lastUsed", "description")
    lines = [tuple(str(row[column] or "") for column in columns) for row in rows]
    print_table([("id", "key", "status", "access", "expires", "last used", "description"), *lines])


@key.command(epilog=example('latchpin key revoke 17 --reason "left in a public repository"', "latchpin key revoke sk-lp_Ab12"))
@data_dir_option
@click.argument("which", metavar="KEY")
@click.option("--reason", default="revoked on the command line", show_default=True, help="Kept in the audit log.")
@run_async
async def revoke(data_dir: Path | None, which: str, reason: str) -> None:
    """Revoke a key for good. When this command ends, no process of the deployment accepts the key any more.

    KEY is its id, or the first characters that the list shows, such as sk-lp_Ab12. Give no whole key here: others on this machine could
    read it.
    """
    id_or_prefix = _parse_key(which)
    async with open_deployment(data_dir) as deployment, deployment.database.transaction() as session:
        matching = await api_keys.matching(session, id_or_prefix)
        if not matching:
            fail(f"There is no key {which}. `latchpin key list --user EMAIL` shows them.")
        if len(matching) > 1:
            fail(f"Several keys begin with {which}. Name one by its id: {', '.join(str(each.id) for each in matching)}.")
        api_key = matching[0]
        done = await api_keys.revoke(session, api_key, by=deployment.actor(api_key.organization_id), reason=reason)
        name = api_keys.label(api_key)
    terminal.write(f"Revoked {name}." if done else f"{name} was revoked before.")


def _parse_key(text: str) -> int | str:
    """Return the id or the first characters that name a key; ends the command where a text can be neither."""
    if text.isascii() and text.isdigit() and 0 < int(text) <= MOST_ID:
        return int(text)
    if not text.startswith(PREFIX):
        fail(f"{text[:40]!r} is neither the id of a key nor how one begins, such as 17 or {PREFIX}Ab12.", code=2)
    if len(text) != DISPLAY:
        fail(f"Give the id, or exactly the first {DISPLAY} characters, as `latchpin key list` shows them.", code=2)
    return text


def end_of_day(day: datetime) -> datetime:
    """Return the last second of a day, in UTC, as the Control Center does: a key works through the day that was chosen."""
    return datetime.combine(day.date(), time(23, 59, 59), UTC)


def _to_json(row: ApiKey) -> dict[str, object]:
    status = active_keys.status(row)
    access = access_of(parse(row.scopes))
    return {
        "id": row.id,
        "prefix": row.prefix,
        "description": row.description or "",
        "access": access.value if access else row.scopes,
        "status": status,
        "created": clock.iso(row.created_at),
        "expires": clock.iso(row.expires_at),
        "lastUsed": clock.iso(row.last_used_at) if row.last_used_at else None,
    }
