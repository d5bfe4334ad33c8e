"""Signing out that begins at an app (OpenID Connect RP-Initiated Logout 1.0): what its request proves, and where it may lead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from latchpin.audit import Origin
from latchpin.identity.key_ring import NotSigned
from latchpin.oauth.errors import invalid_request
from latchpin.oauth.params import Params
from latchpin.oauth.server import AuthorizationServer
from latchpin.storage.models.oauth_client import ClientSource

PATH = "/api/oauth/logout"
_ID_TOKEN = "jwt"  # noqa: S105  the `typ` of an ID token's header


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to sign out. `subject` is the `sub` of the ID token that proves whose session is meant, None where nothing proves it.

    `app` is the name of the app that asks, where it says which one; `onward` is where the browser goes afterwards, with `state` in it.
    `is_entered` says that an administrator entered the app: the address of one that made itself known is its own word.
    """

    subject: str | None = None
    app: str | None = None
    onward: str | None = None
    is_entered: bool = False


async def read(server: AuthorizationServer, params: Params, came_from: Origin) -> Asked:
    """Read a request (section 2); raises OAuthError where it asks to be sent to an address that is not registered byte for byte.

    An expired ID token still proves whose it was; one that we did not sign proves nothing, and counts as not sent.
    """
    generation = await server.now()
    claims = _hint(server, params.get("id_token_hint"))
    client_id, audience = params.get("client_id"), claims.get("aud")
    if isinstance(audience, str) and client_id not in (None, audience):
        raise invalid_request("client_id differs from the one that id_token_hint was made for")
    named = client_id or (audience if isinstance(audience, str) else None)
    client = await server.clients.find(named, generation, came_from) if named else None
    onward = params.get("post_logout_redirect_uri")
    if onward is not None:
        if client is None or onward not in client.post_logout_redirect_uris:
            raise invalid_request("post_logout_redirect_uri is not registered for the app; name the app by id_token_hint or client_id")
        if state := params.get("state"):
            onward += ("&" if "?" in onward else "?") + urlencode({"state": state})
    subject = claims.get("sub")
    is_entered = client is not None and client.source is ClientSource.REGISTERED
    return Asked(subject if isinstance(subject, str) else None, client.name if client else None, onward, is_entered)


def _hint(server: AuthorizationServer, token: str | None) -> dict[str, Any]:
    if token is None:
        return {}
    try:
        claims = server.ring.verify(token.encode(), typ=_ID_TOKEN)
    except NotSigned:
        return {}
    return claims if claims.get("iss") == server.issuer else {}
