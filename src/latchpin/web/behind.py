"""The app on whose behalf somebody stands at our door: its name for the sign-in page, and the headers that let the browser go on to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from latchpin import services
from latchpin.errors import LatchpinError
from latchpin.oauth import authorization_request as requests
from latchpin.oauth import pushed, redirects, server
from latchpin.oauth.errors import OAuthError
from latchpin.services import AnyRequest
from latchpin.settings import Settings
from latchpin.web import asking, render, sent_ahead
from latchpin.web.views.oauth import Destination

_OWN = {"Referrer-Policy": render.HEADERS["Referrer-Policy"]}


@dataclass(frozen=True, slots=True)
class Behind:
    """Who waits behind the door, and where their address leads: `app` and `email` (what the app expects) are empty where nobody does."""

    app: str = ""
    destination: Destination | None = None
    email: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


async def of(request: AnyRequest, wanted: str) -> Behind:
    """Return the app whose authorization request is the page to go to after signing in; raises Unavailable."""
    headers = private(services.of(request).settings)
    path, _, query = wanted.partition("?")
    if path != requests.PATH:
        return Behind(headers=headers)
    serving, encoded = services.of(request), query.encode()
    try:
        if pushed.is_continued(requests.reference(encoded)):
            encoded = (await sent_ahead.find(request, encoded)).encoded
        to = await requests.target(serving, encoded, await serving.now(), server.origin(request))
    except (OAuthError, LatchpinError):
        return Behind(headers=headers)  # what is wrong with it is said there
    headers = {**asking.leaving(to.redirect_uri), **_OWN, **headers}
    return Behind(to.client.name, asking.destination(to.redirect_uri), requests.hint(encoded), headers)


def private(settings: Settings) -> Mapping[str, str]:
    """Headers of a page outside that has nothing to tell anybody (security.md 14).

    Only where browsers send Sec-Fetch-Site: elsewhere they would say `Origin: null` of our own forms, and csrf.py would refuse them.
    """
    trustworthy = settings.is_https or urlsplit(settings.public_url).hostname in redirects.LOOPBACK
    return asking.PRIVATE if trustworthy else {}
