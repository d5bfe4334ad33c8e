"""The result of checking a credential: verified or rejected, and the cache of verified credentials.

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

CACHE_SECONDS = 300.0  # seconds until the next lookup, for changes that raise no generation, such as an added right
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_LIMITER_NAMES = {CredentialKind.API_KEY: "key", CredentialKind.ACCESS_TOKEN: "grant"}


class RejectionReason(StrEnum):
    """Why a credential was rejected: for the audit log, never for the caller."""

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
    """A verified credential. `expires_at` is in seconds since the epoch, `checked` and `last_recorded` on the monotonic clock.

    No `networks` means any address.

    `name` is unique to the credential; `limiter_key` is the name that rate limits count, for an exchanged token its API key's.
    `jkt` is the thumbprint of the key that a token is bound to: whoever presents it must prove possession of that key (RFC 9449).
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
        """Set the names for rate limits and log lines once."""
        self.name = self.limiter_key = name_of(self.principal)

    def admits(self, address: str | None) -> bool:
        """Whether the credential may be used from this address; an unknown address is in no network."""
        return admits(self.networks, address)


def name_of(principal: Principal) -> str:
    """Return the unique name of a principal's credential, such as `key:7`."""
    credential = principal.credential
    return f"{_LIMITER_NAMES.get(credential.kind, credential.kind)}:{credential.id}"


def admits(networks: Sequence[_Network], address: str | None) -> bool:
    """Whether an address is in one of the networks. Without networks every address is allowed; otherwise an unknown one is not."""
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
    """A credential that is not valid, with what the audit log may store about it; `id` and `name` are the key's or the grant's."""

    reason: RejectionReason
    organization_id: int | None = None
    user_id: int | None = None
    email: str | None = None
    id: int | None = None
    name: str = ""
    kind: CredentialKind = CredentialKind.API_KEY


def refusal_of(principal: Principal, reason: RejectionReason) -> RejectedCredential:
    """Make the rejection of a credential that is valid in itself."""
    credential, user_id = principal.credential, principal.user_id or None
    return RejectedCredential(reason, principal.organization_id, user_id, principal.email, credential.id, credential.name, credential.kind)


class CredentialCache:
    """The credentials that one process has verified, by their SHA-256: it holds no credential itself."""

    def __init__(self, capacity: int = CAPACITY, holds: Holds | None = None) -> None:
        self.verified = Cache[bytes, Verified](CACHE_SECONDS, capacity, holds)

    def get(self, presented: bytes, generation: int) -> Verified | None:
        """Return the cached result if it is valid under this generation, or None. Costs one hash (0.4 us as measured for a key)."""
        verified = self.verified.get(sha256(presented).digest(), generation)
        return None if verified is None or clock.timestamp() >= verified.expires_at else verified

    def put(self, presented: bytes, verified: Verified) -> None:
        """Add a verified credential."""
        digest = sha256(presented).digest()
        earlier = self.verified.put(digest, verified, verified.generation, since=verified.checked, slots=verified.slots)
        verified.last_recorded = earlier.last_recorded if earlier else -math.inf
