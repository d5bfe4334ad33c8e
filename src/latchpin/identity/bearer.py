"""From a presented access token to a principal: cached until what it depends on changes, else verified and its grant looked up.

A grant is looked up once for all of its tokens: a new token of a cached grant costs a signature check and no query.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from latchpin.identity import active_grant, scopes
from latchpin.identity.active_grant import ActiveGrant
from latchpin.identity.key_ring import InvalidSignature, KeyRing, WrongType, is_compact
from latchpin.identity.roles import CredentialKind
from latchpin.identity.tokens import ACCESS
from latchpin.identity.verified import CACHE_SECONDS, CredentialCache, RejectedCredential, RejectionReason, Verified
from latchpin.kit import clock
from latchpin.kit.cache import Cache, Holds, SingleFlight
from latchpin.settings import Settings
from latchpin.storage import Database
from latchpin.storage.subjects import SIGNING_KEYS

_SKEW_SECONDS = 60
_REFUSED_SECONDS = 5.0  # an inactive grant may become active by a change that raises no generation, such as an approval


class AccessTokenVerifier:
    """Verifies access tokens for one process."""

    def __init__(self, database: Database, ring: KeyRing, settings: Settings, holds: Holds | None = None) -> None:
        self._database = database
        self._ring = ring
        self._settings = settings
        self.cache = CredentialCache(holds=holds)
        self._grants = Cache[str, ActiveGrant](CACHE_SECONDS, holds=holds)
        self._refused = Cache[str, RejectedCredential](_REFUSED_SECONDS)
        self._lookups = SingleFlight[tuple[str, int], ActiveGrant | RejectedCredential]()

    def cached(self, token: bytes, generation: int) -> Verified | None:
        """Return the cached result if it is valid under this generation, or None."""
        return self.cache.get(token, generation)

    def malformed(self, token: bytes) -> RejectedCredential | None:
        """Return a rejection for text that cannot be our token, found without the database, or None."""
        if is_compact(token):
            return None
        return RejectedCredential(RejectionReason.MALFORMED, kind=CredentialKind.ACCESS_TOKEN, name="not a token")

    async def look_up(self, token: bytes, generation: int) -> Verified | RejectedCredential:
        """Verify a token and look its grant up. `generation` must have been read before this call. Raises Unavailable.

        The checks are those of RFC 9068 section 4, the grant's state, and the token's claims about its user.
        """
        result = await self.read(token, generation)
        if isinstance(result, RejectedCredential):
            return self.malformed(token) or result
        claims, active = result
        audience = claims["aud"]
        if not active.audiences.intersection(audience if isinstance(audience, list) else [audience]):
            return rejected(RejectionReason.WRONG_AUDIENCE, active)
        granted = active.principal.scopes & scopes.api(claims["scope"].split())
        principal = active.principal if granted == active.principal.scopes else replace(active.principal, scopes=granted)
        expires, slots = min(float(claims["exp"]), active.look_again_at), (*active.slots, SIGNING_KEYS.slot)
        limits = active.networks, active.rate_limit
        verified = Verified(principal, generation, clock.monotonic(), expires, *limits, thumbprint(claims), slots)
        if active.api_key_id is not None:
            verified.limiter_key = f"key:{active.api_key_id}"  # an exchanged key's tokens share its limit
        self.cache.put(token, verified)
        return verified

    async def read(self, token: bytes, generation: int) -> tuple[dict[str, Any], ActiveGrant] | RejectedCredential:
        """Return the claims and the active grant of any valid access token of ours, whatever resource it is for."""
        await self._ring.ready(generation)
        try:
            claims = self._ring.verify(token, typ=ACCESS)
        except WrongType:
            return RejectedCredential(RejectionReason.WRONG_TYPE, kind=CredentialKind.ACCESS_TOKEN, name="another kind of token")
        except InvalidSignature:
            if not await self._ring.look_again(token):
                return RejectedCredential(RejectionReason.NOT_OURS, kind=CredentialKind.ACCESS_TOKEN, name="unknown token")
            return await self.read(token, generation)
        now = clock.timestamp()
        if claims.get("iss") != self._settings.public_url or not _has_form(claims):
            return RejectedCredential(RejectionReason.NOT_OURS, kind=CredentialKind.ACCESS_TOKEN, name="unknown token")
        active = await self.active_grant(claims["sid"], generation)
        if isinstance(active, RejectedCredential):
            return active
        return _rejection_reason(claims, active, now) or (claims, active)

    async def active_grant(self, sid: str, generation: int) -> ActiveGrant | RejectedCredential:
        """Return the state of the grant whose tokens have this `sid`, looked up where it is not cached; raises Unavailable."""
        cached = self._grants.get(sid, generation)
        if cached is not None and clock.timestamp() < cached.look_again_at:
            return cached
        if refused := self._refused.get(sid, generation):
            return refused
        return await self._lookups.run((sid, generation), lambda: self._load(sid, generation))

    async def _load(self, sid: str, generation: int) -> ActiveGrant | RejectedCredential:
        checked = clock.monotonic()
        async with self._database.read() as session:
            grant = await active_grant.by_sid(session, sid, self._settings)
        if isinstance(grant, RejectedCredential):
            self._refused.put(sid, grant, generation, since=checked)
        else:
            self._grants.put(sid, grant, generation, since=checked, slots=grant.slots)
        return grant


def thumbprint(claims: dict[str, Any]) -> str | None:
    """Return the thumbprint of the key that a valid token is bound to (RFC 9449 section 6.1), or None for a bearer token."""
    bound = claims.get("cnf")
    return None if bound is None else str(bound["jkt"])


def _has_form(claims: dict[str, Any]) -> bool:
    """Whether the claims have the types of RFC 9068 section 2.2: anything else is no access token of ours, whoever signed it."""
    audience = claims.get("aud")
    return (
        all(isinstance(claims.get(name), str) for name in ("sub", "client_id", "scope", "jti", "sid"))
        and claims["sid"].isascii()
        and claims["sid"].isprintable()
        and all(type(claims.get(name, 0)) in (int, float) for name in ("exp", "iat", "nbf"))  # bool is a subclass of int, but no time
        and "exp" in claims
        and ("cnf" not in claims or (isinstance(claims["cnf"], dict) and isinstance(claims["cnf"].get("jkt"), str)))
        and (isinstance(audience, str) or (isinstance(audience, list) and all(isinstance(each, str) for each in audience)))
    )


def _rejection_reason(claims: dict[str, Any], active: ActiveGrant, now: float) -> RejectedCredential | None:
    reason = None
    if now >= claims["exp"] or now >= active.expires_at:
        reason = RejectionReason.EXPIRED
    elif max(claims.get("nbf", 0), claims.get("iat", 0)) > now + _SKEW_SECONDS:
        reason = RejectionReason.NOT_YET
    elif claims["jti"] in active.revoked:
        reason = RejectionReason.REVOKED
    elif claims["sub"] != active.subject or claims["client_id"] != active.client_id:
        reason = RejectionReason.NOT_OURS
    elif not active.membership.covers(claims):
        reason = RejectionReason.MEMBERSHIP_LOST
    return rejected(reason, active) if reason else None


def rejected(reason: RejectionReason, active: ActiveGrant) -> RejectedCredential:
    """Make the rejection of a token whose grant is known, for the audit log."""
    principal = active.principal
    return RejectedCredential(
        reason,
        principal.organization_id,
        principal.user_id or None,
        principal.email,
        active.grant_id,
        active.client_name,
        CredentialKind.ACCESS_TOKEN,
    )
