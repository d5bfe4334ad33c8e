"""Keys, grants and tokens in the deployment that is measured: rows written in bulk, and files with an Authorization value a line."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from bench.data import Deployment
from bench.http import Request
from latchpin import secret_forms
from latchpin.audit import Actor
from latchpin.identity import credentials, scopes
from latchpin.identity.key_ring import KeyRing
from latchpin.identity.roles import Group
from latchpin.identity.scopes import Access
from latchpin.kit import clock, cookie_names
from latchpin.oauth import client_admin
from latchpin.oauth.client_admin import ClientFields
from latchpin.storage import Database
from latchpin.storage import secrets as kept_secrets
from latchpin.storage.models import ApiKey, BrowserSession, OAuthGrant, RefreshToken, User
from latchpin.storage.models.oauth_grant import GrantKind

_SCOPES = "agents:read offline_access"
_BY = Actor("bench")
_AT_A_TIME = 10_000
_YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class App:
    """A confidential app that may act for itself and refresh."""

    pk: int
    client_id: str
    secret: str

    @property
    def proof(self) -> dict[str, str]:
        """The form fields that prove it (client_secret_post)."""
        return {"client_id": self.client_id, "client_secret": self.secret}


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made, and its row's id."""

    id: int
    secret: str


class Seed:
    """Writes what is measured into one deployment. Open it with `seeding`."""

    def __init__(self, made: Deployment, database: Database) -> None:
        self._made = made
        self._settings = made.settings()
        self._database = database
        self._secrets = kept_secrets.load(self._settings.secrets_file)

    async def app(self) -> App:
        """Register an app."""
        fields = ClientFields(
            name=f"Partner {secrets.token_hex(4)}",
            auth_method="client_secret_post",
            redirect_uris=("https://partner.example/callback",),
            grant_types=("authorization_code", "refresh_token", "client_credentials"),
            scopes=("agents:read",),
        )
        async with self._database.transaction() as session:
            organization_id = (await _administrator(session)).organization_id
            created = await client_admin.create(session, organization_id, fields, secrets=self._secrets, by=_BY)
        assert created.secret is not None
        return App(created.client.id, created.client.client_id, created.secret)

    async def users(self, count: int) -> list[int]:
        """Make ordinary users, who cannot sign in; returns their ids."""
        async with self._database.transaction() as session:
            organization_id, at, mark = (await _administrator(session)).organization_id, clock.now(), secrets.token_hex(4)
            rows = [
                {
                    "organization_id": organization_id,
                    "full_name": f"User {number}",
                    "email": f"{mark}-{number}@example.com",
                    "email_key": f"{mark}-{number}@example.com",
                    "user_group": Group.USER.value,
                    "password_hash": "none",
                    "created_at": at,
                }
                for number in range(count)
            ]
            await session.execute(insert(User), rows)
            return list((await session.scalars(select(User.id).where(User.email.startswith(f"{mark}-")))).all())

    async def keys(self, owners: list[int], count: int) -> list[NewKey]:
        """Make keys that belong to these users in turn."""
        pepper, at, texts = self._secrets.peppers[self._secrets.current_pepper], clock.now(), []
        rows: list[dict[str, Any]] = []
        async with self._database.transaction() as session:
            organization_id = (await _administrator(session)).organization_id
            for _, owner in zip(range(count), cycle(owners), strict=False):
                texts.append(credentials.new_api_key())
                rows.append(
                    {
                        "organization_id": organization_id,
                        "user_id": owner,
                        "digest": credentials.key_digest(texts[-1].encode(), pepper),
                        "pepper_version": self._secrets.current_pepper,
                        "prefix": credentials.display_prefix(texts[-1]),
                        "scopes": scopes.serialize(scopes.SETS[Access.FULL]),
                        "networks": "",
                        "created_at": at,
                        "created_by_name": "bench",
                        "expires_at": at + _YEAR,
                    }
                )
            for start in range(0, count, _AT_A_TIME):
                await session.execute(insert(ApiKey), rows[start : start + _AT_A_TIME])
            found = await session.execute(select(ApiKey.digest, ApiKey.id).where(ApiKey.user_id.in_(owners)))
            ids: dict[bytes, int] = {row.digest: row.id for row in found}
        return [NewKey(ids[row["digest"]], text) for row, text in zip(rows, texts, strict=True)]

    async def grants(self, app: App, count: int) -> list[str]:
        """Let the administrator have granted the app something so many times; returns the grants' `sid`."""
        at = clock.now()
        async with self._database.transaction() as session:
            user = await _administrator(session)
            rows = [
                {
                    "sid": secrets.token_hex(16),
                    "kind": GrantKind.USER,
                    "organization_id": user.organization_id,
                    "oauth_client_id": app.pk,
                    "user_id": user.id,
                    "offline": True,
                    "scopes": _SCOPES,
                    "created_at": at,
                    "activated_at": at,
                    "last_used_at": at,
                    "expires_at": at + _YEAR,
                }
                for _ in range(count)
            ]
            await session.execute(insert(OAuthGrant), rows)
        return [str(row["sid"]) for row in rows]

    async def families(self, app: App, count: int) -> list[str]:
        """Make grants, and return the first refresh token of each."""
        sids = await self.grants(app, count)
        texts = [secret_forms.REFRESH_TOKEN.prefix + credentials.new_token() for _ in sids]
        async with self._database.transaction() as session:
            ids = list((await session.scalars(select(OAuthGrant.id).where(OAuthGrant.sid.in_(sids)))).all())
            at = clock.now()
            rows = [
                {"digest": credentials.token_digest(text), "grant_id": grant_id, "created_at": at, "expires_at": at + _YEAR}
                for text, grant_id in zip(texts, ids, strict=True)
            ]
            await session.execute(insert(RefreshToken), rows)
        return texts

    async def signed_in(self) -> dict[str, str]:
        """Let the administrator have signed in with a browser; returns the headers with which its pages ask for changes."""
        token, at = credentials.new_token(), clock.now()
        async with self._database.transaction() as session:
            user = await _administrator(session)
            times = {"created_at": at, "last_seen_at": at, "reauthenticated_at": at, "expires_at": at + _YEAR}
            session.add(BrowserSession(user_id=user.id, digest=credentials.token_digest(token), address="", user_agent="bench", **times))
        return {"Cookie": f"{cookie_names.of(self._settings)}={token}", "Sec-Fetch-Site": "same-origin"}

    async def tokens(self, like: str, sids: list[str], count: int) -> list[str]:
        """Sign access tokens as the deployment does, of the grants in turn; `like` is one of them that its token endpoint issued."""
        ring = KeyRing(self._database, self._secrets, self._settings)
        await ring.ready()
        payload = like.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        turn = zip(range(count), cycle(sids), strict=False)
        return [ring.sign({**claims, "jti": secrets.token_urlsafe(16), "sid": sid}, typ="at+jwt") for _, sid in turn]


@asynccontextmanager
async def seeding(made: Deployment) -> AsyncIterator[Seed]:
    """Open the database of a deployment for writing into it."""
    database = Database(made.settings())
    try:
        yield Seed(made, database)
    finally:
        await database.close()


def others(made: Deployment, app: App, headers: dict[str, str], keys: list[NewKey], tokens: list[str]) -> Iterator[tuple[str, Request]]:
    """Yield credentials that can be revoked at the second server, keys and tokens alternately, each with the request that does it."""
    for key, token in zip(keys, tokens, strict=True):
        yield f"ApiKey {key.secret}", Request(f"{made.other_url}/api/v1/admin/keys/{key.id}/revoke", headers, {})
        yield f"Bearer {token}", Request(f"{made.other_url}/api/oauth/revoke", form={**app.proof, "token": token})


def write(file: Path, lines: list[str]) -> str:
    """Write Authorization values, a line each; returns the file's path."""
    file.write_text("".join(f"{line}\n" for line in lines))
    return str(file)


async def _administrator(session: AsyncSession) -> User:
    return (await session.scalars(select(User).order_by(User.id).limit(1))).one()
