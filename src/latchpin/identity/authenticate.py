"""From a presented API key to a principal: remembered for one generation, else asked of the database.

The order matters for strict revocation: the caller reads the generation, then looks the key up under it. What is remembered counts only
while the generation is still the same, and for a few seconds at most, so that even a process killed between a commit and the raising of
the shared counter leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import select

from latchpin.identity import credentials, scopes
from latchpin.identity.api_keys import label
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group
from latchpin.kit import clock
from latchpin.storage import Database
from latchpin.storage.models import ApiKey, User
from latchpin.storage.models.user import UserStatus
from latchpin.storage.secrets import Secrets

REMEMBERED_SECONDS = 5.0
REMEMBERED_KEYS = 10_000
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Reason(StrEnum):
    """Why a credential was refused: told to the audit trail, never to the caller."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown key"
    REVOKED = "revoked"
    EXPIRED = "expired"
    USER_DISABLED = "user disabled"
    WRONG_NETWORK = "address outside the key's networks"
    MISPLACED = "not in the Authorization header as ApiKey"
    TWO = "two credentials at once"
    IN_BROWSER = "sent by a web page"


@dataclass(slots=True)
class Verified:
    """A key that was found sound. `expires` and `checked` are seconds since the epoch; no `networks` means any address."""

    principal: Principal
    generation: int
    checked: float
    expires: float
    networks: tuple[_Network, ...]
    rate_limit: int | None
    noted: float = 0.0
    caller: str = field(init=False)

    def __post_init__(self) -> None:
        """Name the caller once, for rate limits and log lines."""
        self.caller = f"key:{self.principal.credential.id}"

    def admits(self, address: str | None) -> bool:
        """Whether the key may be used from this address; an unknown address is outside every network."""
        if not self.networks:
            return True
        try:
            client: _Address = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
            client = client.ipv4_mapped
        return any(client in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Refused:
    """A key that does not count, with what the audit trail may know of it."""

    reason: Reason
    organization_id: int | None = None
    user_id: int | None = None
    email: str | None = None
    key_id: int | None = None
    key_name: str = ""


class ApiKeys:
    """Verifies API keys for one process."""

    def __init__(self, database: Database, secrets: Secrets) -> None:
        self._database = database
        self._peppers = secrets.peppers
        self._remembered: dict[bytes, Verified] = {}
        self._asking: dict[tuple[bytes, int], asyncio.Future[Verified | Refused]] = {}

    def remembered(self, key: bytes, generation: int) -> Verified | None:
        """Return what was verified under this very generation, or None. Costs one hash (0.4 us where it was measured).

        The memory is keyed by SHA-256, not by the stored HMAC: it holds no key either way, and this is four times cheaper.
        """
        found = self._remembered.get(sha256(key).digest())
        if found is None or found.generation != generation:
            return None
        now = clock.timestamp()
        if now >= found.expires or now - found.checked > REMEMBERED_SECONDS:
            return None
        return found

    def malformed(self, key: bytes) -> Refused | None:
        """Return the refusal of text that cannot be a key (form, checksum), or None where it could be one."""
        text = key.decode("ascii", "replace")
        return None if credentials.is_well_formed(text) else Refused(Reason.MALFORMED, key_name=_shown(text))

    async def look_up(self, key: bytes, generation: int) -> Verified | Refused:
        """Ask the database for a key. `generation` must have been read before this call. Raises Unavailable.

        Text that cannot be a key (form, checksum) is refused without asking.
        """
        if malformed := self.malformed(key):
            return malformed
        asked = (sha256(key).digest(), generation)
        asking = self._asking.get(asked)
        if asking is None:  # requests that come together ask once: under one generation the answer is the same for all
            asking = self._asking[asked] = asyncio.ensure_future(self._ask(key, generation))
            asking.add_done_callback(lambda _: self._asking.pop(asked, None))
        return await asyncio.shield(asking)

    async def _ask(self, key: bytes, generation: int) -> Verified | Refused:
        digests = [credentials.key_digest(key, pepper) for pepper in self._peppers.values()]
        async with self._database.read() as session:
            row = (
                await session.execute(select(ApiKey, User).join(User, User.id == ApiKey.user_id).where(ApiKey.digest.in_(digests)))
            ).one_or_none()
        if row is None:
            return Refused(Reason.UNKNOWN, key_name=credentials.display_prefix(key.decode("ascii")) + "...")
        found, user = row
        if reason := _fault(found, user):
            return Refused(reason, user.organization_id, user.id, user.email, found.id, label(found))
        verified = _verified(found, user, generation)
        self._remember(sha256(key).digest(), verified)
        return verified

    def _remember(self, digest: bytes, verified: Verified) -> None:
        if len(self._remembered) >= REMEMBERED_KEYS:
            self._remembered.pop(next(iter(self._remembered)))
        earlier = self._remembered.pop(digest, None)
        verified.noted = earlier.noted if earlier else 0.0
        self._remembered[digest] = verified


def _fault(key: ApiKey, user: User) -> Reason | None:
    if key.revoked is not None:
        return Reason.REVOKED
    if key.expires <= clock.now():
        return Reason.EXPIRED
    if user.status is not UserStatus.ACTIVE:
        return Reason.USER_DISABLED
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
        clock.timestamp(),
        key.expires.timestamp(),
        tuple(ipaddress.ip_network(network) for network in key.networks.split()),
        key.rate_limit,
    )


def _shown(text: str) -> str:
    """Return what may be told of junk: only the fixed prefix, since the rest may be a mistyped secret."""
    return f"{credentials.PREFIX}..." if text.startswith(credentials.PREFIX) else "not a key of this product"
