"""One type of problem document, its address, and its example. Pure.

`type` is the public address followed by /errors/ and the error code, written with dashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PATH = "/errors"
TITLES: Mapping[int, str] = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Took too long",
    409: "Conflict",
    413: "Request too large",
    414: "Address too long",
    415: "Unsupported content type",
    422: "Refused entry",
    429: "Too many requests",
    431: "Header fields too large",
    500: "Server error",
    503: "Temporarily unavailable",
}
REFUSED = "Request refused"
SAMPLE_REQUEST = "7c1d09e2b4-41"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One type. `heading` is for people; `detail`, `instance` and `more` make the example; `title` is that of the document."""

    code: str
    status: int
    heading: str
    meaning: str
    why: str
    advice: str
    detail: str
    instance: str = "/api/v1/agent/77"
    title: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The last part of its address."""
        return slug_of(self.code)

    def example(self, public_url: str) -> dict[str, Any]:
        """A complete problem document of this type, with its members in the API's order."""
        scope = {name: value for name, value in self.more.items() if name == "scope"}
        rest = {name: value for name, value in self.more.items() if name != "scope"}
        return {
            "type": address_of(public_url, self.slug),
            "title": self.title or TITLES.get(self.status, REFUSED),
            "status": self.status,
            "detail": self.detail,
            "instance": self.instance,
            "errorCode": self.code,
            **scope,
            **rest,
            "requestId": SAMPLE_REQUEST,
        }


def slug_of(code: str) -> str:
    """Return an error code as it is written in an address."""
    return code.replace("_", "-")


def address_of(public_url: str, slug: str) -> str:
    """Return a type's address, the value of `type`."""
    return f"{public_url}{PATH}/{slug}"
