"""From a presented API key to a principal: remembered until something that it depends on changes, else asked of the database."""

from __future__ import annotations

import ipaddress
from hashlib import sha256

from sqlalchemy import select

from latchpin.identity import active_keys, credentials, scopes
from latchpin.identity.api_keys import label
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group
from latchpin.identity.verified import CredentialCache, RejectedCredential, RejectionReason, Verified
from latchpin.kit import clock
from latchpin.kit.cache import CAPACITY, Holds, SingleFlight
from latchpin.storage import Database, subjects
from latchpin.storage.models import ApiKey, User
from latchpin.storage.models.user import UserStatus
from latchpin.storage.secrets import Secrets


class ApiKeyVerifier:
    """Verifies API keys for one process."""

    def __init__(self, database: Database, secrets: Secrets, holds: Holds | None = None, *, capacity: int = CAPACITY) -> None:
        self._database = database
        self._peppers = secrets.peppers
        self.cache = CredentialCache(capacity, holds)
        self._lookups = SingleFlight[tuple[bytes, int], Verified | RejectedCredential]()

    def cached(self, key: bytes, generation: int) -> Verified | None:
        """Return what was verified and counts under this generation, or None."""
        return self.cache.get(key, generation)

    def malformed(self, key: bytes) -> RejectedCredential | None:
        """Return the refusal of text that cannot be a key (form, checksum), or None where it could be one."""
        text = key.decode("ascii", "replace")
        return None if credentials.is_well_formed(text) else RejectedCredential(RejectionReason.MALFORMED, name=_printable(text))

    async def look_up(self, key: bytes, generation: int) -> Verified | RejectedCredential:
        """Ask the database for a key. `generation` must have been read before this call. Raises Unavailable.

        Text that cannot be a key (form, checksum) is refused without asking.
        """
        if malformed := self.malformed(key):
            return malformed
        # Under one generation the answer is the same for all who come together.
        return await self._lookups.run((sha256(key).digest(), generation), lambda: self._load(key, generation))

    async def _load(self, key: bytes, generation: int) -> Verified | RejectedCredential:
        digests = [credentials.key_digest(key, pepper) for pepper in self._peppers.values()]
        async with self._database.read() as session:
            row = (
                await session.execute(select(ApiKey, User).join(User, User.id == ApiKey.user_id).where(ApiKey.digest.in_(digests)))
            ).one_or_none()
        if row is None:
            return RejectedCredential(RejectionReason.UNKNOWN, name=credentials.display_prefix(key.decode("ascii")) + "...")
        api_key, user = row
        if reason := _rejection_reason(api_key, user):
            return RejectedCredential(reason, user.organization_id, user.id, user.email, api_key.id, label(api_key))
        verified = _verified(api_key, user, generation)
        self.cache.put(key, verified)
        return verified


def _rejection_reason(key: ApiKey, user: User) -> RejectionReason | None:
    status = active_keys.status(key)
    if status != "active":
        return RejectionReason.REVOKED if status == "revoked" else RejectionReason.EXPIRED
    if user.status is not UserStatus.ACTIVE:
        return RejectionReason.USER_DISABLED
    return None


def _verified(key: ApiKey, user: User, generation: int) -> Verified:
    principal = Principal(
        user_id=user.id,
        organization_id=user.organization_id,
        full_name=user.full_name,
        email=user.email,
        group=Group(user.user_group),
        credential=Credential(CredentialKind.API_KEY, key.id, label(key)),
        scopes=scopes.parse(key.scopes),
    )
    return Verified(
        principal,
        generation,
        clock.monotonic(),
        key.expires_at.timestamp(),
        tuple(ipaddress.ip_network(network) for network in key.networks.split()),
        key.rate_limit,
        slots=subjects.slots(subjects.key(key.id), subjects.user(user.id), subjects.organization(user.organization_id)),
    )


def _printable(text: str) -> str:
    """Return what may be told of junk: only the fixed prefix, since the rest may be a mistyped secret."""
    return f"{credentials.PREFIX}..." if text.startswith(credentials.PREFIX) else "not a key of this product"
