"""Signing out that begins at an app (OpenID Connect RP-Initiated Logout 1.0): what its request proves, and where it may lead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select

from latchpin.audit import Origin
from latchpin.identity.key_ring import InvalidSignature
from latchpin.oauth.authorization_server import AuthorizationServer
from latchpin.oauth.clients import Client
from latchpin.oauth.errors import invalid_request
from latchpin.oauth.params import Params
from latchpin.storage.models import User

PATH = "/api/oauth/logout"
_ID_TOKEN = "jwt"  # noqa: S105  the `typ` of an ID token's header


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """A request to sign out. `subject` is the `sub` of the ID token that proves whose session is meant, None where nothing proves it.

    `client` is the app that asks, where it says which one. `redirect_uri` is where the browser goes afterwards, as it is registered, and
    `return_url` the same with `state` in it; both are empty where the app names no address.
    """

    subject: str | None = None
    client: Client | None = None
    redirect_uri: str = ""
    return_url: str = ""

    def may_redirect(self, organization_id: int) -> bool:
        """Whether the browser of a user of the organization is redirected: not to an app that nobody there registered."""
        return self.client is not None and bool(self.return_url) and self.client.is_trusted_by(organization_id)


async def read(server: AuthorizationServer, params: Params, origin: Origin) -> LogoutRequest:
    """Read a request (section 2); raises OAuthError where it asks to be sent to an address that is not registered byte for byte.

    An expired ID token still proves whose it was; one that we did not sign is ignored.
    """
    generation = await server.now()
    claims = _hint(server, params.get("id_token_hint"))
    client_id, audience = params.get("client_id"), claims.get("aud")
    if isinstance(audience, str) and client_id not in (None, audience):
        raise invalid_request("client_id differs from the one that id_token_hint was made for")
    effective_client_id = client_id or (audience if isinstance(audience, str) else None)
    client = await server.clients.find(effective_client_id, generation, origin) if effective_client_id else None
    return_url = redirect_uri = params.get("post_logout_redirect_uri") or ""
    if redirect_uri:
        if client is None or redirect_uri not in client.post_logout_redirect_uris:
            raise invalid_request("post_logout_redirect_uri is not registered for the app; name the app by id_token_hint or client_id")
        if state := params.get("state"):
            return_url += ("&" if "?" in return_url else "?") + urlencode({"state": state})
    subject = claims.get("sub")
    return LogoutRequest(subject if isinstance(subject, str) else None, client, redirect_uri, return_url)


async def organization_of(server: AuthorizationServer, subject: str | None) -> int | None:
    """Return the organization of the user that an ID token is about, None where there is no such user (any more)."""
    if subject is None or not subject.isdecimal():
        return None
    async with server.database.read() as session:
        return await session.scalar(select(User.organization_id).where(User.id == int(subject)))


def _hint(server: AuthorizationServer, token: str | None) -> dict[str, Any]:
    if token is None:
        return {}
    try:
        claims = server.ring.verify(token.encode(), typ=_ID_TOKEN)
    except InvalidSignature:
        return {}
    return claims if claims.get("iss") == server.issuer else {}
