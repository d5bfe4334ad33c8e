"""From a presented API key to a principal: cached until something that it depends on changes, else looked up in the database."""

from __future__ import annotations

import ipaddress
from functools import cache
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, or_, select

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
        """Return the cached result if it is valid under this generation, or None."""
        return self.cache.get(key, generation)

    def malformed(self, key: bytes) -> RejectedCredential | None:
        """Return a rejection for text that cannot be a key (form, checksum), or None where it could be one."""
        text = key.decode("ascii", "replace")
        return None if credentials.is_well_formed(text) else RejectedCredential(RejectionReason.MALFORMED, name=_printable(text))

    async def look_up(self, key: bytes, generation: int) -> Verified | RejectedCredential:
        """Look a key up in the database. `generation` must have been read before this call. Raises Unavailable.

        Text that cannot be a key (form, checksum) is rejected without a query.
        """
        if malformed := self.malformed(key):
            return malformed
        # Under one generation the answer is the same for all concurrent requests.
        return await self._lookups.run((sha256(key).digest(), generation), lambda: self._load(key, generation))

    async def _load(self, key: bytes, generation: int) -> Verified | RejectedCredential:
        digests = {f"digest_{place}": credentials.key_digest(key, pepper) for place, pepper in enumerate(self._peppers.values())}
        row = await self._database.executor.find(_by_digest(len(digests)), digests)
        if row is None:
            return RejectedCredential(RejectionReason.UNKNOWN, name=credentials.display_prefix(key.decode("ascii")) + "...")
        if reason := _rejection_reason(row):
            return RejectedCredential(reason, row.organization_id, row.user_id, row.email, row.id, label(row))
        verified = _verified(row, generation)
        self.cache.put(key, verified)
        return verified


@cache
def _by_digest(count: int) -> Select[Any]:
    """Query a key with its user by this number of digests. Cached: building the statement takes longer than running it."""
    key, user = ApiKey.__table__, User.__table__
    columns: list[ColumnElement[Any]] = [
        *(key.c.id, key.c.description, key.c.prefix, key.c.scopes, key.c.networks, key.c.rate_limit),
        *(key.c.expires_at, key.c.revoked_at, key.c.user_id),
        *(user.c.organization_id, user.c.full_name, user.c.email, user.c.user_group, user.c.status),
    ]
    has_digest = or_(*(key.c.digest == bindparam(f"digest_{place}") for place in range(count)))
    return select(*columns).select_from(key.join(user, user.c.id == key.c.user_id)).where(has_digest)


def _rejection_reason(row: Row[Any]) -> RejectionReason | None:
    status = active_keys.status(row)
    if status != "active":
        return RejectionReason.REVOKED if status == "revoked" else RejectionReason.EXPIRED
    if row.status is not UserStatus.ACTIVE:
        return RejectionReason.USER_DISABLED
    return None


def _verified(row: Row[Any], generation: int) -> Verified:
    principal = Principal(
        user_id=row.user_id,
        organization_id=row.organization_id,
        full_name=row.full_name,
        email=row.email,
        group=Group(row.user_group),
        credential=Credential(CredentialKind.API_KEY, row.id, label(row)),
        scopes=scopes.parse(row.scopes),
    )
    return Verified(
        principal,
        generation,
        clock.monotonic(),
        row.expires_at.timestamp(),
        tuple(ipaddress.ip_network(network) for network in row.networks.split()),
        row.rate_limit,
        slots=subjects.slots(subjects.key(row.id), subjects.user(row.user_id), subjects.organization(row.organization_id)),
    )


def _printable(text: str) -> str:
    """Return the part of malformed text that may be logged: only the fixed prefix, since the rest may be a mistyped secret."""
    return f"{credentials.PREFIX}..." if text.startswith(credentials.PREFIX) else "not a key of this product"
