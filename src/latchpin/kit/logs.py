"""Structured logs. Values under telling names are struck out, whoever logs them."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from latchpin.settings import Settings

_TELLING = re.compile(r"password|secret|token|authorization|cookie|api_?key|digest|pepper", re.IGNORECASE)
_KEY = re.compile(r"sk-lp_[0-9A-Za-z]{4,}")


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Set up logging for this process, to standard error or another stream."""
    stream = stream or sys.stderr
    level = getattr(logging, settings.log_level.upper())
    renderer = structlog.dev.ConsoleRenderer() if settings.log_format == "console" else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            strike_out,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(level, logging.WARNING), format="%(message)s", stream=stream)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def strike_out(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values of telling names, and anything that looks like an API key, before a line is written."""
    for name, value in event.items():
        if _TELLING.search(name):
            event[name] = "[struck out]"
        elif isinstance(value, str) and "sk-lp_" in value:
            event[name] = _KEY.sub("sk-lp_[struck out]", value)
    return event
