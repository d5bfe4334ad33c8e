"""Whether our own pages sent a request, by headers that scripts in a browser cannot forge.

Sec-Fetch-Site decides if the browser sends it (HTTPS and loopback), else Origin; a request with neither did not come from a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from latchpin.settings import Settings

_LOOPBACK = {"127.0.0.1": "localhost", "localhost": "127.0.0.1"}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def own_origins(settings: Settings) -> frozenset[bytes]:
    """Return the origins of our own pages: the public address, and both names of the loopback address where it is one."""
    origins = {settings.public_url}
    parts = urlsplit(settings.public_url)
    other = _LOOPBACK.get(parts.hostname or "")
    if other is not None:
        origins.add(f"{parts.scheme}://{other}{f':{parts.port}' if parts.port else ''}")
    return frozenset(origin.encode() for origin in origins)


def may_change(method: str, request_headers: Mapping[bytes, bytes], own: frozenset[bytes]) -> bool:
    """Whether a request that a cookie authenticates may use its method; `request_headers` are those of RequestContext.

    Reading is always allowed: another site's page cannot see the response.
    """
    if method in _SAFE:
        return True
    site = request_headers.get(b"sec-fetch-site")
    return site == b"same-origin" or (site is None and request_headers.get(b"origin") in own)
