"""Apps, grants and tokens in the deployment that is measured, made without the pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bench import data
from latchpin.audit import Actor
from latchpin.identity import active_grant, credentials, grants, signing_keys, tokens
from latchpin.identity.active_grant import ActiveGrant
from latchpin.identity.grants import NewGrant
from latchpin.identity.key_ring import KeyRing
from latchpin.kit import clock
from latchpin.oauth import client_admin
from latchpin.oauth.client_admin import ClientFields
from latchpin.oauth.issue import REFRESH_PREFIX
from latchpin.storage import Database
from latchpin.storage import secrets as kept_secrets
from latchpin.storage.models import OAuthClient, OAuthGrant, RefreshToken, User

SCOPES = "agents:read offline_access"
_BY = Actor("bench")


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


async def make(data_dir: Path) -> App:
    """Register the app."""
    database = Database(data.load(data_dir))
    fields = ClientFields(
        name="Partner",
        auth_method="client_secret_post",
        redirect_uris=("https://partner.example/callback",),
        grant_types=("authorization_code", "refresh_token", "client_credentials"),
        scopes=("agents:read",),
    )
    async with database.transaction() as session:
        user = await _user(session)
        secrets = kept_secrets.load(data.load(data_dir).secrets_file)
        created = await client_admin.create(session, user.organization_id, fields, secrets=secrets, by=_BY)
    await database.close()
    assert created.secret is not None
    return App(created.client.id, created.client.client_id, created.secret)


async def families(data_dir: Path, app: App, count: int) -> list[str]:
    """Make grants of the app and return the first refresh token of each."""
    database = Database(data.load(data_dir))
    texts = [REFRESH_PREFIX + credentials.new_token() for _ in range(count)]
    async with database.transaction() as session:
        for text in texts:
            grant = await _grant(session, data_dir, app)
            session.add(
                RefreshToken(digest=credentials.token_digest(text), grant_id=grant.id, created_at=clock.now(), expires_at=grant.expires_at)
            )
    await database.close()
    return texts


async def mint(data_dir: Path, app: App, holders: int, files: dict[Path, int]) -> None:
    """Write files of so many access tokens each, a line for each token; they belong to `holders` grants in turn."""
    chosen = data.load(data_dir)
    database = Database(chosen)
    ring = KeyRing(database, kept_secrets.load(chosen.secrets_file), chosen)
    await ring.ready()
    active_grants: list[ActiveGrant] = []
    async with database.transaction() as session:
        for _ in range(holders):
            grant = await active_grant.by_id(session, (await _grant(session, data_dir, app)).id, chosen)
            assert isinstance(grant, ActiveGrant)
            active_grants.append(grant)
    for path, count in files.items():
        with path.open("w") as file:
            for number in range(count):
                access_token = tokens.access_token(ring, chosen, active_grants[number % holders], scope=["agents:read"])
                file.write(access_token.token + "\n")
    await database.close()


async def sign_with(data_dir: Path, algorithm: str) -> None:
    """Let another algorithm sign from now on."""
    chosen = data.load(data_dir, token_algorithm=algorithm)
    database = Database(chosen)
    async with database.transaction() as session:
        await signing_keys.rotate(session, kept_secrets.load(chosen.secrets_file), chosen, by=_BY, at_once=True)
    await database.close()


async def _user(session: AsyncSession) -> User:
    return (await session.scalars(select(User).order_by(User.id).limit(1))).one()


async def _grant(session: AsyncSession, data_dir: Path, app: App) -> OAuthGrant:
    user, client = await _user(session), await session.get(OAuthClient, app.pk)
    assert client is not None
    new = NewGrant(client=client, organization_id=user.organization_id, scopes=SCOPES, user_id=user.id, offline=True)
    grant = await grants.create(session, new, data.load(data_dir))
    grants.activate(session, grant, client, by=_BY)
    return grant
