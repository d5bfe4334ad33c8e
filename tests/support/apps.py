"""Short ways to make apps in an organization, and to get tokens for them without walking through the pages."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin
from latchpin.identity import grants, sessions, users
from latchpin.identity.grants import NewGrant
from latchpin.identity.roles import Role
from latchpin.kit import clock
from latchpin.oauth import client_admin, codes, pkce
from latchpin.oauth.client_admin import ClientFields
from latchpin.oauth.codes import CodeBinding
from latchpin.storage.models import OAuthClient
from latchpin.storage.models.oauth_grant import Reach
from tests.support.people import Organization, Person

CALLBACK = "https://partner.example/callback"
TOKEN = "/api/oauth/token"
OFFLINE = "agents:read agents:write runs:read spaces:read spaces:write billing:read offline_access"


@dataclass(frozen=True, slots=True)
class App:
    """A registered app; `secret` is None for a public one."""

    pk: int
    client_id: str
    secret: str | None = None

    @property
    def proof(self) -> dict[str, str]:
        """The form fields that prove the app (client_secret_post) or name it."""
        return {"client_id": self.client_id} | ({"client_secret": self.secret} if self.secret else {})


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the token endpoint answered."""

    answer: dict[str, Any] = field(repr=False)

    @property
    def access(self) -> str:
        """The access token."""
        return str(self.answer["access_token"])

    @property
    def refresh(self) -> str:
        """The refresh token."""
        return str(self.answer["refresh_token"])

    @property
    def header(self) -> dict[str, str]:
        """The header that carries the access token."""
        return {"Authorization": f"Bearer {self.access}"}


@dataclass(frozen=True, slots=True)
class Code:
    """A code that waits to be redeemed, with its verifier and the id of its grant."""

    code: str
    verifier: str
    grant_id: int


class Apps:
    """Apps of one organization."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.server = organization.server

    def register(self, *, confidential: bool = False, **client_fields: Any) -> App:
        """Register an app: public with code and refresh by default, `confidential` with a secret sent in the form."""
        fields = {
            "name": "Partner",
            "auth_method": "client_secret_post" if confidential else "none",
            "redirect_uris": (CALLBACK,),
            **client_fields,
        }

        async def work(session: AsyncSession) -> App:
            deployment_secrets = self.server.services.secrets
            created = await client_admin.create(
                session, self.organization.id, ClientFields(**fields), secrets=deployment_secrets, by=self.organization.admin.actor
            )
            return App(created.client.id, created.client.client_id, created.secret)

        return self.organization.write(work)

    def service(self, scopes: str = "agents:read spaces:read", spaces: dict[int, Role] | None = None) -> App:
        """Register an app that acts for itself."""
        return self.register(
            confidential=True,
            name="Nightly export",
            grant_types=("client_credentials",),
            redirect_uris=(),
            scopes=tuple(scopes.split()),
            spaces=spaces or {},
        )

    def code(
        self,
        app: App,
        person: Person | None = None,
        *,
        scope: str = OFFLINE,
        reach: Reach = Reach.ALL,
        space_id: int | None = None,
        resource: str = "",
        redirect_uri: str = CALLBACK,
        nonce: str | None = None,
        dpop_jkt: str | None = None,
    ) -> Code:
        """Make a code as a consent would: for a person (by default the administrator) with a browser session of their own."""
        who, verifier = person or self.organization.admin, secrets.token_urlsafe(48)

        async def work(session: AsyncSession) -> Code:
            user = await users.get(session, self.organization.id, who.id)
            browser = await sessions.open_(session, user, self.server.settings, Origin())
            client = await session.get_one(OAuthClient, app.pk)  # an app of another organization, too
            new = NewGrant(
                client=client,
                organization_id=self.organization.id,
                scopes=scope,
                user_id=user.id,
                browser_session_id=browser.session_id,
                offline="offline_access" in scope.split(),
                reach=reach,
                space_id=space_id,
                resource=resource,
                auth_time=clock.now(),
            )
            grant = await grants.create(session, new, self.server.settings)
            code = await codes.issue(session, grant, CodeBinding(redirect_uri, pkce.challenge_of(verifier), nonce, dpop_jkt))
            return Code(code, verifier, grant.id)

        return self.organization.write(work)

    def redeem(self, app: App, code: Code, **more: str) -> httpx.Response:
        """Trade a code at the token endpoint."""
        form = {"grant_type": "authorization_code", "code": code.code, "code_verifier": code.verifier, **app.proof, **more}
        return self.server.http.post(TOKEN, data=form)

    def tokens(self, app: App, person: Person | None = None, **what: Any) -> Tokens:
        """Return tokens of a fresh grant."""
        response = self.redeem(app, self.code(app, person, **what))
        assert response.status_code == 200, response.text
        return Tokens(response.json())

    def refresh(self, app: App, refresh_token: str, **more: str) -> httpx.Response:
        """Trade a refresh token at the token endpoint."""
        return self.server.http.post(TOKEN, data={"grant_type": "refresh_token", "refresh_token": refresh_token, **app.proof, **more})

    def own(self, app: App, **more: str) -> httpx.Response:
        """Ask for a token for the app itself."""
        return self.server.http.post(TOKEN, data={"grant_type": "client_credentials", **app.proof, **more})

    def get(self, path: str, tokens: Tokens) -> httpx.Response:
        """Ask the API with an access token."""
        return self.server.http.get(f"/api/v1{path}", headers=tokens.header)
