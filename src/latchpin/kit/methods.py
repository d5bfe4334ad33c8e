"""Which methods an address takes, as the header Allow of a 405 says (RFC 9110 section 10.2.1)."""

from __future__ import annotations

from collections.abc import Mapping


def allow(headers: Mapping[str, str] | None, *, but: str = "") -> dict[str, str]:
    """Return the Allow header among the framework's for a refusal, if there is one, with HEAD beside GET and without the method `but`."""
    for name, value in (headers or {}).items():
        if name.lower() == "allow":
            methods = {method.strip() for method in value.split(",")} - {but}
            return {"Allow": ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))}
    return {}
