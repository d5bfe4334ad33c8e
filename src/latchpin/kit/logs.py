"""Structured logs: every line of a process in one form, its own and its libraries'. Secrets are redacted, whatever code logs them."""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter, add_logger_name

from latchpin import secret_forms
from latchpin.kit import context, plain_text
from latchpin.kit.log_stream import LogStream
from latchpin.kit.logger import Logger
from latchpin.settings import Settings

_TELLING = re.compile(r"password|secret|token|authorization|cookie|api_?key|digest|pepper", re.IGNORECASE)
_SECRET = re.compile(rf"({secret_forms.PREFIX})[0-9A-Za-z]{{4,}}|\b(eyJ)[\w-]{{8,}}\.[\w-]+\.[\w-]*")
_log = Logger(__name__)


class _LibraryHandler(logging.StreamHandler[LogStream]):
    """Writes what libraries log with `logging`; a process has one."""


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Set up logging for this process, to standard error or another stream."""
    lines = LogStream(stream)
    level = getattr(logging, settings.log_level.upper())
    is_console = settings.log_format == "console"
    rendering = [as_visible, _console(lines)] if is_console else [structlog.processors.JSONRenderer()]
    common = (
        add_request,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
        redact,
    )
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *common, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(lines),  # type: ignore[arg-type]  # needs to write and flush
        cache_logger_on_first_use=False,
    )
    handler = _LibraryHandler(lines)
    handler.setFormatter(
        ProcessorFormatter(foreign_pre_chain=(add_logger_name, *common), processors=(ProcessorFormatter.remove_processors_meta, *rendering))
    )
    root = logging.getLogger()
    root.handlers = [*(each for each in root.handlers if not isinstance(each, _LibraryHandler)), handler]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("alembic").setLevel(logging.WARNING)


def capture_uncaught() -> None:
    """Log what Python would print by itself: warnings, and uncaught errors. For processes of our own."""
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
    sys.unraisablehook = lambda args: _log.error("process.unraisable", detail=args.err_msg, exc_info=args.exc_value)


def _uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:  # noqa: ANN401  as sys.excepthook
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        _log.critical("process.failed", exc_info=(kind, error, trace))


def _console(stream: LogStream) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)


def add_request(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the id of the request that a line belongs to, and the caller's trace, so that all lines of one request can be found together."""
    request = context.current()
    if request is not None:
        event.setdefault("request_id", request.request_id)
        if request.trace is not None:
            event.setdefault("trace_id", request.trace.trace_id)
    return event


def as_visible(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Write control characters as escapes, as JSON does anyway: a requested path must not control a terminal."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = plain_text.visible(value)
    return event


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values whose names suggest a secret, and anything that looks like a secret of ours, before a line is written."""
    for name, value in event.items():
        if _TELLING.search(name):
            event[name] = "[struck out]"
        elif isinstance(value, str) and ("lp" in value or "eyJ" in value):
            event[name] = _SECRET.sub(lambda match: f"{match[1] or match[2]}[struck out]", value)
    return event
