"""A person with a browser who says yes: walks an authorization request to the redirect that leaves us."""

from __future__ import annotations

from html.parser import HTMLParser

import httpx

from latchpin.oauth.authorization_request import PATH as AUTHORIZE
from tests.support.people import PASSWORD, Person
from tests.support.server import Server

_ASKS = {"Accept": "text/html"}
_MOST_STEPS = 12


class Consenting:
    """Signs in where that is asked, agrees where that is asked, and stops at the redirect to the app. Each walk is a fresh browser."""

    def __init__(self, server: Server, person: Person) -> None:
        self.server, self.person = server, person

    def authorize(self, address: str, **choices: str) -> str:
        """Return the address that the app is called back at; `choices` are entries of the consent form, by field name."""
        with self.server.client() as browser:
            response = browser.get(address, headers=_ASKS)
            for _ in range(_MOST_STEPS):
                location = response.headers.get("location", "")
                if response.is_redirect and not location.startswith(("/", self.server.url)):
                    return str(location)
                response = browser.get(location, headers=_ASKS) if response.is_redirect else self._fill(browser, response, choices)
        message = f"the authorization leads nowhere: {response.status_code} {response.text[:2000]}"
        raise AssertionError(message)

    def _fill(self, browser: httpx.Client, response: httpx.Response, choices: dict[str, str]) -> httpx.Response:
        assert response.status_code == 200, f"{response.status_code} {response.text[:3000]}"
        forms = _Forms()
        forms.feed(response.text)
        action, fields = next(form for form in forms.found if form[0].startswith(("/login", "/oauth/consent", AUTHORIZE)))
        if action.startswith("/login"):
            fields |= {"email": self.person.email, "password": PASSWORD}
        fields |= choices
        return browser.post(action, data=fields, headers={**_ASKS, "Sec-Fetch-Site": "same-origin"})


class _Forms(HTMLParser):
    """The forms of a page: where each goes, and what it would send when its first button is pressed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given.get("action", ""), {}))
        if tag == "option" and self._select and (self._select not in self.found[-1][1] or "selected" in given):
            self.found[-1][1][self._select] = given.get("value", "")
        if not self.found or "name" not in given:
            return
        fields, name = self.found[-1][1], given["name"]
        self._select = name if tag == "select" else ""
        if tag == "input" and (given.get("type") not in ("radio", "checkbox") or "checked" in given):
            fields[name] = given.get("value", "")
        if tag == "button" and name not in fields:
            fields[name] = given.get("value", "")
