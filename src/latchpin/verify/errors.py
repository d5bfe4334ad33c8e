"""Reasons to refuse a request, each with HTTP status and `WWW-Authenticate` header (RFC 6750 section 3, RFC 9449 section 7.1)."""

from __future__ import annotations

from collections.abc import Iterable

PROOFS = ("ES256", "Ed25519", "EdDSA", "PS256", "RS256")  # the algorithms of DPoP proofs


class VerificationError(Exception):
    """A refusal. Its text is for the caller's developer and never holds a token; `status` is the HTTP status to answer with.

    `scheme` is the authentication scheme of the token, or the expected one.
    """

    status = 401
    error: str | None = "invalid_token"
    scheme = "Bearer"

    def __init__(self, description: str = "", *, scopes: Iterable[str] = (), scheme: str = "") -> None:
        super().__init__(description or type(self).__name__)
        self.description = description
        self.scopes = tuple(scopes)
        if scheme:
            self.scheme = scheme

    def www_authenticate(self, resource_metadata: str | None = None) -> str:
        """Return the header's value. `resource_metadata` is the address of your RFC 9728 document, from which clients find the issuer."""
        parameters = {
            "error": self.error,
            "error_description": self.description if self.error else None,
            "scope": " ".join(self.scopes) or None,
            "resource_metadata": resource_metadata,
            "algs": " ".join(PROOFS) if self.scheme == "DPoP" else None,
        }
        parts = [f'{name}="{_quotable(value)}"' for name, value in parameters.items() if value]
        return f"{self.scheme} {', '.join(parts)}" if parts else self.scheme


class MissingToken(VerificationError):
    """No credential was sent; so the header names no error (RFC 6750 section 3.1)."""

    error = None


class InvalidToken(VerificationError):
    """The token is not valid. The client refreshes it, or asks its user again."""


class InvalidProof(VerificationError):
    """The proof of the key that the token is bound to is not valid. A client makes a new proof for each request."""

    error = "invalid_dpop_proof"
    scheme = "DPoP"


class InvalidRequest(VerificationError):
    """The token came in a wrong way: in the address, or twice (OAuth 2.1 section 5.1; security.md 53)."""

    status = 400
    error = "invalid_request"


class InsufficientScope(VerificationError):
    """The token is valid but lacks a scope; `scopes` are all that are required (RFC 6750 section 3.1; security.md 51)."""

    status = 403
    error = "insufficient_scope"


class IssuerUnreachable(VerificationError):
    """The issuer's metadata, keys or introspection cannot be fetched, so the token cannot be checked: answer 503, never accept it."""

    status = 503
    error = None


def _quotable(value: str) -> str:
    """Return what may stand in a quoted string (RFC 6750 section 3: no quotes, no backslash, printable ASCII only)."""
    return "".join(each if " " <= each <= "~" and each not in '"\\' else "?" for each in value)
