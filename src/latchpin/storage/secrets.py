"""The deployment's secrets: generated in its first run and never again, kept outside the database, never printed.

The file holds versioned peppers (for API key digests) and one key from which others are derived. Whoever has both this file and the
database can test guesses of API keys; whoever has the database alone cannot (security.md 92).
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_BYTES = 32


class SecretsError(Exception):
    """The secrets file cannot be used; the text says why and what to do, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets in memory; its text form shows none of them."""

    peppers: dict[int, bytes] = field(repr=False)
    current_pepper: int
    master: bytes = field(repr=False)

    def derive(self, purpose: str) -> bytes:
        """Return a 32-byte key for one purpose; different purposes give unrelated keys."""
        return hmac.digest(self.master, b"latchpin/" + purpose.encode(), "sha256")

    def fingerprint(self) -> str:
        """Return a text that differs for each master key and reveals nothing of it."""
        return hashlib.sha256(self.derive("fingerprint")).hexdigest()[:32]

    def pepper_fingerprints(self) -> dict[int, str]:
        """Return the same for each pepper, by its version."""
        return {version: hmac.digest(pepper, b"latchpin/fingerprint", "sha256").hex()[:32] for version, pepper in self.peppers.items()}


def load(path: Path) -> Secrets:
    """Read the secrets file; raises SecretsError where it is missing, unreadable, damaged, or readable by others."""
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            message = f"{path} can be read by others than its owner. Run: chmod 600 {path}"
            raise SecretsError(message)
        document = json.loads(path.read_text(encoding="ascii"))
        peppers = {int(version): base64.b64decode(text) for version, text in document["peppers"].items()}
        loaded = Secrets(peppers, int(document["current_pepper"]), base64.b64decode(document["master"]))
        if loaded.current_pepper not in peppers or min(map(len, [*peppers.values(), loaded.master])) < _BYTES:
            raise ValueError  # noqa: TRY301  one message for every kind of damage
    except OSError as error:
        message = f"LATCHPIN_SECRETS_FILE: {path} cannot be read ({error.strerror})"
        raise SecretsError(message) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f"{path} is damaged. Restore it from your backup: without it no API key can be checked."
        raise SecretsError(message) from None
    return loaded


def generate() -> Secrets:
    """Return new random secrets."""
    return Secrets({1: _random()}, 1, _random())


@contextmanager
def first_run(path: Path) -> Iterator[Secrets]:
    """Yield the secrets of a deployment that is being created; the file gets its name (mode 0600) when the block ends without an error.

    Processes that start at the same time take turns, and all get the secrets of the first. The secrets of an interrupted first run
    are used again, because its database may have been created with them. Raises SecretsError as `load` does.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = _draft(path)
    with _locked(draft):
        if not path.exists():
            _complete(draft)
            yield load(draft)
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        else:
            yield load(path)
        draft.unlink(missing_ok=True)


def load_existing(path: Path, fingerprint: str) -> Secrets | None:
    """Read the secrets of an existing deployment; if their fingerprint fits, also those of a first run that was interrupted at its end.

    Returns None where there is no file. Raises SecretsError as `load` does.
    """
    draft = _draft(path)
    if not path.exists() and draft.exists() and load(draft).fingerprint() == fingerprint:
        with first_run(path) as deployment_secrets:
            return deployment_secrets
    return load(path) if path.exists() else None


def _draft(path: Path) -> Path:
    return path.with_name(path.name + ".first-run")


@contextmanager
def _locked(draft: Path) -> Iterator[None]:
    file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _complete(draft: Path) -> None:
    """Write new secrets into a draft that has none; if it is only half written, no database was created with it yet."""
    with contextlib.suppress(SecretsError):
        load(draft)
        return
    deployment_secrets = generate()
    with draft.open("w", encoding="ascii") as file:
        json.dump(_document(deployment_secrets), file, indent=2)
        file.flush()
        os.fsync(file.fileno())


def _document(deployment_secrets: Secrets) -> dict[str, object]:
    peppers = {str(version): base64.b64encode(pepper).decode("ascii") for version, pepper in deployment_secrets.peppers.items()}
    return {
        "peppers": peppers,
        "current_pepper": deployment_secrets.current_pepper,
        "master": base64.b64encode(deployment_secrets.master).decode("ascii"),
    }


def _random() -> bytes:
    return secrets.token_bytes(_BYTES)
