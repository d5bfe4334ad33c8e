"""One server process: made from the application's factory, whose failure is a line of the log."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import structlog

from latchpin.errors import Unavailable
from latchpin.kit import logs
from latchpin.settings import SettingsError
from latchpin.storage.secrets import SecretsError

# The server's own loggers hand their lines to ours, which writes them in one form with all others.
SERVER_LOGGERS: dict[str, Any] = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"propagate": True}, "granian.access": {"propagate": True}},
}
_log = structlog.get_logger(__name__)


def load(target: str) -> Any:  # noqa: ANN401  an ASGI application
    """Return the application that `module:factory` makes, or log why there is none and end the process, as its supervisor expects."""
    logs.capture_uncaught()
    module, _, factory = target.partition(":")
    try:
        return getattr(import_module(module), factory)()
    except (SettingsError, SecretsError, Unavailable) as error:
        _log.critical("server_process.failed", detail=str(error))
    except Exception as error:  # noqa: BLE001  where it would be a bare traceback otherwise
        _log.critical("server_process.failed", exc_info=error)
    sys.exit(1)
