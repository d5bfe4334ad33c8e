"""One server process of `latchpin serve`, started by the supervisor: LISTENER TARGET PARENT.

The listening socket is the supervisor's, shared by all server processes: a connection that one of them has not accepted is accepted by
another, so that none is lost when a process ends or is replaced.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import signal
import sys
from importlib import import_module
from typing import Any

import uvloop
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from latchpin.errors import Unavailable
from latchpin.kit import logs
from latchpin.kit.collector import no_collection
from latchpin.kit.logger import Logger
from latchpin.serving.parent_process import end_with_parent, tell_ready
from latchpin.settings import Settings, SettingsError
from latchpin.storage.migrate import UnsupportedDatabase
from latchpin.storage.secrets import SecretsError

HTTP1 = HTTP1Settings(header_read_timeout=10_000, max_buffer_size=64 * 1024)  # milliseconds; bytes that a request's headers may take
BACKLOG = 2048  # connections that wait to be accepted, and connections that all processes together hold
_CANNOT_START = 3
# The server's own loggers hand their lines to ours, which writes them in one form with all others.
SERVER_LOGGERS: dict[str, Any] = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"propagate": True}, "granian.access": {"propagate": True}},
}
_MORE_SECONDS = 5  # after which a process without a parent that could kill it ends by itself
_log = Logger(__name__)


class _Server(Server):
    """Granian in this process's event loop, on a socket that listens already."""

    def __init__(self, application: Any, listener: int, processes: int) -> None:  # noqa: ANN401  an ASGI application
        super().__init__(
            application,
            interface=Interfaces.ASGINL,  # this module runs the lifespan, and so sees its errors
            http=HTTPModes.http1,
            http1_settings=HTTP1,
            websockets=False,
            backlog=BACKLOG,
            backpressure=max(1, BACKLOG // processes),
            log_level=LogLevels.error,  # at lower levels it logs that it is embedded
            log_dictconfig=SERVER_LOGGERS,
        )
        self._listener = listener

    def _init_shared_socket(self) -> None:
        """Use the socket; it is closed when the server stops accepting connections."""
        of_unix = False
        self._shd = SocketHolder(self._listener, of_unix, BACKLOG)  # type: ignore[assignment, call-arg]  # the stub lacks its arguments


async def serve(target: str, listener: int) -> None:
    """Serve the application that the factory `module:function` makes, until SIGTERM. Before it is ready, the signal ends it."""
    module, _, factory = target.partition(":")
    with no_collection():
        application = getattr(import_module(module), factory)()
    chosen: Settings = application.services.settings
    async with application.litestar.lifespan():
        server = _Server(application, listener, chosen.workers)

        def stop() -> None:
            signal.alarm(chosen.drain_seconds + _MORE_SECONDS)  # its default action ends the process
            server.stop()  # type: ignore[no-untyped-call]  # Granian's

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        tell_ready()
        await server.serve()


def main(listener: int, target: str, parent: int) -> None:
    """Serve; exits with code 3 and logs the reason if it cannot serve now."""
    logs.configure(Settings())  # until the settings have been read
    logs.capture_uncaught()
    end_with_parent(parent)
    reasons: list[str] = []
    try:
        uvloop.run(serve(target, listener))
    except* (SettingsError, SecretsError, UnsupportedDatabase, Unavailable) as group:  # the lifespan runs in a task group
        reasons += map(str, group.exceptions)
    if reasons:
        _log.critical("server_process.failed", detail=" ".join(reasons))
        sys.exit(_CANNOT_START)


if __name__ == "__main__":
    atexit.register(gc.freeze)  # skips the last collection, which is slow and only frees memory that the system takes back anyway
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
