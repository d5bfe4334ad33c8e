"""Access tokens and ID tokens: what goes into them (RFC 9068, OpenID Connect Core section 2)."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from latchpin.identity import scopes
from latchpin.identity.active_grant import ActiveGrant
from latchpin.identity.jwk import ED25519
from latchpin.identity.key_ring import KeyRing
from latchpin.kit import clock
from latchpin.settings import Settings

ACCESS = "at+jwt"
ID = "jwt"
_SPACES = "/api/v1/spaces"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A newly signed token; `expires_in` is in seconds."""

    token: str = field(repr=False)
    jti: str
    scope: str
    expires_in: int


def default_audience(settings: Settings) -> list[str]:
    """Return the audience of a token requested without a resource: our API by its own name, and by the name of the public API."""
    return [settings.public_url, settings.legacy_audience] if settings.legacy_audience else [settings.public_url]


def access_token(
    ring: KeyRing,
    settings: Settings,
    active: ActiveGrant,
    *,
    scope: Iterable[str],
    resource: Sequence[str] = (),
    jkt: str | None = None,
) -> AccessToken:
    """Sign an access token (RFC 9068 section 2) for a grant; `scope` must be within its scopes, `resource` within its resources.

    It is valid for `access_token_minutes`, or as long as the grant if that is less. With `jkt` it is bound to the key of that thumbprint
    (RFC 9449 section 6.1).
    """
    now = int(clock.timestamp())
    expires = min(now + settings.access_token_minutes * 60, int(active.expires_at))
    audience = list(resource) or active.resource.split() or default_audience(settings)
    words = scopes.ordered(scope)
    claims: dict[str, Any] = {
        "iss": settings.public_url,
        "sub": active.subject,
        "aud": audience[0] if len(audience) == 1 else audience,
        "exp": expires,
        "iat": now,
        "jti": secrets.token_urlsafe(16),
        "client_id": active.client_id,
        "scope": words,
        "sid": active.sid,
        **active.membership.claims(),
    }
    if "spaces_omitted" in claims:
        claims["spaces_uri"] = settings.public_url + _SPACES
    if active.auth_time is not None:
        claims["auth_time"] = active.auth_time
    if jkt is not None:
        claims["cnf"] = {"jkt": jkt}
    return AccessToken(ring.sign(claims, typ=ACCESS), claims["jti"], words, expires - now)


def id_token(ring: KeyRing, settings: Settings, active: ActiveGrant, *, nonce: str | None = None, access: str | None = None) -> str:
    """Sign an ID token (OpenID Connect Core section 2) for the grant's client: it says who signed in, and gives no access."""
    now = int(clock.timestamp())
    claims: dict[str, Any] = {
        "iss": settings.public_url,
        "sub": active.subject,
        "aud": active.client_id,
        "exp": now + settings.access_token_minutes * 60,
        "iat": now,
        "sid": active.sid,
        **identity_claims(active),
    }
    if active.auth_time is not None:
        claims["auth_time"] = active.auth_time
    if nonce is not None:
        claims["nonce"] = nonce
    if access is not None:  # section 3.1.3.6; all our algorithms hash with SHA-256 but Ed25519, for which SHA-512 is customary
        digest = hashlib.sha512(access.encode()) if ring.algorithms[0] in ED25519 else hashlib.sha256(access.encode())
        half = digest.digest()[: digest.digest_size // 2]
        claims["at_hash"] = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    return ring.sign(claims, typ="JWT")


def identity_claims(active: ActiveGrant) -> dict[str, Any]:
    """Return the claims about a user for the scopes `profile` and `email` (OpenID Connect Core section 5.4)."""
    principal = active.principal
    claims: dict[str, Any] = {}
    if "profile" in active.granted:
        claims["name"] = principal.full_name
    if "email" in active.granted:
        claims["email"] = principal.email
        claims["email_verified"] = False  # an administrator typed the address; it was never verified
    return claims
