"""An app that sends a person's browser to the authorization endpoint, and reads what comes back."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx

from latchpin.kit import clock
from latchpin.oauth import pkce
from latchpin.oauth.authorization_request import PATH
from latchpin.storage.models import OAuthClient
from latchpin.storage.models.oauth_client import ClientSource
from tests.support.apps import CALLBACK, App, Apps
from tests.support.people import Person
from tests.web.browser import Browser, value_of

Go = Callable[..., "Journey"]
PAR = "/api/oauth/par"
HTML = {"Accept": "text/html,application/xhtml+xml"}


class Journey:
    """One app, one browser, and the requests that lead from one to the other."""

    def __init__(self, apps: Apps, app: App, person: Person | None = None, *, redirect_uri: str = CALLBACK) -> None:
        self.apps, self.app, self.redirect_uri = apps, app, redirect_uri
        self.verifier = secrets.token_urlsafe(48)
        self.browser = Browser(apps.server)
        if person is not None:
            self.browser.sign_in(person)

    def query(self, **changes: Any) -> str:
        """Return the query of a sound request with changes; a parameter that is None is left out, a list is sent several times."""
        sent = {
            "client_id": self.app.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": "agents:read spaces:read",
            "state": "state-1",
            "code_challenge": pkce.challenge_of(self.verifier),
            "code_challenge_method": "S256",
            **changes,
        }
        return urlencode({name: value for name, value in sent.items() if value is not None}, doseq=True, quote_via=quote)

    def ask(self, **changes: Any) -> httpx.Response:
        """Send the browser to the authorization endpoint."""
        return self.browser.open(f"{PATH}?{self.query(**changes)}", headers=HTML)

    def push(self, **changes: Any) -> httpx.Response:
        """Send a request ahead as the app does, over a connection of its own."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        client_auth = {"client_secret": self.app.secret} if self.app.secret else {}
        return self.apps.server.http.post(PAR, content=self.query(**{**client_auth, **changes}), headers=headers)

    def pushed(self, **changes: Any) -> str:
        """Send a sound request ahead, and return its `request_uri`."""
        response = self.push(**changes)
        assert response.status_code == 201, response.text
        return str(response.json()["request_uri"])

    def visit(self, request_uri: str, **more: Any) -> httpx.Response:
        """Send the browser to the authorization endpoint with what was sent ahead; where it goes on is not followed."""
        query = urlencode({"client_id": self.app.client_id, "request_uri": request_uri, **more})
        return self.browser.open(f"{PATH}?{query}", headers=HTML)

    def go_on(self, request_uri: str) -> httpx.Response:
        """Visit, and follow the redirect to the address where the request goes on in this browser."""
        return self.browser.open(onward(self.visit(request_uri)), headers=HTML)

    def answer(self, page: httpx.Response, path: str = "/oauth/consent", **form: str) -> httpx.Response:
        """Answer a question, with its token."""
        assert page.status_code == 200, page.text
        return self.browser.send(path, request=value_of(page.text, "request"), **form)

    def agree(self, page: httpx.Response, space: str = "all") -> httpx.Response:
        """Press Authorize."""
        return self.answer(page, decision="authorize", space=space)

    def redeem(self, back: httpx.Response) -> dict[str, Any]:
        """Trade the code that came back for tokens."""
        form = {"grant_type": "authorization_code", "code": came(back)["code"], "code_verifier": self.verifier, **self.app.proof}
        response = self.apps.server.http.post("/api/oauth/token", data=form)
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens


def onward(first: httpx.Response) -> str:
    """Return where a request that was sent ahead goes on after the first visit."""
    assert first.status_code == 303, f"{first.status_code} {first.text}"
    location = first.headers["location"]
    assert location.startswith(f"{PATH}?"), location
    return str(location)


def came(back: httpx.Response) -> dict[str, str]:
    """Return the parameters that an app was called back with, each of which must have come once."""
    assert back.status_code == 303, f"{back.status_code} {back.text}"
    parts = parse_qs(urlsplit(back.headers["location"]).query, strict_parsing=True)
    assert all(len(values) == 1 for values in parts.values())
    return {name: values[0] for name, values in parts.items()}


def introduce(apps: Apps, app: App, source: ClientSource = ClientSource.DYNAMIC) -> App:
    """Turn a registered app into one that made itself known, which belongs to no organization; a document counts as just fetched."""
    client_id = f"https://desk-{app.pk}.example/app.json" if source is ClientSource.DOCUMENT else app.client_id

    async def work(session: Any) -> None:
        row = await session.get(OAuthClient, app.pk)
        row.source, row.organization_id, row.client_id = source, None, client_id
        row.fresh_until = clock.now() + timedelta(days=1)

    apps.organization.write(work)
    return replace(app, client_id=client_id)
