"""Refusals of the authorization server, in the words of RFC 6749 section 5.2 and its extensions."""

from __future__ import annotations

from collections.abc import Mapping


class OAuthError(Exception):
    """A refusal as OAuth clients read it. `error` is a registered code; `description` is shown to developers and holds no secret."""

    def __init__(self, error: str, description: str, *, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status
        self.headers = dict(headers or {})


def invalid_request(description: str) -> OAuthError:
    """Make the error for a request with a missing or repeated parameter."""
    return OAuthError("invalid_request", description)


def invalid_grant(description: str) -> OAuthError:
    """Make the error for a code, token or other grant that is not valid."""
    return OAuthError("invalid_grant", description)


def invalid_client(description: str, *, basic: bool = False) -> OAuthError:
    """Make the error for failed client authentication; with `basic` the header that RFC 6749 section 5.2 asks for."""
    headers = {"WWW-Authenticate": 'Basic realm="latchpin", charset="UTF-8"'} if basic else {}
    return OAuthError("invalid_client", description, status=401, headers=headers)


def invalid_scope(description: str) -> OAuthError:
    """Make the error for a scope that is unknown, or more than allowed."""
    return OAuthError("invalid_scope", description)


def invalid_target(description: str) -> OAuthError:
    """Make the refusal of a resource (RFC 8707 section 2)."""
    return OAuthError("invalid_target", description)


def unauthorized_client(description: str) -> OAuthError:
    """Make the refusal of a grant that this client may not use."""
    return OAuthError("unauthorized_client", description)
