"""Who did something, through which credential, and from where."""

from __future__ import annotations

import re
from dataclasses import dataclass

from latchpin import secret_forms

_PREFIX = secret_forms.API_KEY.prefix
_KEY = re.compile(rf"({_PREFIX}[0-9A-Za-z]{{4}})[0-9A-Za-z]{{5,}}")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from. `address` is the client's, as the trusted proxies report it; None for the command line."""

    address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a user through a credential, the command line, or an unknown caller. `credential_kind` is a CredentialKind's text."""

    name: str
    user_id: int | None = None
    organization_id: int | None = None
    credential_kind: str = "none"
    credential_id: int | None = None
    credential_name: str = ""
    origin: Origin = Origin()


def command_line(who: str, organization_id: int | None = None) -> Actor:
    """Return the actor of an operator's command; `who` is the operating system's user name."""
    return Actor(name=who, organization_id=organization_id, credential_kind="command_line", credential_name="latchpin")


def anonymous(origin: Origin, claimed: str = "unknown") -> Actor:
    """Return the actor of an unauthenticated request; `claimed` is the identity that it claimed, cut to what can be shown."""
    return Actor(name=one_line(claimed, 254), origin=origin)


def one_line(text: str, limit: int) -> str:
    """Return `text` on one line of at most `limit` characters: control and direction characters become visible.

    What looks like an API key is cut to its display prefix: people paste keys into descriptions, and programs send them as User-Agent.
    """
    return _UNSEEN.sub(lambda match: f"\\u{ord(match.group()):04x}", _KEY.sub(r"\1...", text))[:limit]
