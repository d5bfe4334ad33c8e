"""The app for which somebody signs in: its name for the sign-in page, and the headers that allow the redirect to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from latchpin import services
from latchpin.errors import LatchpinError
from latchpin.oauth import authorization_request as requests
from latchpin.oauth import authorization_server, par, redirects
from latchpin.oauth.errors import OAuthError
from latchpin.services import AnyRequest
from latchpin.settings import Settings
from latchpin.web import consent_view, par_cookie, render
from latchpin.web.views.oauth import Destination

_OWN = {"Referrer-Policy": render.HEADERS["Referrer-Policy"]}


@dataclass(frozen=True, slots=True)
class LoginContext:
    """The app that sent the person, and where its redirect URI leads; `app` and `email` (the expected account) are empty without an app."""

    app: str = ""
    destination: Destination | None = None
    email: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


async def of(request: AnyRequest, next_path: str) -> LoginContext:
    """Return the app whose authorization request is the page to go to after signing in; raises Unavailable."""
    headers = private(services.of(request).settings)
    path, _, query = next_path.partition("?")
    if path != requests.PATH:
        return LoginContext(headers=headers)
    server, encoded = services.of(request), query.encode()
    try:
        if par.is_continuation(requests.reference(encoded)):
            encoded = (await par_cookie.find(request, encoded)).encoded
        target = await requests.target(server, encoded, await server.now(), authorization_server.origin_of(request))
    except (OAuthError, LatchpinError):
        return LoginContext(headers=headers)  # the authorization endpoint reports what is wrong
    headers = {**consent_view.redirect_policy(target.redirect_uri), **_OWN, **headers}
    return LoginContext(target.client.name, consent_view.destination(target.redirect_uri), requests.hint(encoded), headers)


def private(settings: Settings) -> Mapping[str, str]:
    """Headers of a page without sign-in that must not send a referrer (security.md 14).

    Only where browsers send Sec-Fetch-Site: elsewhere they would send `Origin: null` with our own forms, and csrf.py would refuse them.
    """
    trustworthy = settings.is_https or urlsplit(settings.public_url).hostname in redirects.LOOPBACK
    return consent_view.PRIVATE if trustworthy else {}
