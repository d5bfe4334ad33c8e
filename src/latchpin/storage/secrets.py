"""The deployment's secrets: made at first start, kept outside the database, never printed.

The file holds versioned peppers (for API key digests) and one key from which others are derived. Whoever has both this file and the
database can test guesses of API keys; whoever has the database alone cannot (security.md 92).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import stat
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
        """Return a text that tells these secrets from others without telling anything of them."""
        return hashlib.sha256(self.derive("fingerprint")).hexdigest()[:32]


def load_or_create(path: Path) -> Secrets:
    """Read the secrets file, or make it (mode 0600) where there is none; two processes starting at once agree on one.

    Raises SecretsError where it is unreadable, damaged, or readable by others.
    """
    if not path.exists():
        _create(path)
    return load(path)


def load(path: Path) -> Secrets:
    """Read an existing secrets file; raises SecretsError as `load_or_create` does."""
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


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    document = {
        "peppers": {"1": _random()},
        "current_pepper": 1,
        "master": _random(),
    }
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump(document, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # fails where another process was first, and never shows a half-written file
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _random() -> str:
    return base64.b64encode(secrets.token_bytes(_BYTES)).decode("ascii")
