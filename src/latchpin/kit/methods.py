"""Which methods a URL accepts, as the header Allow of a 405 says (RFC 9110 section 10.2.1)."""

from __future__ import annotations

from collections.abc import Mapping


def allow(headers: Mapping[str, str] | None, *, but: str = "") -> dict[str, str]:
    """Return the Allow header out of the framework's headers, if there is one, with HEAD added to GET and without the method `but`."""
    for name, value in (headers or {}).items():
        if name.lower() == "allow":
            methods = {method.strip() for method in value.split(",")} - {but}
            return {"Allow": ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))}
    return {}
