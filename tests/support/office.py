"""A second way to a served deployment's database, in the test's own process, as the command line has."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_urlsafe

from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin
from latchpin.identity import api_keys, grants, organizations, passwords, policy, sessions, spaces, users
from latchpin.identity.grants import NewGrant
from latchpin.identity.roles import Group, Role
from latchpin.kit import clock
from latchpin.oauth import client_admin, codes, pkce
from latchpin.settings import Settings
from latchpin.storage import Database, secrets
from latchpin.storage.secrets import Secrets
from tests.support.apps import CALLBACK, OFFLINE, TOKEN
from tests.support.people import PASSWORD
from tests.support.plain_http import PLAIN
from tests.support.processes import Serving
from tests.support.server import Server

BY = Actor("test")


@dataclass(frozen=True, slots=True)
class Issued:
    """A key with its id, its user's and its organization's."""

    id: int
    user_id: int
    organization_id: int
    secret: str


@dataclass(frozen=True, slots=True)
class Granted(Issued):
    """An access token (`secret`) of a grant (`id`), with what else came with it or stands behind it."""

    refresh: str | None
    client_pk: int
    client_id: str
    session_id: int


class Office:
    """Makes and changes things in a database that others serve. Changes return when they were answered (monotonic seconds)."""

    def __init__(self, chosen: Settings, deployment_secrets: Secrets) -> None:
        self.settings, self.secrets = chosen, deployment_secrets
        self.database = Database(chosen)
        self.organization_id = self.admin_id = 0

    async def begin(self) -> None:
        """Make the organization with an administrator who stays."""
        async with self.database.transaction() as session:
            organization = await organizations.create(session, "Acme", by=BY)
            self.organization_id = organization.id
        self.admin_id = await self.user(Group.ADMINISTRATOR)
        async with self.database.transaction() as session:
            (await users.get(session, self.organization_id, self.admin_id)).must_change_password = False

    async def user(self, group: Group = Group.USER) -> int:
        """Make a user with the password PASSWORD and return the id."""
        password = await passwords.hashed(PASSWORD)
        async with self.database.transaction() as session:
            number = await users.count(session)
            new = users.NewUser(
                full_name=f"User {number}", email=f"user.{number}@example.com", group=group, password=password, temporary=False
            )
            return (await users.create(session, self.organization_id, new, by=BY)).user.id

    async def keys(self, user_id: int, count: int) -> list[Issued]:
        """Issue keys."""
        async with self.database.transaction() as session:
            user = await users.get(session, self.organization_id, user_id)
            rules = await policy.get(session, self.organization_id, self.settings)
            issued_keys = [
                await api_keys.create(session, user, api_keys.KeyParameters(), policy=rules, secrets=self.secrets, by=BY)
                for _ in range(count)
            ]
            return [Issued(issued_key.key.id, user_id, self.organization_id, issued_key.secret) for issued_key in issued_keys]

    async def app(self) -> tuple[int, str]:
        """Register a public app; return its row's id and its client_id."""
        fields = client_admin.ClientFields(name="Partner", auth_method="none", redirect_uris=(CALLBACK,))
        async with self.database.transaction() as session:
            created = await client_admin.create(session, self.organization_id, fields, secrets=self.secrets, by=BY)
            return created.client.id, created.client.client_id

    async def granted(self, http: AsyncClient, app: tuple[int, str], user_id: int, scope: str = OFFLINE) -> Granted:
        """Let a user allow an app everything, and trade the code over HTTP for tokens, as the app does."""
        (client_pk, client_id), verifier = app, token_urlsafe(48)
        async with self.database.transaction() as session:
            user = await users.get(session, self.organization_id, user_id)
            browser = await sessions.open_(session, user, self.settings, Origin())
            client = await client_admin.get(session, self.organization_id, client_pk)
            new = NewGrant(
                client=client,
                organization_id=self.organization_id,
                scopes=scope,
                user_id=user_id,
                browser_session_id=browser.session_id,
                offline="offline_access" in scope.split(),
            )
            grant = await grants.create(session, new, self.settings)
            code = await codes.issue(session, grant, codes.CodeBinding(CALLBACK, pkce.challenge_of(verifier)))
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier, "client_id": client_id}
        response = await http.post(TOKEN, data=form)
        assert response.is_success, response.text
        tokens = response.json()
        refresh, secret = tokens.get("refresh_token"), tokens["access_token"]
        return Granted(grant.id, user_id, self.organization_id, secret, refresh, client_pk, client_id, browser.session_id)

    async def end(self, granted: Granted) -> float:
        """End a grant, as an administrator's page does."""
        return await self.change(lambda session: grants.end(session, granted.id, reason="test", by=BY))

    async def revoke_client(self, granted: Granted) -> float:
        """Revoke the app itself."""

        async def work(session: AsyncSession) -> None:
            await client_admin.revoke(session, await client_admin.get(session, self.organization_id, granted.client_pk), by=BY)

        return await self.change(work)

    async def sign_out(self, granted: Granted) -> float:
        """End the browser session that the grant was given in."""
        return await self.change(lambda session: sessions.end(session, granted.user_id, granted.session_id, by=BY, signed_out=True))

    async def change_password(self, granted: Granted) -> float:
        """Change the user's password."""

        async def work(session: AsyncSession) -> None:
            user = await users.get(session, self.organization_id, granted.user_id)
            change = await users.prepare_change(user.password_hash, current=PASSWORD, new=PASSWORD + " two")
            await users.change_password(session, user, change, by=BY)

        return await self.change(work)

    async def change(self, work: Callable[[AsyncSession], Awaitable[object]]) -> float:
        """Run `work(session)` in one transaction; return when it was answered."""
        async with self.database.transaction() as session:
            await work(session)
        return time.monotonic()

    async def revoke(self, key: Issued) -> float:
        """Revoke a key as the command line does; return when it was answered."""

        async def work(session: AsyncSession) -> None:
            await api_keys.revoke(session, await api_keys.get(session, key.organization_id, key.id), by=BY)

        return await self.change(work)

    async def pages(self) -> AsyncClient:
        """Sign the administrator in, and return a client that asks the API as the Control Center's own pages do."""
        async with self.database.transaction() as session:
            opened = await sessions.open_(session, await users.get(session, self.organization_id, self.admin_id), self.settings, Origin())
        headers = {"Cookie": f"{sessions.cookie_name(self.settings)}={opened.token}", "Sec-Fetch-Site": "same-origin"}
        return AsyncClient(base_url=self.settings.public_url, headers=headers, timeout=30, trust_env=False, verify=PLAIN)

    async def space(self) -> int:
        """Make a private Space and return its id."""
        async with self.database.transaction() as session:
            return (await spaces.create(session, self.organization_id, spaces.SpaceFields(name="Retail"), by=BY)).id

    async def member(self, space_id: int, key: Issued, role: Role | None) -> float:
        """Give the key's user a role in the Space, or take it away; return when it was answered."""

        async def work(session: AsyncSession) -> None:
            space = await spaces.owned(session, self.organization_id, space_id)
            user = await users.get(session, self.organization_id, key.user_id)
            if user.user_group == Group.USER:  # an administrator sees the Space without being a member
                await spaces.set_member(session, space, user, role, by=BY)

        return await self.change(work)

    async def disable(self, key: Issued) -> float:
        """Disable the key's user."""

        async def work(session: AsyncSession) -> None:
            await users.disable(session, await users.get(session, self.organization_id, key.user_id), by=BY)

        return await self.change(work)

    async def demote(self, key: Issued) -> float:
        """Make the key's administrator an ordinary user."""

        async def work(session: AsyncSession) -> None:
            user = await users.get(session, self.organization_id, key.user_id)
            await users.change(session, user, group=Group.USER, by=BY)

        return await self.change(work)

    async def delete(self, key: Issued) -> float:
        """Delete the key's entry."""

        async def work(session: AsyncSession) -> None:
            await api_keys.delete(session, await api_keys.get(session, key.organization_id, key.id), by=BY)

        return await self.change(work)

    async def expire(self, key: Issued) -> float:
        """Move the key's expiry to a moment from now; return that moment, once it is over, on the monotonic clock."""
        async with self.database.transaction() as session:
            rules = await policy.get(session, self.organization_id, self.settings)
            row = await api_keys.get(session, self.organization_id, key.id)
            expires = clock.now() + timedelta(milliseconds=200)
            await api_keys.change_expiry(session, row, expires, policy=rules, by=BY)
        answered = time.monotonic()
        left = (expires - clock.now()).total_seconds()
        over = answered + left
        await clock.wait_until(clock.monotonic() + left + 0.05)
        return max(answered, over)


async def revoke_over_http(pages: AsyncClient, key: Issued) -> float:
    """Revoke a key as the Control Center does; return when it was answered."""
    response = await pages.post(f"/api/v1/admin/keys/{key.id}/revoke")
    assert response.is_success, response.text
    return time.monotonic()


async def withdraw_over_http(http: AsyncClient, granted: Granted, *, token: str | None = None) -> float:
    """Revoke a token as its app does (RFC 7009), by default the refresh token with its whole grant; return when it was answered."""
    response = await http.post("/api/oauth/revoke", data={"token": token or granted.refresh or "", "client_id": granted.client_id})
    assert response.is_success, response.text
    return time.monotonic()


@asynccontextmanager
async def office(server: Serving | Server) -> AsyncIterator[Office]:
    """Open the served deployment's database a second time, with a fresh organization."""
    opened = Office(server.settings, secrets.load(server.settings.secrets_file))
    try:
        await opened.begin()
        yield opened
    finally:
        await opened.database.close()
