"""`latchpin init`: the first organization and its administrator."""

from __future__ import annotations

from pathlib import Path

import click

from latchpin.cli.deployment import asynchronous, data_dir_option, example, json_option, opened, print_json
from latchpin.identity import organizations


@click.command(epilog=example('latchpin init --organization Acme --name "Ada Byron" --email ada@example.com'))
@data_dir_option
@click.option("--organization", prompt=True, help="The organization's name.")
@click.option("--name", "full_name", prompt="Your full name", help="The administrator's full name.")
@click.option("--email", prompt="Your e-mail", help="The administrator's e-mail, with which to sign in.")
@json_option
@asynchronous
async def init(data_dir: Path | None, organization: str, full_name: str, email: str, as_json: bool) -> None:
    """Make the first organization and its administrator, and print a temporary password.

    What is not given is asked for. The password is shown once and changed at the first sign-in. Without this command, `latchpin serve`
    prints a one-time link that does the same in the browser.
    """
    async with opened(data_dir) as deployment, deployment.database.transaction() as session:
        made = await organizations.first_administrator(
            session, organization=organization, full_name=full_name, email=email, password=None, temporary=True, by=deployment.actor()
        )
        shown = {"email": made.user.email, "password": made.password}
    if as_json:
        print_json(shown)
    else:
        click.echo(f"Administrator {shown['email']} with the temporary password {shown['password']}")
        click.echo("It is shown only now and changed at the first sign-in. Next: latchpin serve")
