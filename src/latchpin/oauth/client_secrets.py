"""Secrets of confidential clients: 256 random bits, kept as HMAC under the deployment's pepper, like API keys."""

from __future__ import annotations

import hmac

from latchpin import secret_forms
from latchpin.identity import credentials
from latchpin.kit import base62, clock
from latchpin.oauth.clients import Client
from latchpin.storage.secrets import Secrets

PREFIX = secret_forms.CLIENT_SECRET.prefix


def new() -> str:
    """Make a secret; it exists only in this return value. Other random secrets of ours have other prefixes, so none fits elsewhere."""
    return PREFIX + base62.random(256, secret_forms.CLIENT_SECRET.length)


def digest(secret: str, secrets: Secrets, version: int | None = None) -> bytes:
    """Return the 32 bytes that are stored for a secret under one pepper, by default the current one."""
    return credentials.key_digest(secret.encode(), secrets.peppers[version or secrets.current_pepper])


def matches(client: Client | None, secret: str, secrets: Secrets) -> bool:
    """Whether a secret is one of the client's active ones. For an unknown client the work is the same (security.md 66)."""
    digests = [credentials.key_digest(secret.encode("utf-8", "replace"), pepper) for pepper in secrets.peppers.values()]
    now, is_match = clock.timestamp(), False
    stored_digests = [each.digest for each in client.secrets if each.expires_at is None or each.expires_at > now] if client else []
    for stored_digest in stored_digests or [b"\0" * 32]:
        for presented_digest in digests:
            is_match |= hmac.compare_digest(stored_digest, presented_digest)
    return is_match and bool(stored_digests)
