"""The names of our cookies. Browsers keep cookies by host and not by port, so the names tell two deployments of one host apart."""

from __future__ import annotations

from urllib.parse import urlsplit

from latchpin.settings import Settings


def of(settings: Settings, purpose: str = "") -> str:
    """Return a cookie's name: the session's, or the one for a purpose; with the public address's port where it has one.

    Over TLS it begins with the prefix that ties it to this very host (RFC 6265bis section 4.1.3.2).
    """
    port = urlsplit(settings.public_url).port
    parts = ("__Host-latchpin" if settings.is_https else "latchpin", purpose, str(port or ""))
    return "-".join(part for part in parts if part)
