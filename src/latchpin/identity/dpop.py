"""Verifies one DPoP proof by itself (RFC 9449 section 4.3): signed by the key in its header, for this request, at this time. Pure.

`proofs` checks that its nonce is ours and that it is used for the first time.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key
from joserfc.util import urlsafe_b64decode

from latchpin.identity.jwk import ED25519, PRIVATE_MEMBERS
from latchpin.identity.verified import RejectionReason
from latchpin.kit import clock

SCHEME = "DPoP"
ALGORITHMS = ("ES256", *ED25519, "PS256", "RS256")
WINDOW_SECONDS = 60
MOST_BYTES = 8192  # enough for an RSA key of 4096 bits, its signature and a long URL
_MOST_NAME = 256
_TYPE = "dpop+jwt"
_COMPACT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LEAST_RSA_BITS, _MOST_RSA_BITS = 2048, 4096  # anybody may send a proof, and checking one with 8192 bits takes a millisecond
_MOST_EXPONENT = 8  # characters, 48 bits: an exponent as long as the modulus makes verifying as slow as signing
_PORTS = {"http": 80, "https": 443}
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# The members of a key of each algorithm (RFC 7638 section 3.2, RFC 8037 section 2), without those of fixed value.
_KEYS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "ES256": ({"kty": "EC", "crv": "P-256"}, ("x", "y")),
    **dict.fromkeys(ED25519, ({"kty": "OKP", "crv": "Ed25519"}, ("x",))),
    "PS256": ({"kty": "RSA"}, ("n", "e")),
    "RS256": ({"kty": "RSA"}, ("n", "e")),
}


@dataclass(frozen=True, slots=True)
class ProofRequirements:
    """What a proof must match: the method, our public address with the request's path, and the access token sent with it."""

    method: str
    url: str
    token: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that is valid in itself. `jkt` is its key's thumbprint (RFC 7638), `iat` in seconds since the epoch."""

    jkt: str
    jti: str
    iat: float
    nonce: str | None


@dataclass(frozen=True, slots=True)
class ProofError:
    """Why a proof is invalid. The detail is for the caller's developer: it is no secret to the sender of the proof."""

    reason: RejectionReason
    detail: str


class _InvalidProof(Exception):
    def __init__(self, reason: RejectionReason, detail: str) -> None:
        super().__init__(detail)
        self.error = ProofError(reason, detail)


def verify(presented: bytes, requirements: ProofRequirements) -> Proof | ProofError:
    """Check a proof for a request; `presented` is the DPoP header, where RequestContext joins two headers with a line break."""
    if b"\n" in presented:
        return ProofError(RejectionReason.PROOF_MALFORMED, "send exactly one DPoP header")
    if len(presented) > MOST_BYTES or _COMPACT.fullmatch(presented) is None:
        return ProofError(RejectionReason.PROOF_MALFORMED, f"the DPoP header must be one compact JWS of at most {MOST_BYTES} characters")
    try:
        jkt, claims = _decode(presented)
        return _verify_claims(jkt, claims, requirements)
    except _InvalidProof as unsound:
        return unsound.error


def _decode(presented: bytes) -> tuple[str, dict[str, Any]]:
    """Return the thumbprint of a proof's key and its claims, the signature checked; raises _Unsound."""
    signed, _, signature = presented.rpartition(b".")
    first, _, second = signed.partition(b".")
    header = _decode_object(first, "header")
    if header.get("typ") != _TYPE:
        raise _InvalidProof(RejectionReason.PROOF_MALFORMED, f"typ must be {_TYPE}")
    if "crit" in header:
        raise _InvalidProof(RejectionReason.PROOF_MALFORMED, "no critical header is known here")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _InvalidProof(RejectionReason.PROOF_KEY, f"alg must be one of {', '.join(ALGORITHMS)}")
    key = _key(algorithm, header.get("jwk"))
    try:
        # Taken from the registry directly: its `get_alg` warns about `EdDSA`, the name that most clients use.
        is_signed = jws.JWSRegistry.algorithms[algorithm].verify(signed, urlsafe_b64decode(signature), key)
    except (JoseError, ValueError):
        is_signed = False
    if not is_signed:
        raise _InvalidProof(RejectionReason.PROOF_SIGNATURE, "the signature is not that of the key in jwk")
    return key.thumbprint(), _decode_object(second, "payload")


def _decode_object(encoded: bytes, what: str) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(urlsafe_b64decode(encoded))
    except (ValueError, RecursionError):  # binascii's and msgspec's errors are ValueErrors
        decoded = None
    if not isinstance(decoded, dict):
        raise _InvalidProof(RejectionReason.PROOF_MALFORMED, f"the {what} is no JSON object")
    return decoded


def _key(algorithm: str, jwk: Any) -> Key:  # noqa: ANN401  whatever the JSON holds
    """Return the public key for an algorithm; raises _Unsound. Only the required members are read, as for its thumbprint."""
    fixed, members = _KEYS[algorithm]
    if not isinstance(jwk, dict):
        raise _InvalidProof(RejectionReason.PROOF_KEY, "jwk must hold the public key")
    if PRIVATE_MEMBERS & jwk.keys():
        raise _InvalidProof(RejectionReason.PROOF_KEY, "jwk holds a private or a symmetric key: treat it as exposed, and make a new one")
    if any(jwk.get(name) != value for name, value in fixed.items()) or not all(isinstance(jwk.get(name), str) for name in members):
        raise _InvalidProof(RejectionReason.PROOF_KEY, f"jwk is no key for {algorithm}")
    try:
        if "n" in members:
            _check_rsa(jwk["n"], jwk["e"])
        return JWKRegistry.import_key({**fixed, **{name: jwk[name] for name in members}})
    except (JoseError, ValueError):
        raise _InvalidProof(RejectionReason.PROOF_KEY, "jwk cannot be read") from None


def _check_rsa(modulus: str, exponent: str) -> None:
    """Refuse an RSA key that is too small to be safe or too large to check fast, before any computation; raises _Unsound, ValueError."""
    bits = int.from_bytes(urlsafe_b64decode(modulus.encode()), "big").bit_length()
    if not _LEAST_RSA_BITS <= bits <= _MOST_RSA_BITS:
        raise _InvalidProof(RejectionReason.PROOF_KEY, f"an RSA key needs {_LEAST_RSA_BITS} to {_MOST_RSA_BITS} bits")
    if len(exponent) > _MOST_EXPONENT:
        raise _InvalidProof(RejectionReason.PROOF_KEY, "the RSA key's exponent is too large; 65537 is usual")


def _verify_claims(jkt: str, claims: dict[str, Any], requirements: ProofRequirements) -> Proof:
    """Check the claims (sections 4.2 and 4.3); raises _Unsound."""
    jti, iat, nonce = claims.get("jti"), claims.get("iat"), claims.get("nonce")
    if not isinstance(jti, str) or not 1 <= len(jti) <= _MOST_NAME:
        raise _InvalidProof(RejectionReason.PROOF_MALFORMED, f"jti must be a text of 1 to {_MOST_NAME} characters")
    if not isinstance(nonce, str | None):
        raise _InvalidProof(RejectionReason.PROOF_MALFORMED, "nonce must be a text")
    if claims.get("htm") != requirements.method:
        raise _InvalidProof(RejectionReason.PROOF_REQUEST, f"htm must be {requirements.method}")
    if not _is_same(claims.get("htu"), requirements.url):
        raise _InvalidProof(RejectionReason.PROOF_REQUEST, f"htu must be {requirements.url}")
    now = clock.timestamp()
    if not isinstance(iat, int | float) or isinstance(iat, bool):
        raise _InvalidProof(RejectionReason.PROOF_TIME, "iat must be a number of seconds")
    if not now - WINDOW_SECONDS <= iat <= now + WINDOW_SECONDS:
        raise _InvalidProof(RejectionReason.PROOF_TIME, f"iat must be within {WINDOW_SECONDS} seconds of our clock, which says {int(now)}")
    if requirements.token is not None and not _is_of_token(claims.get("ath"), requirements.token):
        raise _InvalidProof(RejectionReason.PROOF_TOKEN, "ath must be the SHA-256 of the access token, in base64url without padding")
    return Proof(jkt, jti, float(iat), nonce)


def _is_of_token(ath: Any, token: bytes) -> bool:  # noqa: ANN401  whatever the JSON holds
    expected = base64.urlsafe_b64encode(sha256(token).digest()).rstrip(b"=")
    return isinstance(ath, str) and hmac.compare_digest(ath.encode(), expected)


def _is_same(htu: Any, url: str) -> bool:  # noqa: ANN401  whatever the JSON holds
    return isinstance(htu, str) and (htu == url or ((normalized := normalize_url(htu)) is not None and normalized == normalize_url(url)))


def normalize_url(url: str) -> str | None:
    """Return an http address without query and fragment in the one form of RFC 3986 sections 6.2.2 and 6.2.3, or None for anything else."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port  # raises where it is no number
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port_suffix = "" if port in (None, _PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{port_suffix}{_without_dots(_ESCAPED.sub(_escape, parts.path))}"


def _escape(match: re.Match[str]) -> str:
    letter = chr(int(match[1], 16))
    return letter if letter in _UNRESERVED else match[0].upper()


def _without_dots(path: str) -> str:
    output: list[str] = []
    segments = path.split("/")[1:] or [""]
    for segment in segments:
        if segment == "..":
            del output[-1:]
        elif segment != ".":
            output.append(segment)
    if segments[-1] in (".", ".."):
        output.append("")
    return "/" + "/".join(output)
