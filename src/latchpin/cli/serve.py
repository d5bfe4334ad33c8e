"""`latchpin serve`: the HTTP server."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import structlog
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from latchpin import __version__
from latchpin import settings_values as value
from latchpin.cli.deployment import Deployment, asynchronous, begun, data_dir_option, example, fail, load_settings
from latchpin.cli.server_process import SERVER_LOGGERS, load
from latchpin.cli.worker_process import worker_beside
from latchpin.identity import organizations
from latchpin.kit import logs
from latchpin.settings import Settings, variable

HTTP1 = HTTP1Settings(header_read_timeout=10_000, max_buffer_size=64 * 1024)  # milliseconds; bytes that a request's headers may take

_log = structlog.get_logger(__name__)


def _host(_context: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    try:
        return None if given is None else value.host(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(epilog=example("latchpin serve --port 9000 --workers 4"))
@data_dir_option
@click.option("--host", callback=_host, help="Address to listen on (LATCHPIN_HOST).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (LATCHPIN_PORT).")
@click.option("--workers", type=click.IntRange(1, 64), help="Server processes (LATCHPIN_WORKERS).")
def serve(data_dir: Path | None, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve the API and the Control Center until Ctrl-C.

    An embedded database is brought up to date first. On an empty deployment a one-time link for making the first administrator is
    printed. Revocations hold in every process at once; with several processes set LATCHPIN_REDIS_URL for exact rate limits.
    A worker that executes runs is started beside the server, unless LATCHPIN_WORKER=off.
    """
    chosen = load_settings(data_dir, host=host, port=port, workers=workers)
    require_free(chosen.host, chosen.port)
    announce(chosen)
    run(chosen)


def run(chosen: Settings, *, target: str = "latchpin.app:create") -> None:
    """Run the server with these settings; returns when it was asked to stop and requests have finished.

    Ends the command where the address is in use. `target` is the factory of the application; the benchmark names another.
    """
    address = require_free(chosen.host, chosen.port)
    for name in ("data_dir", "host", "port", "workers"):
        os.environ[variable(name)] = str(getattr(chosen, name))  # the server's processes read the environment
    logs.configure(chosen)
    logs.capture_uncaught()
    _log.info("server.starting", version=__version__, address=address, port=chosen.port, processes=chosen.workers)
    with _stop_told(), worker_beside(chosen):
        Granian(
            target,
            address=address,
            port=chosen.port,
            interface=Interfaces.ASGI,
            workers=chosen.workers,
            loop=Loops.uvloop,
            http=HTTPModes.http1,
            http1_settings=HTTP1,
            websockets=False,
            backlog=2048,
            factory=True,
            log_level=LogLevels.warning,
            log_dictconfig=SERVER_LOGGERS,
            workers_kill_timeout=30,
            respawn_failed_workers=True,
        ).serve(target_loader=load)


@contextmanager
def _stop_told() -> Iterator[None]:
    try:
        yield
    finally:
        _log.info("server.stopped")


def require_free(host: str, port: int) -> str:
    """Return the address to listen on, or end the command (exit code 3) where there is none or it is taken.

    The server takes an address and no name. One whose kind of network this machine lacks, such as ::1 of `localhost` without IPv6, is
    passed over. Asked before the server starts, because the server shares its port between its own processes (SO_REUSEPORT) and would
    so share it with another server as well, without a word.
    """
    refused: OSError | None = None
    try:
        for family, kind, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            try:
                with socket.socket(family, kind) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(address)
            except OSError as error:
                refused = error
                if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    break
            else:
                return str(address[0])
    except (OSError, UnicodeError) as error:
        refused = error if isinstance(error, OSError) else OSError(0, "not a host name")
    reason = refused.strerror if refused else "it has no address"
    return fail(f"{host}:{port} cannot be listened on ({reason}). Choose another with --port or LATCHPIN_PORT.", code=3)


@asynchronous
async def announce(chosen: Settings) -> None:
    """Bring the deployment up, and print where it is and, when it is empty, the one-time set-up link."""
    async with begun(chosen) as deployment:
        token = await _setup_token(deployment)
    click.echo(f"Latchpin listens on {chosen.public_url}")
    if token:
        click.echo(
            "There is no user yet. Make the first administrator with this link; it works once and for 24 hours:\n"
            f"  {chosen.public_url}/setup/{token}"
        )


async def _setup_token(deployment: Deployment) -> str | None:
    async with deployment.database.transaction() as session:
        return await organizations.offer_setup(session)
