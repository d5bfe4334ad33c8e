"""Reading the parameters of an OAuth request: each at most once, but `resource` (RFC 6749 section 3.1, RFC 8707 section 2)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from latchpin.oauth.errors import invalid_request, invalid_target

FORM = "application/x-www-form-urlencoded"
MOST_BODY_BYTES = 50_000  # bytes of a request to an endpoint that is open to anybody
_MOST_PARAMETERS = 60
_LONGEST_NAME = 100
_LONGEST_VALUE = 10_000  # characters; tokens and assertions are the longest
MOST_RESOURCES = 5
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters by name. An empty one counts as not sent (RFC 6749 section 3.1).

    Two more facts of the request: `page` is the origin of the web page that sends it, `jkt` the thumbprint of the key that the
    client proved (RFC 9449).
    """

    values: dict[str, str] = field(repr=False)
    resources: tuple[str, ...] = ()
    page: str | None = None
    jkt: str | None = None

    def get(self, name: str) -> str | None:
        """Return a parameter, None where it was not sent."""
        return self.values.get(name)

    def need(self, name: str) -> str:
        """Return a parameter that must be there; raises OAuthError `invalid_request`."""
        value = self.values.get(name)
        if value is None:
            raise invalid_request(f"{name} is required")
        return value


def parse(encoded: bytes) -> Params:
    """Read a query or a form body; raises OAuthError `invalid_request` for a repeated, too long or unreadable parameter.

    More resources than one token can be for are `invalid_target` (RFC 8707 section 2). A parameter may be copied unchanged into the
    URL of a redirect: raw control characters are refused.
    """
    if _CONTROL.search(encoded):
        raise invalid_request("the parameters hold a raw control character")
    try:
        pairs = parse_qsl(encoded.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise invalid_request("the parameters cannot be read") from None
    values: dict[str, str] = {}
    resources: list[str] = []
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise invalid_request("a parameter holds a NUL character")
        if len(name) > _LONGEST_NAME or len(value) > _LONGEST_VALUE:
            raise invalid_request(f"{name[:60]} is too long")
        if not value:
            continue
        if name == "resource":
            resources.append(value)
            if len(resources) > MOST_RESOURCES:
                raise invalid_target("too many resources")
        elif name in values:
            raise invalid_request(f"{name[:60]} may be sent once only")
        else:
            values[name] = value
    return Params(values, tuple(dict.fromkeys(resources)))


def form(content_type: str, body: bytes) -> Params:
    """Read a posted form; raises OAuthError for another kind of body, which OAuth endpoints do not take."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise invalid_request(f"send the parameters as {FORM}")
    return parse(body)
