"""Tokens of `latchpin login`: one file that only its owner can read, written whole or not at all, locked while tokens are traded."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from latchpin.errors import Conflict, Unavailable

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class StoredCredentials:
    """What is kept for one issuer; `expires` of the access token is in seconds since the epoch."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires: float
    scope: str
    client_id: str


def directory() -> Path:
    """Return the user's configuration directory of Latchpin (XDG base directories: $XDG_CONFIG_HOME, else ~/.config)."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".config") / "latchpin"  # noqa: PTH117  an empty text is no path


class CredentialsFile:
    """Reads and changes the file. Hold `locked()` around reading, trading a refresh token and writing the answer."""

    def __init__(self, place: Path | None = None) -> None:
        self.path = (place or directory()) / "credentials.json"

    def read(self, issuer: str) -> StoredCredentials | None:
        """Return what is kept for an issuer, or None. Raises Conflict where others could read the file, Unavailable where nobody can."""
        fields = self._load()["issuers"].get(issuer)
        return StoredCredentials(**fields) if fields else None

    def default_issuer(self) -> str | None:
        """Return the issuer that was signed in to last."""
        issuer: str | None = self._load()["current"]
        return issuer

    def issuers(self) -> list[str]:
        """Return every issuer that is signed in to."""
        return sorted(self._load()["issuers"])

    def write(self, issuer: str, credentials: StoredCredentials, *, current: bool = False) -> None:
        """Keep tokens. A reader sees the old file or the new one, and so does whoever comes after a power cut."""
        document = self._load()
        document["issuers"][issuer] = asdict(credentials)
        if current:
            document["current"] = issuer
        self._save(document)

    def remove(self, issuer: str) -> None:
        """Remove what is kept for an issuer."""
        document = self._load()
        document["issuers"].pop(issuer, None)
        if document["current"] == issuer:
            document["current"] = next(iter(sorted(document["issuers"])), None)
        self._save(document)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands of this user out for the length of the block; they wait."""
        self._prepare()
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)  # which unlocks

    def _prepare(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            message = f"{self.path.parent} cannot be made ({error.strerror})."
            raise Unavailable(message) from error

    def _load(self) -> dict[str, Any]:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return {"current": None, "issuers": {}}
        except OSError as error:
            message = f"{self.path} cannot be read ({error.strerror})."
            raise Unavailable(message) from error
        with os.fdopen(descriptor, encoding="utf-8") as file:
            facts = os.fstat(file.fileno())  # of the very file that is read
            if facts.st_mode & _OTHERS or facts.st_uid != os.getuid():
                message = (
                    f"{self.path} can be read by others, so its tokens may be known to them. Sign out at the server and remove the file."
                )
                raise Conflict(message)
            try:
                document = json.load(file)
                return {"current": document["current"], "issuers": dict(document["issuers"])}
            except (ValueError, KeyError, TypeError):
                message = f"{self.path} is damaged. Remove it and sign in again."
                raise Conflict(message) from None

    def _save(self, document: dict[str, Any]) -> None:
        self._prepare()
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
