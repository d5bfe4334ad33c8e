"""Requests to the issuer: bounded in time and size, without redirects, over https or on loopback only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from latchpin.verify.errors import IssuerUnreachable

TIMEOUT_SECONDS = 5.0
_MOST_BYTES = 1_000_000
_OK = 200
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def require_safe(url: str, what: str) -> None:
    """Raise ValueError unless an address may be trusted for keys: https, or http on this machine."""
    parts = urlsplit(url)
    if (
        parts.fragment
        or parts.query
        or not parts.hostname
        or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)))
    ):
        message = f"{what} must be an https address without query and fragment (http on loopback only): {url}"
        raise ValueError(message)


def is_loopback(url: str) -> bool:
    """Whether a URL is on this machine."""
    return urlsplit(url).hostname in _LOOPBACK


def metadata_url(issuer: str) -> str:
    """Return the URL of an issuer's metadata: the well-known part stands between host and path (RFC 8414 section 3.1)."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path.rstrip('/')}"


class HttpClient:
    """Sends requests to one issuer, from threads or from an event loop. No proxy is used for this machine."""

    def __init__(self, issuer: str, timeout: float = TIMEOUT_SECONDS) -> None:
        self._options: dict[str, Any] = {
            "timeout": timeout,
            "follow_redirects": False,
            "trust_env": not is_loopback(issuer),
            "headers": {"Accept": "application/json"},
        }

    def request(self, url: str, form: Mapping[str, str] | None = None, auth: tuple[str, str] | None = None) -> dict[str, Any]:
        """Return a JSON object; posts `form` where there is one. Raises IssuerUnreachable."""
        try:
            with httpx.Client(**self._options) as client:
                return _object(client.send(_request(client, url, form, auth)))
        except httpx.HTTPError as error:
            raise _unreachable(url) from error

    async def request_async(self, url: str, form: Mapping[str, str] | None = None, auth: tuple[str, str] | None = None) -> dict[str, Any]:
        """As `request`, in an event loop."""
        try:
            async with httpx.AsyncClient(**self._options) as client:
                return _object(await client.send(_request(client, url, form, auth)))
        except httpx.HTTPError as error:
            raise _unreachable(url) from error


def _request(
    client: httpx.Client | httpx.AsyncClient, url: str, form: Mapping[str, str] | None, auth: tuple[str, str] | None
) -> httpx.Request:
    request = client.build_request("GET" if form is None else "POST", url, data=form)
    if auth is not None:
        request = next(httpx.BasicAuth(*auth).auth_flow(request))
    return request


def _object(response: httpx.Response) -> dict[str, Any]:
    if response.status_code != _OK or len(response.content) > _MOST_BYTES:
        message = f"{response.url} answered {response.status_code}"
        raise IssuerUnreachable(message)
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        message = f"{response.url} did not answer with a JSON object"
        raise IssuerUnreachable(message)
    return body


def _unreachable(url: str) -> IssuerUnreachable:
    return IssuerUnreachable(f"{url} cannot be reached")
