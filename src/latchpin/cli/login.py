"""`latchpin login` and `latchpin logout`: sign this computer's user in at a server, without a password on the command line."""

from __future__ import annotations

import contextlib

import click

from latchpin.cli import terminal
from latchpin.cli.credentials_file import CredentialsFile
from latchpin.cli.deployment import example, fail, run_async
from latchpin.cli.issuer import connect, plain
from latchpin.errors import LatchpinError
from latchpin.identity.scopes import ALL, OFFLINE, serialize

DEFAULT_ISSUER = "http://127.0.0.1:8080"
issuer_option = click.option(
    "--issuer", metavar="URL", help=f"The server's public address. Default: the one signed in to last, else {DEFAULT_ISSUER}."
)


def resolve_issuer(issuer: str | None, file: CredentialsFile) -> str:
    """Return the address of the server that a command is about, as the server itself writes it."""
    return (issuer or file.default_issuer() or DEFAULT_ISSUER).rstrip("/")


@click.command(epilog=example("latchpin login --issuer https://latchpin.example", "latchpin api GET /api/v1/agent/all"))
@issuer_option
@click.option(
    "--scope", default=serialize(ALL), metavar="SCOPES", help="Scopes to ask for, separated by spaces. Default: all of the API's."
)
@run_async
async def login(issuer: str | None, scope: str) -> None:
    """Sign in at a server by entering a code in a browser, on this computer or another (RFC 8628).

    The tokens are kept in credentials.json in ~/.config/latchpin ($XDG_CONFIG_HOME/latchpin), which only you can read, and are for
    `latchpin api`. They act for the user who entered the code. The sign-in is listed under My account > Connected apps, and ends there
    or with `latchpin logout`.
    """
    file = CredentialsFile()
    address = resolve_issuer(issuer, file)
    before = file.read(address)
    async with connect(address) as server:
        device_authorization = await server.begin(" ".join([*scope.split(), OFFLINE]))
        minutes = max(1, int(device_authorization.get("expires_in") or 0) // 60)
        terminal.write(
            f"Open {plain(device_authorization['verification_uri'])} in a browser, sign in, and enter this code within {minutes} minutes:\n"
        )
        terminal.write(f"    {plain(device_authorization['user_code'])}\n")
        if device_authorization.get("verification_uri_complete"):
            terminal.write(f"Or open {plain(device_authorization['verification_uri_complete'])}")
        terminal.write("Waiting for your answer there (Ctrl-C gives up).")
        signed_in = await server.wait(device_authorization)
        with file.locked():
            file.write(address, signed_in, current=True)
        if before is not None:
            with contextlib.suppress(LatchpinError):  # what it replaced is of no use any more
                await server.revoke(before)
    terminal.write(f"Signed in to {address} with {plain(signed_in.scope)}. The tokens are in {file.path}.")


@click.command(epilog=example("latchpin logout", "latchpin logout --all"))
@issuer_option
@click.option("--all", "all_servers", is_flag=True, help="At every server that is signed in to.")
@run_async
async def logout(issuer: str | None, all_servers: bool) -> None:
    """End the sign-in at the server and remove its tokens from this computer.

    Exit code 1 where the server could not be told: the tokens are removed here all the same, and end there under My account > Connected
    apps.
    """
    file = CredentialsFile()
    addresses = file.issuers() if all_servers else [resolve_issuer(issuer, file)]
    untold = []
    for address in addresses:
        with file.locked():
            held = file.read(address)
            file.remove(address)
        if held is None:
            terminal.write(f"Not signed in to {address}.")
            continue
        is_revoked = False
        with contextlib.suppress(LatchpinError):
            async with connect(address) as server:
                is_revoked = await server.revoke(held)
        if is_revoked:
            terminal.write(f"Signed out of {address}.")
        else:
            untold.append(address)
    if untold:
        fail(f"{', '.join(untold)} could not be told. The tokens are removed here; end the sign-in under My account > Connected apps.")
