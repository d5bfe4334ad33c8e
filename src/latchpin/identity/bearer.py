"""From a presented access token to a principal: remembered for one generation, else verified and its grant looked up.

A grant is looked up once for all of its tokens, so a token that was never seen costs a signature and no query where its grant is known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from latchpin.identity import scopes, standing
from latchpin.identity.key_ring import KeyRing, NotSigned, WrongType, is_compact
from latchpin.identity.roles import CredentialKind
from latchpin.identity.standing import Standing
from latchpin.identity.tokens import ACCESS
from latchpin.identity.verified import CACHE_SECONDS, CredentialCache, Reason, Refused, Verified
from latchpin.kit import clock
from latchpin.kit.cache import Cache, SingleFlight
from latchpin.settings import Settings
from latchpin.storage import Database

_SKEW_SECONDS = 60


class AccessTokens:
    """Verifies access tokens for one process."""

    def __init__(self, database: Database, ring: KeyRing, settings: Settings) -> None:
        self._database = database
        self._ring = ring
        self._settings = settings
        self.cache = CredentialCache()
        self._standings = Cache[str, Standing | Refused](CACHE_SECONDS)
        self._lookups = SingleFlight[tuple[str, int], Standing | Refused]()

    def remembered(self, token: bytes, generation: int) -> Verified | None:
        """Return what was verified under this very generation, or None."""
        return self.cache.get(token, generation)

    def malformed(self, token: bytes) -> Refused | None:
        """Return the refusal of text that cannot be a token of ours, which needs no database to tell, or None."""
        if is_compact(token):
            return None
        return Refused(Reason.MALFORMED, kind=CredentialKind.ACCESS_TOKEN, name="not a token")

    async def look_up(self, token: bytes, generation: int) -> Verified | Refused:
        """Verify a token and look its grant up. `generation` must have been read before this call. Raises Unavailable.

        The checks are those of RFC 9068 section 4, the grant's state and what the token claims of its user besides.
        """
        found = await self.read(token, generation)
        if isinstance(found, Refused):
            return self.malformed(token) or found
        claims, stands = found
        audience = claims["aud"]
        if not stands.audiences.intersection(audience if isinstance(audience, list) else [audience]):
            return refused(Reason.WRONG_AUDIENCE, stands)
        granted = stands.principal.scopes & scopes.api(claims["scope"].split())
        principal = stands.principal if granted == stands.principal.scopes else replace(stands.principal, scopes=granted)
        expires = min(float(claims["exp"]), stands.expires)
        verified = Verified(principal, generation, clock.monotonic(), expires, stands.networks, stands.rate_limit, thumbprint(claims))
        if stands.api_key_id is not None:
            verified.caller = f"key:{stands.api_key_id}"  # an exchanged key's tokens share its limit
        self.cache.put(token, verified)
        return verified

    async def read(self, token: bytes, generation: int) -> tuple[dict[str, Any], Standing] | Refused:
        """Return the claims and the standing of any sound access token of ours, whatever resource it is for."""
        await self._ring.ready(generation)
        try:
            claims = self._ring.verify(token, typ=ACCESS)
        except WrongType:
            return Refused(Reason.WRONG_TYPE, kind=CredentialKind.ACCESS_TOKEN, name="another kind of token")
        except NotSigned:
            if not await self._ring.look_again(token):
                return Refused(Reason.NOT_OURS, kind=CredentialKind.ACCESS_TOKEN, name="unknown token")
            return await self.read(token, generation)
        now = clock.timestamp()
        if claims.get("iss") != self._settings.public_url or not _has_form(claims):
            return Refused(Reason.NOT_OURS, kind=CredentialKind.ACCESS_TOKEN, name="unknown token")
        stands = await self.standing(claims["sid"], generation)
        if isinstance(stands, Refused):
            return stands
        return _fault(claims, stands, now) or (claims, stands)

    async def standing(self, sid: str, generation: int) -> Standing | Refused:
        """Return where the grant stands that tokens name `sid`, looked up once per generation; raises Unavailable."""
        known = self._standings.get(sid, generation)
        if known is not None:
            return known
        return await self._lookups.run((sid, generation), lambda: self._ask(sid, generation))

    async def _ask(self, sid: str, generation: int) -> Standing | Refused:
        checked = clock.monotonic()
        async with self._database.read() as session:
            found = await standing.of_sid(session, sid, self._settings)
        self._standings.put(sid, found, generation, since=checked)
        return found


def thumbprint(claims: dict[str, Any]) -> str | None:
    """Return the thumbprint of the key that a sound token is bound to (RFC 9449 section 6.1), or None for one that anybody may bear."""
    bound = claims.get("cnf")
    return None if bound is None else str(bound["jkt"])


def _has_form(claims: dict[str, Any]) -> bool:
    """Whether the claims are of the types that RFC 9068 section 2.2 says: whoever signed something else, it is no access token of ours."""
    audience = claims.get("aud")
    return (
        all(isinstance(claims.get(name), str) for name in ("sub", "client_id", "scope", "jti", "sid"))
        and claims["sid"].isascii()
        and claims["sid"].isprintable()
        and all(type(claims.get(name, 0)) in (int, float) for name in ("exp", "iat", "nbf"))  # a bool is no time
        and "exp" in claims
        and ("cnf" not in claims or (isinstance(claims["cnf"], dict) and isinstance(claims["cnf"].get("jkt"), str)))
        and (isinstance(audience, str) or (isinstance(audience, list) and all(isinstance(each, str) for each in audience)))
    )


def _fault(claims: dict[str, Any], stands: Standing, now: float) -> Refused | None:
    reason = None
    if now >= claims["exp"] or now >= stands.expires:
        reason = Reason.EXPIRED
    elif max(claims.get("nbf", 0), claims.get("iat", 0)) > now + _SKEW_SECONDS:
        reason = Reason.NOT_YET
    elif claims["jti"] in stands.revoked:
        reason = Reason.REVOKED
    elif claims["sub"] != stands.subject or claims["client_id"] != stands.client_id:
        reason = Reason.NOT_OURS
    elif not stands.membership.covers(claims):
        reason = Reason.MEMBERSHIP_LOST
    return refused(reason, stands) if reason else None


def refused(reason: Reason, stands: Standing) -> Refused:
    """Make the refusal of a token whose grant is known, for the audit trail."""
    who = stands.principal
    return Refused(
        reason, who.organization_id, who.user_id or None, who.email, stands.grant_id, stands.client_name, CredentialKind.ACCESS_TOKEN
    )
