"""What checking a credential comes to: sound or refused, and the memory of what was sound.

The order matters for strict revocation: the caller reads the generation, then looks the credential up under it (kit/cache.py).
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from latchpin.identity.principal import Principal
from latchpin.identity.roles import CredentialKind
from latchpin.kit import clock
from latchpin.kit.cache import CAPACITY, Cache, Holds

CACHE_SECONDS = 300.0  # after which is asked again even for what no change was told of, such as a right that grew
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_LIMITER_NAMES = {CredentialKind.API_KEY: "key", CredentialKind.ACCESS_TOKEN: "grant"}


class RejectionReason(StrEnum):
    """Why a credential was refused: told to the audit trail, never to the caller."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown key"
    REVOKED = "revoked"
    EXPIRED = "expired"
    USER_DISABLED = "user disabled"
    WRONG_NETWORK = "address outside the key's networks"
    MISPLACED = "not in the Authorization header as ApiKey"
    MISPLACED_TOKEN = "not in the Authorization header as Bearer"  # noqa: S105  a reason
    TWO = "two credentials at once"
    IN_BROWSER = "sent by a web page"
    NOT_OURS = "token that this deployment did not sign"
    WRONG_TYPE = "token that is no access token"
    WRONG_AUDIENCE = "token for another resource"
    NOT_YET = "token from the future"
    GRANT_ENDED = "grant ended"
    CLIENT_REVOKED = "app revoked"
    SESSION_ENDED = "browser session ended"
    NOT_PROVED = "wrong client secret or assertion"
    WRONG_METHOD = "another client authentication method than the app's"
    MEMBERSHIP_LOST = "token claims more than its user has now"
    BOUND = "token bound to a key, sent as Bearer"
    UNBOUND = "token bound to no key, sent as DPoP"
    PROOF_MISSING = "no DPoP proof"
    PROOF_MALFORMED = "DPoP proof that cannot be read"
    PROOF_KEY = "DPoP proof with an unacceptable key or algorithm"
    PROOF_SIGNATURE = "DPoP proof with a wrong signature"
    PROOF_REQUEST = "DPoP proof for another request"
    PROOF_TIME = "DPoP proof of another time"
    PROOF_TOKEN = "DPoP proof for another token"  # noqa: S105  a reason
    PROOF_NONCE = "DPoP proof without a nonce of ours"
    PROOF_OTHER_KEY = "DPoP proof of another key"
    PROOF_REPLAYED = "DPoP proof used twice"


@dataclass(slots=True)
class Verified:
    """A credential that was found sound. `expires_at` is in seconds since the epoch, `checked` and `last_recorded` on the monotonic clock.

    No `networks` means any address.

    `name` tells the credential apart from every other; `limiter_key` is whom its limits count for, the key of an exchanged token.
    `jkt` is the thumbprint of the key that a token is bound to: whoever presents it has to prove that key (RFC 9449).
    `slots` are those of the subjects that it depends on (storage/subjects.py).
    """

    principal: Principal
    generation: int
    checked: float
    expires_at: float
    networks: tuple[_Network, ...] = ()
    rate_limit: int | None = None
    jkt: str | None = None
    slots: tuple[int, ...] = ()
    last_recorded: float = -math.inf
    name: str = field(init=False)
    limiter_key: str = field(init=False)

    def __post_init__(self) -> None:
        """Name the caller once, for rate limits and log lines."""
        self.name = self.limiter_key = name_of(self.principal)

    def admits(self, address: str | None) -> bool:
        """Whether the credential may be used from this address; an unknown address is outside every network."""
        return admits(self.networks, address)


def name_of(principal: Principal) -> str:
    """Return the name by which a principal's credential is told apart, such as `key:7`."""
    credential = principal.credential
    return f"{_LIMITER_NAMES.get(credential.kind, credential.kind)}:{credential.id}"


def admits(networks: Sequence[_Network], address: str | None) -> bool:
    """Whether an address is in one of the networks; with none every address is, and with some an unknown address is outside."""
    if not networks:
        return True
    try:
        client: _Address = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    return any(client in network for network in networks)


@dataclass(frozen=True, slots=True)
class RejectedCredential:
    """A credential that does not count, with what the audit trail may know of it; `id` and `name` are the key's or the grant's."""

    reason: RejectionReason
    organization_id: int | None = None
    user_id: int | None = None
    email: str | None = None
    id: int | None = None
    name: str = ""
    kind: CredentialKind = CredentialKind.API_KEY


def refusal_of(principal: Principal, reason: RejectionReason) -> RejectedCredential:
    """Make the refusal of a credential that is sound in itself."""
    credential, user_id = principal.credential, principal.user_id or None
    return RejectedCredential(reason, principal.organization_id, user_id, principal.email, credential.id, credential.name, credential.kind)


class CredentialCache:
    """What one process has verified, by the SHA-256 of what was presented: it holds no credential."""

    def __init__(self, capacity: int = CAPACITY, holds: Holds | None = None) -> None:
        self.verified = Cache[bytes, Verified](CACHE_SECONDS, capacity, holds)

    def get(self, presented: bytes, generation: int) -> Verified | None:
        """Return what was verified and counts under this generation, or None. Costs one hash (0.4 us where it was measured for a key)."""
        verified = self.verified.get(sha256(presented).digest(), generation)
        return None if verified is None or clock.timestamp() >= verified.expires_at else verified

    def put(self, presented: bytes, verified: Verified) -> None:
        """Remember what was found sound."""
        digest = sha256(presented).digest()
        earlier = self.verified.put(digest, verified, verified.generation, since=verified.checked, slots=verified.slots)
        verified.last_recorded = earlier.last_recorded if earlier else -math.inf
