"""`latchpin serve`: the HTTP server."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

import click

from latchpin import __version__
from latchpin import settings_values as value
from latchpin.cli import terminal
from latchpin.cli.deployment import Deployment, data_dir_option, example, fail, initialized, load_settings, run_async
from latchpin.errors import Unavailable
from latchpin.identity import organizations
from latchpin.kit import clock, logs
from latchpin.kit.logger import Logger
from latchpin.serving.supervisor import Program, Supervisor
from latchpin.settings import Settings, variable
from latchpin.storage.outages import is_passing

BACKLOG = 2048  # connections that wait to be taken
_MORE_SECONDS = 10  # that a worker gets to hand its runs back, beyond the time that it lets them go on
_ASK_AGAIN_SECONDS = 1.0
_log = Logger(__name__)


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
    with bind(chosen.host, chosen.port) as listener:
        logs.configure(chosen)
        announce(chosen)
        run(chosen, listener)


def run(chosen: Settings, listener: socket.socket, *, target: str = "latchpin.app:create") -> None:
    """Serve with these settings on a bound socket; returns when it was asked to stop and requests have finished.

    `target` is the factory of the application; the benchmark names another.
    """
    for name in ("data_dir", "host", "port", "workers"):
        os.environ[variable(name)] = str(getattr(chosen, name))  # the processes read the environment
    logs.configure(chosen)
    logs.capture_uncaught()
    try:
        listener.listen(BACKLOG)
    except OSError as error:  # another server bound it at the same moment
        _cannot_listen(chosen.host, chosen.port, error.strerror)

    async def supervise() -> None:
        await Supervisor(_programs(chosen, listener, target), when_stopping=listener.close).run()

    _log.info("server.starting", version=__version__, address=chosen.host, port=chosen.port, processes=chosen.workers)
    asyncio.run(supervise())
    _log.info("server.stopped")


def _programs(chosen: Settings, listener: socket.socket, target: str) -> list[Program]:
    """Return what runs: the server processes, and beside them the worker that executes runs, unless the settings say otherwise."""
    module = [sys.executable, "-m", "latchpin.serving.server_process", str(listener.fileno()), target]
    server = Program("server", module, chosen.drain_seconds, inherited=[listener.fileno()], is_replaceable=True)
    worker = Program("worker", [sys.executable, "-m", "latchpin", "worker", "--beside"], chosen.worker_drain_seconds + _MORE_SECONDS)
    return [server] * chosen.workers + [worker] * chosen.worker


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address, or end the command (exit code 3) where there is none or it is taken.

    An address whose kind of network this machine lacks, such as ::1 of `localhost` without IPv6, is passed over.
    """
    refused: OSError | None = None
    try:
        for family, kind, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            listener = socket.socket(family, kind)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
            except OSError as error:
                listener.close()
                refused = error
                if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    break
            else:
                listener.setblocking(False)  # noqa: FBT003  the standard library's
                return listener
    except (OSError, UnicodeError) as error:
        refused = error if isinstance(error, OSError) else OSError(0, "not a host name")
    return _cannot_listen(host, port, refused.strerror if refused else "it has no address")


def _cannot_listen(host: str, port: int, reason: str | None) -> NoReturn:
    fail(f"{host}:{port} cannot be listened on ({reason}). Choose another with --port or LATCHPIN_PORT.", code=3)


@run_async
async def announce(chosen: Settings) -> None:
    """Bring the deployment up, and print where it is and, when it is empty, the one-time set-up link."""
    token = await _when_the_database_answers(chosen)
    terminal.write(f"Latchpin listens on {chosen.public_url}")
    if token:
        terminal.write(
            "There is no user yet. Make the first administrator with this link; it works once and for 24 hours:\n"
            f"  {chosen.public_url}/setup/{token}"
        )


async def _setup_token(deployment: Deployment) -> str | None:
    async with deployment.database.transaction() as session:
        return await organizations.offer_setup(session)


async def _when_the_database_answers(chosen: Settings) -> str | None:
    """Bring the deployment up, waiting for a PostgreSQL that is not there yet; returns the token of the set-up link, if there is one.

    Raises Unavailable at once for what no waiting mends, such as a wrong password, and else when the time is over.
    """
    until = clock.monotonic() + chosen.database_wait_seconds
    is_logged = False
    while True:
        try:
            async with initialized(chosen) as deployment:
                return await _setup_token(deployment)
        except Unavailable as error:
            if chosen.is_sqlite or not is_passing(error) or clock.monotonic() >= until:
                raise
            if not is_logged:
                _log.warning("database.awaited", detail=error.detail, for_seconds=chosen.database_wait_seconds)
                is_logged = True
        await asyncio.sleep(_ASK_AGAIN_SECONDS)
