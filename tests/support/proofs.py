"""A client that proves its key (RFC 9449), made with PyJWT: nothing of ours, and not the library that we check with."""

from __future__ import annotations

import base64
import json
import secrets
from hashlib import sha256
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import OKPAlgorithm, get_default_algorithms

from latchpin.kit import clock as kit_clock

if "Ed25519" not in get_default_algorithms():  # the library knows RFC 9864's name of EdDSA only once it is told
    jwt.register_algorithm("Ed25519", OKPAlgorithm())


def b64(data: bytes) -> str:
    """Write bytes as JOSE does."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Prover:
    """A key of a client, by default a new one for ES256; `nonce` is the last one that the server gave."""

    def __init__(self, key: Any = None, alg: str = "ES256") -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.alg = alg
        jwk = json.loads(jwt.get_algorithm_by_name(alg).to_jwk(self.key.public_key()))
        self.jwk: dict[str, str] = {name: jwk[name] for name in sorted({"kty", "crv", "x", "y", "n", "e"} & jwk.keys())}
        self.nonce: str | None = None

    @property
    def jkt(self) -> str:
        """The key's thumbprint (RFC 7638 section 3)."""
        return b64(sha256(json.dumps(self.jwk, separators=(",", ":"), sort_keys=True).encode()).digest())

    def proof(self, method: str, url: str, token: str | None = None, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a proof that is sound but for what the test says; None leaves a claim or a header out."""
        payload = {"htm": method, "htu": url, "iat": int(kit_clock.timestamp()), "jti": secrets.token_urlsafe(16), "nonce": self.nonce}
        if token is not None:
            payload["ath"] = b64(sha256(token.encode()).digest())
        payload = {name: value for name, value in (payload | claims).items() if value is not None}
        protected = {"typ": "dpop+jwt", "jwk": self.jwk, **(header or {})}
        return jwt.encode(payload, self.key, algorithm=self.alg, headers=protected)

    def send(self, http: httpx.Client, method: str, path: str, token: str | None = None, **request: Any) -> httpx.Response:
        """Send a request with a proof, and once more where the server asks for its nonce (sections 8 and 9), as every client does."""
        headers = request.pop("headers", {}) | ({"Authorization": f"DPoP {token}"} if token is not None else {})
        url = str(request.pop("url", None) or http.base_url.join(path)).partition("?")[0]
        response = http.request(method, path, headers=headers | {"DPoP": self.proof(method, url, token)}, **request)
        needs_nonce = "use_dpop_nonce" in response.text
        self.nonce = response.headers.get("dpop-nonce", self.nonce)
        if needs_nonce:
            response = http.request(method, path, headers=headers | {"DPoP": self.proof(method, url, token)}, **request)
            self.nonce = response.headers.get("dpop-nonce", self.nonce)
        return response


def small_rsa() -> Prover:
    """A key of 1024 bits, which nobody trusts any more."""
    return Prover(rsa.generate_private_key(65537, 1024), "RS256")  # noqa: S505  made to be refused


def of_each_algorithm() -> dict[str, Prover]:
    """A key for each algorithm that we take."""
    large, edwards = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
    return {
        "ES256": Prover(),
        "Ed25519": Prover(edwards, "Ed25519"),
        "EdDSA": Prover(edwards, "EdDSA"),
        "PS256": Prover(large, "PS256"),
        "RS256": Prover(large, "RS256"),
    }
