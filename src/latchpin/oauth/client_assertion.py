"""Client authentication by a signed assertion: `private_key_jwt` (RFC 7523 section 3, OpenID Connect Core section 9)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin
from latchpin.kit import clock
from latchpin.kit.jwk import ED25519
from latchpin.oauth.clients import Client
from latchpin.oauth.errors import invalid_client, invalid_request
from latchpin.oauth.params import Params
from latchpin.oauth.server import AuthorizationServer
from latchpin.storage.models import AssertionId
from latchpin.storage.upsert import insert

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("RS256", "PS256", "ES256", *ED25519)
LONGEST = timedelta(minutes=10)
_MOST_ASSERTION = 8192
_SKEW_SECONDS = 60


class _Algorithms(jws.JWSRegistry):
    """The accepted algorithms and no others. The library would warn of `EdDSA`, the name that most clients know."""

    def get_alg(self, name: str) -> Any:  # noqa: ANN401  a type that the library keeps to itself
        """Return an algorithm; raises a JoseError for any other, `none` and HMAC among them (RFC 8725 section 3.1)."""
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


_REGISTRY = _Algorithms()


def claimed_client(params: Params) -> str:
    """Return the client that an assertion claims to be, unproved; raises OAuthError."""
    if params.get("client_assertion_type") != TYPE:
        raise invalid_request(f"client_assertion_type must be {TYPE}")
    claims = _unproved(params.need("client_assertion"))
    subject = claims.get("sub")
    if not isinstance(subject, str) or claims.get("iss") != subject:
        raise invalid_client("the assertion's iss and sub must both be the client_id")
    return subject


async def is_sound(server: AuthorizationServer, client: Client, assertion: str, came_from: Origin) -> bool:
    """Whether an assertion is signed with one of the client's keys, for us, short-lived, and used for the first time.

    The list of used `jti` is in the database, so that every process refuses what one has taken (security.md 61).
    """
    claims = _unproved(assertion)
    if not (_is_about(claims, client) and _is_timely(claims) and _audience_is_ours(claims.get("aud"), server)):
        return False
    if not _is_signed(assertion, await server.client_keys.of(client, _kid(assertion), came_from)):
        return False
    return await _is_first_use(server, client, claims["jti"], claims["exp"])


def _is_about(claims: dict[str, Any], client: Client) -> bool:
    """Whether the client speaks of itself, and names the assertion."""
    jti = claims.get("jti")
    is_named = isinstance(jti, str) and 1 <= len(jti) <= 500  # noqa: PLR2004  as long as anybody needs
    return claims.get("iss") == claims.get("sub") == client.client_id and is_named


def _is_timely(claims: dict[str, Any]) -> bool:
    """Whether it counts now, and not for long."""
    now, expires = clock.timestamp(), claims.get("exp")
    begins = [claims.get(name, 0) for name in ("nbf", "iat")]
    if not all(isinstance(each, int | float) and each <= now + _SKEW_SECONDS for each in begins):
        return False
    return isinstance(expires, int | float) and now < expires <= now + LONGEST.total_seconds()


def _audience_is_ours(audience: Any, server: AuthorizationServer) -> bool:  # noqa: ANN401  whatever the JSON holds
    ours = {server.issuer, f"{server.issuer}/api/oauth/token"}
    return audience in ours if isinstance(audience, str) else isinstance(audience, list) and len(audience) == 1 and audience[0] in ours


def _is_signed(assertion: str, keys: Sequence[Key]) -> bool:
    """Whether one of the keys made the signature; keys that the assertion brings along in its header count for nothing."""
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


def _unproved(assertion: str) -> dict[str, Any]:
    try:
        if len(assertion) > _MOST_ASSERTION:
            raise ValueError  # noqa: TRY301  one refusal for all
        claims = msgspec.json.decode(jws.extract_compact(assertion.encode("ascii"), registry=_REGISTRY).payload or b"")
    except (JoseError, ValueError, RecursionError, msgspec.DecodeError):
        raise invalid_client("the client assertion cannot be read") from None
    if not isinstance(claims, dict):
        raise invalid_client("the client assertion cannot be read")
    return claims


async def _is_first_use(server: AuthorizationServer, client: Client, jti: str, expires: float) -> bool:
    """Take an assertion; the word tells it from a DPoP proof of the same name, which is remembered in the same place."""
    digest = sha256(f"assertion|{client.pk}|{jti}".encode(errors="surrogatepass")).digest()
    async with server.database.transaction() as session:
        row = insert(session, AssertionId).values(digest=digest, expires=datetime.fromtimestamp(expires, UTC))
        return await session.scalar(row.on_conflict_do_nothing().returning(AssertionId.digest)) is not None


async def sweep(session: AsyncSession) -> None:
    """Forget assertions, and DPoP proofs, that have expired."""
    await session.execute(delete(AssertionId).where(AssertionId.expires < clock.now()))
