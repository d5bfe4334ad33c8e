"""A person at the Control Center over HTTP, without script: sends what a browser sends with our own forms."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx

from tests.support.people import PASSWORD, Person
from tests.support.server import Server


class Browser:
    """One browser with its cookies. Redirects are not followed, so that tests see them."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.http = server.client()

    def sign_in(self, person: Person, password: str = PASSWORD) -> httpx.Response:
        """Sign in; the answer is the redirect, or the refused page."""
        return self.send("/login", email=person.email, password=password, next="/")

    def open(self, path: str, **more: Any) -> httpx.Response:
        """Open a page."""
        return self.http.get(path, **more)

    def send(self, path: str, *, headers: Any = None, **entries: Any) -> httpx.Response:
        """Send a form from one of our own pages."""
        given = {"Sec-Fetch-Site": "same-origin"} if headers is None else headers
        return self.http.post(path, data=entries or None, headers=given)

    def field(self, path: str, name: str) -> str:
        """Open a page and return the value of one of its fields."""
        return value_of(self.open(path).text, name)


def value_of(page: str, name: str) -> str:
    """Return the value of a field in a page."""
    tag = next(tag for tag in re.findall(r"<input[^>]+>", page) if f'name="{name}"' in tag)
    found = re.search(r'value="([^"]*)"', tag)
    return html.unescape(found[1]) if found else ""


def key_in(page: str) -> str:
    """Return the full key that a page shows, or an empty text."""
    found = re.search(r'id="the-key"[^>]*>(sk-lp_[0-9A-Za-z]+)<', page)
    return found[1] if found else ""
