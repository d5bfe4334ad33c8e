"""A reader's browser: signs in at the demo, agrees to what an app asks for, and administers over the API."""

from __future__ import annotations

import html
import os
import re
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from tests.support.plain_http import PLAIN


class Reader:
    """Somebody signed in at a deployment."""

    def __init__(self, url: str, email: str, password: str) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=url, headers={"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}, trust_env=False, verify=PLAIN
        )
        self._follow(self._http.post("/login", data={"email": email, "password": password, "next": "/"}))

    @classmethod
    def from_environment(cls) -> Self:
        """Sign in as the user whom the environment names."""
        return cls(os.environ["READER_URL"], os.environ["READER_EMAIL"], os.environ["READER_PASSWORD"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()

    def agree(self, address: str) -> str:
        """Open an authorization request and agree; returns the address that the browser is sent to."""
        return self._authorize(self._follow(self._http.get(address)))

    def enter_code(self, code: str) -> None:
        """Enter the code of a device, and agree."""
        self._authorize(self._http.post("/device", data={"user_code": code}))

    def administer(self, method: str, path: str, body: object = None) -> Any:
        """Call a route below /api/v1/admin; returns the document."""
        response = self._http.request(method, f"/api/v1/admin{path}", json=body, headers={"Accept": "application/json"})
        response.raise_for_status()
        return response.json()

    def _authorize(self, page: httpx.Response) -> str:
        token = re.search(r'name="request" value="([^"]+)"', page.text)
        space = re.search(r'<option value="([^"]+)"', page.text)
        assert token, page.text
        assert space, page.text
        form = {"request": html.unescape(token[1]), "space": html.unescape(space[1]), "decision": "authorize"}
        response = self._http.post("/oauth/consent", data=form)
        assert response.status_code == httpx.codes.SEE_OTHER, response.text
        return response.headers["location"]

    def _follow(self, response: httpx.Response) -> httpx.Response:
        while response.is_redirect and urlsplit(response.headers["location"]).netloc in ("", urlsplit(self.url).netloc):
            response = self._http.get(response.headers["location"])
        return response
