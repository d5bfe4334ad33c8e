"""A person at the Control Center over HTTP, without script: sends what a browser sends with our own forms."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx

from latchpin.oauth.authorization_request import PATH as AUTHORIZE
from latchpin.oauth.clients import CALLBACK
from tests.support.people import PASSWORD, Person
from tests.support.server import Server


class Browser:
    """One browser with its cookies. Redirects are not followed, so that tests see them."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.http = server.client()

    def sign_in(self, person: Person, password: str = PASSWORD) -> httpx.Response:
        """Sign in, to the end of the Control Center's own flow; the answer is the first redirect, or the refused page."""
        response = self.send("/login", email=person.email, password=password, next="/")
        self.walk(response)
        return response

    def walk(self, response: httpx.Response) -> httpx.Response:
        """Follow the Control Center's own authorization flow, and return the redirect that leaves it."""
        while response.is_redirect and response.headers["location"].startswith((AUTHORIZE, f"{self.server.url}{CALLBACK}")):
            response = self.open(response.headers["location"])
        return response

    def open(self, path: str, **more: Any) -> httpx.Response:
        """Open a page."""
        return self.http.get(path, **more)

    def send(self, path: str, *, headers: Any = None, **form: Any) -> httpx.Response:
        """Send a form from one of our own pages."""
        given = {"Sec-Fetch-Site": "same-origin"} if headers is None else headers
        return self.http.post(path, data=form or None, headers=given)

    def field(self, path: str, name: str) -> str:
        """Open a page and return the value of one of its fields."""
        return value_of(self.open(path).text, name)


def value_of(page: str, name: str) -> str:
    """Return the value of a field in a page."""
    tag = next(tag for tag in re.findall(r"<input[^>]+>", page) if f'name="{name}"' in tag)
    match = re.search(r'value="([^"]*)"', tag)
    return html.unescape(match[1]) if match else ""


def key_in(page: str) -> str:
    """Return the full key that a page shows, or an empty text."""
    match = re.search(r'id="the-key"[^>]*>(sk-lp_[0-9A-Za-z]+)<', page)
    return match[1] if match else ""
