"""`latchpin api`: call a server's API with the tokens of `latchpin login`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import httpx

from latchpin.cli import terminal
from latchpin.cli.credentials_file import CredentialsFile, StoredCredentials
from latchpin.cli.deployment import example, fail, print_json, run_async
from latchpin.cli.issuer import SignInExpired, client, connect, plain
from latchpin.cli.login import issuer_option, resolve_issuer
from latchpin.errors import Unavailable
from latchpin.kit import clock

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NOT_SIGNED_IN = 4
_EARLY_SECONDS = 30
_UNAUTHORIZED = 401
_REFUSED = 400


@click.command(
    epilog=example(
        "latchpin api GET /api/v1/agent/all",
        "latchpin api GET '/api/v1/agent/all?name=Book%20prices'",
        'latchpin api POST /api/v1/agent/1/version/1/restore --data \'{"content": "Back to the first"}\'',
    )
)
@click.argument("method", type=click.Choice(METHODS, case_sensitive=False))
@click.argument("path")
@click.option("--data", metavar="JSON", help="Body of the request: JSON, @FILE, or - for standard input.")
@issuer_option
@run_async
async def api(method: str, path: str, data: str | None, issuer: str | None) -> None:
    """Call PATH of the server's API as the user who signed in with `latchpin login`, and print the answer's JSON.

    The access token is refreshed when it is about to end, and once where the server refuses it. Commands that run at the same time share
    one refresh. Exit codes: 0 done, 1 refused by the server (its answer is on standard error), 2 wrong usage, 3 the server cannot be
    reached, 4 not signed in, or the sign-in has ended.
    """
    if not path.startswith("/") or path.startswith("//") or not path.isascii() or not path.isprintable() or " " in path:
        message = "PATH starts with one / and is written as in an address, such as /api/v1/agent/all."
        raise click.BadParameter(message)
    body = None if data is None else _body(data)
    file = CredentialsFile()
    address = resolve_issuer(issuer, file)
    held = file.read(address)
    if held is None:
        fail(f"Not signed in to {address}. Run: latchpin login --issuer {address}", code=NOT_SIGNED_IN)
    try:
        if held.expires - clock.timestamp() <= _EARLY_SECONDS:
            held = await _refresh(file, address, held)
        response = await _call(address, method, path, body, held)
        if response.status_code == _UNAUTHORIZED:
            held = await _refresh(file, address, held)
            response = await _call(address, method, path, body, held)
    except SignInExpired as error:
        fail(f"{error.detail} Run: latchpin login --issuer {address}", code=NOT_SIGNED_IN)
    _print(response)


async def _refresh(file: CredentialsFile, address: str, held: StoredCredentials) -> StoredCredentials:
    """Return tokens that are newer than those held: another command's, or else the server's; raises SignInExpired.

    The file stays locked meanwhile: a refresh token that two commands present is, but for ten seconds, the end of the sign-in.
    """
    with file.locked():
        now = file.read(address)
        if now is None:
            raise SignInExpired("Another command has signed out.")
        if now.access_token != held.access_token:
            return now
        async with connect(address) as server:
            try:
                new_credentials = await server.refresh(now)
            except SignInExpired:
                file.remove(address)
                raise
        file.write(address, new_credentials)
        return new_credentials


async def _call(address: str, method: str, path: str, body: bytes | None, held: StoredCredentials) -> httpx.Response:
    headers = {"Authorization": f"Bearer {held.access_token}", "Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    async with client(address) as http:
        try:
            return await http.request(method, address + path, content=body, headers=headers)
        except httpx.HTTPError as error:
            message = f"{address} cannot be reached: {plain(error) or type(error).__name__}."
            raise Unavailable(message) from error


def _body(data: str) -> bytes:
    """Return the body, or end the command where it is no JSON."""
    try:
        text = data
        if data == "-":
            text = sys.stdin.read()
        elif data.startswith("@"):
            text = Path(data[1:]).read_text(encoding="utf-8")
        json.loads(text)
    except OSError as error:
        message = f"--data: {data[1:]} cannot be read ({error.strerror})."
        raise click.UsageError(message) from error
    except ValueError as error:
        message = f"--data: that is no JSON ({error})."
        raise click.UsageError(message) from error
    return text.encode()


def _print(response: httpx.Response) -> None:
    """Print an answer, to standard error with exit code 1 where it is a refusal."""
    is_refusal = response.status_code >= _REFUSED or response.is_redirect
    if response.content:
        try:
            document = response.json()
        except ValueError:
            terminal.write(response.text if not is_refusal else plain(response.text), is_error=is_refusal)
        else:
            if is_refusal:
                terminal.write(json.dumps(document, indent=2, ensure_ascii=False), is_error=True)
            else:
                print_json(document)
    if is_refusal:
        fail(f"the server answered {response.status_code} {plain(response.reason_phrase)}".rstrip())
