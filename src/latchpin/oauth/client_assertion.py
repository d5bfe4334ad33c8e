"""Client authentication by a signed assertion: `private_key_jwt` (RFC 7523 section 3, OpenID Connect Core section 9)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin
from latchpin.errors import Throttled
from latchpin.identity.jwk import ED25519
from latchpin.kit import clock
from latchpin.oauth.authorization_server import AuthorizationServer
from latchpin.oauth.clients import Client
from latchpin.oauth.errors import invalid_client, invalid_request
from latchpin.oauth.params import Params
from latchpin.storage.models import AssertionId
from latchpin.storage.upsert import insert

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("RS256", "PS256", "ES256", *ED25519)
LONGEST_SECONDS = 3600  # Authlib's default
MOST_REMEMBERED = 10_000  # assertions of one client that have not expired
_ENDPOINTS = ("token", "par", "device_authorization", "introspect", "revoke")  # the endpoints where clients authenticate, below /api/oauth
_MOST_ASSERTION, _MOST_NAME = 8192, 500
_SKEW_SECONDS = 60
_WAIT_SECONDS = 60
_TOO_MANY = f"this client has {MOST_REMEMBERED} assertions that have not expired; make them live a minute, not an hour"


class _Algorithms(jws.JWSRegistry):
    """The accepted algorithms and no others. The library would warn about `EdDSA`, the name that most clients use."""

    def get_alg(self, name: str) -> Any:  # noqa: ANN401  a private type of the library
        """Return an algorithm; raises a JoseError for any other, `none` and HMAC among them (RFC 8725 section 3.1)."""
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


_REGISTRY = _Algorithms()


def claimed_client(params: Params) -> str:
    """Return the client that an assertion names, not yet verified; raises OAuthError."""
    if params.get("client_assertion_type") != TYPE:
        raise invalid_request(f"client_assertion_type must be {TYPE}")
    claims = _unverified_claims(params.need("client_assertion"))
    subject = claims.get("sub")
    if not isinstance(subject, str) or claims.get("iss") != subject:
        raise invalid_client("the assertion's iss and sub must both be the client_id")
    return subject


def problem_of(assertion: str, issuer: str) -> str | None:
    """Return what is wrong with an assertion for any client, before the client is looked up; None where nothing is.

    It is reported to the sender: it depends on the assertion alone, so it reveals no clients. Raises OAuthError for a text that
    is not an assertion.
    """
    claims, now = _unverified_claims(assertion), clock.timestamp()
    jti, expires = claims.get("jti"), claims.get("exp")
    if not isinstance(jti, str) or not 1 <= len(jti) <= _MOST_NAME:
        return f"jti must be a text of 1 to {_MOST_NAME} characters"
    begins = [claims.get(name, 0) for name in ("nbf", "iat")]
    if not all(isinstance(each, int | float) and each <= now + _SKEW_SECONDS for each in begins):
        return f"nbf and iat must be numbers of seconds, and not in the future; our clock says {int(now)}"
    if not isinstance(expires, int | float) or not now < expires <= now + LONGEST_SECONDS + _SKEW_SECONDS:
        return f"exp must be in the future, and at most {LONGEST_SECONDS} seconds ahead; our clock says {int(now)}"
    if not _audience_is_ours(claims.get("aud"), issuer):
        return f"aud must be {issuer}, or the address of an endpoint of ours, and nobody else besides"
    return None


async def is_sound(server: AuthorizationServer, client: Client, assertion: str, origin: Origin) -> bool:
    """Whether an assertion that passed `problem_of` is the client's own: signed with one of its keys, and used for the first time.

    The list of used `jti` is in the database, so that every process refuses what one has accepted (security.md 61). Raises Throttled where
    the client has too many assertions that have not expired.
    """
    claims = _unverified_claims(assertion)
    if not claims.get("iss") == claims.get("sub") == client.client_id:
        return False
    if not _is_signed(assertion, await server.client_keys.of(client, _kid(assertion), origin)):
        return False
    return await _is_first_use(server, client, claims["jti"], claims["exp"])


def _audience_is_ours(audience: Any, issuer: str) -> bool:  # noqa: ANN401  whatever the JSON holds
    """Whether `aud` names only us: by the issuer or our endpoints, one of them or several (RFC 9126 section 2)."""
    ours = {issuer, *(f"{issuer}/api/oauth/{name}" for name in _ENDPOINTS)}
    audiences = audience if isinstance(audience, list) else [audience]
    return bool(audiences) and all(isinstance(each, str) and each in ours for each in audiences)


def _is_signed(assertion: str, keys: Sequence[Key]) -> bool:
    """Whether one of the keys made the signature; keys in the assertion's own header are ignored."""
    for key in keys:
        try:
            jws.deserialize_compact(assertion, key, registry=_REGISTRY)
        except (JoseError, ValueError, TypeError):
            continue
        return True
    return False


def _kid(assertion: str) -> str | None:
    kid = jws.extract_compact(assertion.encode("ascii"), registry=_REGISTRY).headers().get("kid")
    return kid if isinstance(kid, str) else None


def _unverified_claims(assertion: str) -> dict[str, Any]:
    try:
        if len(assertion) > _MOST_ASSERTION:
            raise ValueError  # noqa: TRY301  one error for all
        claims = msgspec.json.decode(jws.extract_compact(assertion.encode("ascii"), registry=_REGISTRY).payload or b"")
    except (JoseError, ValueError, RecursionError, msgspec.DecodeError):
        raise invalid_client("the client assertion cannot be read") from None
    if not isinstance(claims, dict):
        raise invalid_client("the client assertion cannot be read")
    return claims


async def _is_first_use(server: AuthorizationServer, client: Client, jti: str, expires: float) -> bool:
    """Mark an assertion as used; a prefix separates its `jti` from that of a DPoP proof, in the same table. Raises Throttled."""
    digest = sha256(f"assertion|{client.pk}|{jti}".encode(errors="surrogatepass")).digest()
    async with server.database.transaction() as session:
        if await _has_room(session, client.pk):
            row = insert(session, AssertionId).values(
                digest=digest, oauth_client_id=client.pk, expires_at=datetime.fromtimestamp(expires, UTC)
            )
            return await session.scalar(row.on_conflict_do_nothing().returning(AssertionId.digest)) is not None
    raise Throttled(_TOO_MANY, retry_after=_WAIT_SECONDS)


async def _has_room(session: AsyncSession, client_pk: int) -> bool:
    """Whether one more assertion of a client can be stored; expired ones are removed where room is needed."""
    last = select(AssertionId.digest).where(AssertionId.oauth_client_id == client_pk).offset(MOST_REMEMBERED - 1).limit(1)
    if await session.scalar(last) is None:
        return True
    await session.execute(delete(AssertionId).where(AssertionId.oauth_client_id == client_pk, AssertionId.expires_at < clock.now()))
    return await session.scalar(last) is None


async def purge_expired(session: AsyncSession) -> None:
    """Remove assertions, and DPoP proofs, that have expired."""
    await session.execute(delete(AssertionId).where(AssertionId.expires_at < clock.now()))
