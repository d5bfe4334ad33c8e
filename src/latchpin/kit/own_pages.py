"""Whether our own pages sent a request, by the headers that browsers cannot be made to forge.

Sec-Fetch-Site decides where the browser sends it (HTTPS and loopback), else Origin does; a request with neither did not come from a page.
"""

from __future__ import annotations

from collections.abc import Mapping

from latchpin.settings import Settings

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def origins(settings: Settings) -> frozenset[bytes]:
    """Return the origins of our own pages: the public address, and both names of the loopback address where it is one."""
    found = {settings.public_url}
    for one, other in (("//127.0.0.1", "//localhost"), ("//localhost", "//127.0.0.1")):
        if one in settings.public_url:
            found.add(settings.public_url.replace(one, other))
    return frozenset(origin.encode() for origin in found)


def may_change(method: str, seen: Mapping[bytes, bytes], own: frozenset[bytes]) -> bool:
    """Whether a request that a cookie speaks for may do what its method says; `seen` as RequestContext has it.

    Reading is always allowed: another site's page cannot see the answer.
    """
    if method in _SAFE:
        return True
    site = seen.get(b"sec-fetch-site")
    return site == b"same-origin" or (site is None and seen.get(b"origin") in own)
