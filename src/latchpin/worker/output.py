"""What a run writes while it goes on: its log, its requests and its records, each a file that grows.

The worker writes them and not the child, so that they are complete even if the child crashes. Values of encrypted parameters are
redacted in log and requests.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from latchpin.kit.file_store import FileStore
from latchpin.storage.models.run import RunFileType
from latchpin.worker.messages import LogLine, RequestLog, ScrapedRecord

HIDDEN = "[hidden]"
_LEAST_SECRET = 4  # characters; redacting a shorter value would remove half of a log
_STYLE = """
body { font: 13px/1.5 monospace; margin: 1.5rem; white-space: pre-wrap }
.warning { color: #8a5a00 }
.error, .fatal { color: #b3261e; font-weight: 600 }
"""
_encode = msgspec.json.encode


@dataclass(slots=True)
class GrowingFile:
    """One file: the data to append, and its size in bytes including that."""

    kind: RunFileType
    name: str
    key: str
    most: int
    pending: bytearray = field(default_factory=bytearray)
    size: int = 0
    is_full: bool = False
    file_id: int | None = None

    def add(self, line: bytes) -> bool:
        """Add one line; returns whether there was still room."""
        if self.is_full or self.size + len(line) > self.most:
            self.is_full = True
            return False
        self.pending += line
        self.size += len(line)
        return True


class RunOutput:
    """The files of one attempt. `flush` appends the new data, records first, so that every counted record is in the file."""

    def __init__(self, store: FileStore, files: dict[str, GrowingFile], secret_values: list[str]) -> None:
        self._store = store
        self._files = files
        self._secrets = sorted((each for each in secret_values if len(each) >= _LEAST_SECRET), key=len, reverse=True)

    @property
    def files(self) -> list[GrowingFile]:
        """The files, in the order in which they are written."""
        return list(self._files.values())

    @property
    def records(self) -> GrowingFile:
        """The file of records, a JSON object a line."""
        return self._files["records"]

    @property
    def log_name(self) -> str:
        """The name of the log."""
        return self._files["log"].name

    def record(self, taken: ScrapedRecord) -> bool:
        """Add a record; returns whether there was room."""
        return self.records.add(_encode(taken.values) + b"\n")

    def request(self, message: RequestLog) -> None:
        """Add a request."""
        line = {
            "at": _iso(message.at),
            "method": message.method,
            "url": self.hide(message.url),
            "status": message.status,
            "ms": message.ms,
            "bytes": message.bytes,
            "error": self.hide(message.error) if message.error else None,
        }
        self._files["requests"].add(_encode(line) + b"\n")

    def log(self, line: LogLine) -> None:
        """Add a line to the log; when there is no room any more, a last line says so."""
        text = self.hide(" ".join(line.text.split("\n")))
        file = self._files["log"]
        was_full = file.is_full
        if not file.add(f"{_iso(line.at)} {line.level:<7} {text}\n".encode(errors="replace")) and not was_full:
            file.pending += b"The log is full; what came after is left out.\n"

    def hide(self, text: str) -> str:
        """Redact the values of encrypted parameters in a text."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    async def flush(self) -> bool:
        """Append the data that has come since the last flush; returns whether there was any."""
        written = False
        for file in self._files.values():
            if file.pending:
                data = bytes(file.pending)
                file.pending.clear()
                await self._store.append(file.key, data)
                written = True
        return written


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_html(log: bytes, agent_name: str) -> bytes:
    """Write a text log as a page of its own, with the levels marked."""
    rows = []
    for line in log.decode(errors="replace").splitlines():
        _at, _, rest = line.partition(" ")
        level = rest[:7].strip().lower()
        kind = level if level in {"fatal", "error", "warning", "info"} else "info"
        rows.append(f'<div class="{kind}">{html.escape(line)}</div>')
    title = html.escape(f"Log of {agent_name}")
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>'
    return (head + "\n".join(rows) + "</html>\n").encode()
