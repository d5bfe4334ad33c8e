"""Apps that prove themselves by a signed assertion (private_key_jwt, RFC 7523)."""

from __future__ import annotations

import json
import secrets
from functools import partial
from typing import Any

import httpx
from joserfc import jws
from joserfc.jwk import Key
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.kit import clock as kit_clock
from latchpin.oauth import client_assertion
from latchpin.storage.models import OAuthClient
from tests.support.apps import TOKEN, App, Apps
from tests.support.documents import RSA_KEY
from tests.support.people import Organization


class _Any(jws.JWSRegistry):
    """Every algorithm of the library, without its warnings."""

    def get_alg(self, name: str) -> Any:
        """Return it."""
        return self.algorithms[name]


class Signer:
    """A service app that proves itself by a key."""

    def __init__(self, organization: Organization, *keys: Key, jwks_uri: str | None = None) -> None:
        self.organization, self.server = organization, organization.server
        self.key: Key = keys[0] if keys else RSA_KEY
        elsewhere = "https://far.example/keys" if jwks_uri else None
        held = {"keys": [each.as_dict(private=False) for each in keys or (RSA_KEY,)]}
        self.app: App = Apps(organization).register(
            name="Nightly export",
            auth_method="private_key_jwt",
            grant_types=("client_credentials",),
            redirect_uris=(),
            scopes=("agents:read",),
            jwks=None if jwks_uri else json.dumps(held),
            jwks_uri=elsewhere,
        )
        if jwks_uri:
            organization.write(partial(_publish_at, self.app, jwks_uri))

    def assertion(self, key: Key | None = None, *, alg: str = "RS256", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a signed assertion that is sound but for what the test says; None leaves a claim out."""
        now = int(kit_clock.timestamp())
        sound = {
            "iss": self.app.client_id,
            "sub": self.app.client_id,
            "aud": self.server.url,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + 60,
        }
        payload = {name: value for name, value in (sound | claims).items() if value is not None}
        signing = key or self.key
        protected = {"alg": alg, **({"kid": signing.kid} if signing.kid else {}), **(header or {})}
        protected = {name: value for name, value in protected.items() if value is not None}
        return jws.serialize_compact(protected, json.dumps(payload), signing, registry=_Any())

    def ask(self, assertion: str, http: httpx.Client | None = None, **more: str) -> httpx.Response:
        """Ask for a token with an assertion."""
        form = {"grant_type": "client_credentials", "client_assertion_type": client_assertion.TYPE, "client_assertion": assertion, **more}
        return (http or self.server.http).post(TOKEN, data=form)

    def is_let(self, assertion: str, http: httpx.Client | None = None) -> bool:
        """Whether an assertion is taken; what is not is told in one way."""
        response = self.ask(assertion, http)
        assert response.status_code == 200 or (response.status_code, response.json()["error"]) == (401, "invalid_client"), response.text
        return response.status_code == 200


async def _publish_at(app: App, jwks_uri: str, session: AsyncSession) -> None:
    """Let the keys be at an address that an administrator could not enter: the test's own, without TLS."""
    await session.execute(update(OAuthClient).where(OAuthClient.id == app.pk).values(jwks_uri=jwks_uri))
