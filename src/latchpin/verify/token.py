"""The contents of a valid token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from latchpin.verify.errors import InsufficientScope


@dataclass(frozen=True, slots=True)
class SpaceRole:
    """A Space that the token's holder may enter; `role` is viewer, operator or editor."""

    id: int
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Token:
    """A valid access token, or an introspected API key. `expires` is in seconds since the epoch, None if it is not given.

    Identify a user by `issuer` and `subject` together, never by e-mail. `subject` is the client's own id where an app acts for itself.
    `organization`, `role` and `spaces` are as they were when the token was issued; Latchpin's own API always decides on the present
    state. `spaces` is None if there are too many for a token: get them from `spaces_uri` with it (scope `spaces:read`). `space` is what
    its user limited it to: `all`, `personal` or a Space's id.
    """

    issuer: str
    subject: str
    client_id: str | None
    scopes: frozenset[str]
    organization: int | None
    role: str | None
    space: str | int | None
    spaces: tuple[SpaceRole, ...] | None
    sid: str | None
    expires: float | None
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def is_service(self) -> bool:
        """Whether an app acts for itself, without a user."""
        return self.client_id is not None and self.subject == self.client_id

    @property
    def is_bound(self) -> bool:
        """Whether the token is valid only with a proof that its sender holds a key (RFC 7800)."""
        return "cnf" in self.claims

    @property
    def jkt(self) -> str | None:
        """The thumbprint of the key that a DPoP proof must be made with (RFC 9449 section 6.1)."""
        confirmation = self.claims.get("cnf")
        return _text(confirmation.get("jkt")) if isinstance(confirmation, dict) else None

    @property
    def spaces_uri(self) -> str | None:
        """The URL of the list of Spaces that did not fit into the token; None if the token lists them."""
        return _text(self.claims.get("spaces_uri"))

    def require_scope(self, *scopes: str) -> None:
        """Raise InsufficientScope unless the token carries every one of these; scopes are compared exactly."""
        if not self.scopes.issuperset(scopes):
            raise InsufficientScope("the token does not carry every scope that is needed", scopes=scopes)


def of_claims(claims: Mapping[str, Any]) -> Token:
    """Return the Token of checked claims; claims of an unexpected type are treated as absent."""
    org, role, space, expires = (claims.get(name) for name in ("org", "role", "space", "exp"))
    return Token(
        issuer=str(claims.get("iss", "")),
        subject=str(claims.get("sub", "")),
        client_id=_text(claims.get("client_id")),
        scopes=frozenset(str(claims.get("scope") or "").split()),
        organization=org if isinstance(org, int) else None,
        role=_text(role),
        space=space if isinstance(space, str | int) else None,
        spaces=_spaces(claims.get("spaces")),
        sid=_text(claims.get("sid")),
        expires=float(expires) if isinstance(expires, int | float) else None,
        claims=MappingProxyType(dict(claims)),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _spaces(value: object) -> tuple[SpaceRole, ...] | None:
    if not isinstance(value, list):
        return None
    try:
        return tuple(SpaceRole(int(each["id"]), str(each["name"]), str(each["role"])) for each in value)
    except (KeyError, TypeError, ValueError):
        return None
