"""Messages of a child process to its worker, one JSON object a line, and the few words in the other direction."""

from __future__ import annotations

from typing import Any

import msgspec

READY = b"ready\n"  # the child has loaded and waits for its specification
STOP = b"stop\n"  # finish the current page, and end
ALIVE = b"alive\n"  # the worker still holds the run
EXIT_ABANDONED = 75  # the exit code of a child that has heard nothing from its worker for too long
MOST_LINE = 8 * 1024 * 1024  # bytes


class _Message(msgspec.Struct, frozen=True, tag_field="kind", kw_only=True):
    """Base of the messages."""


class CrawlStarted(_Message, frozen=True, tag="started"):
    """The crawl has begun."""


class LogLine(_Message, frozen=True, tag="log"):
    """A line of the run's log; `at` is seconds since the epoch."""

    at: float
    level: str
    text: str


class ScrapedRecord(_Message, frozen=True, tag="record"):
    """A record that is complete."""

    values: dict[str, Any]


class RequestLog(_Message, frozen=True, tag="request"):
    """A finished request; if it got no response, `status` is None and `error` says why. `bytes` is the size of the response's body."""

    at: float
    method: str
    url: str
    status: int | None
    ms: int
    bytes: int
    error: str | None = None


class CrawlCounters(_Message, frozen=True, tag="counters"):
    """The crawl's totals so far."""

    pages: int
    dynamic_pages: int
    actions: int
    errors: int


class CrawlResult(_Message, frozen=True, tag="finished"):
    """The crawl has ended. `is_failure` if it could not do its work; `message` says why it ended, if that needs saying."""

    message: str | None
    is_failure: bool
    fields: dict[str, int]


Message = CrawlStarted | LogLine | ScrapedRecord | RequestLog | CrawlCounters | CrawlResult
encode = msgspec.json.Encoder(enc_hook=str).encode
decode = msgspec.json.Decoder(Message).decode
