"""The command line as an OAuth client of a server: discovery, the device grant, refresh, and revocation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from latchpin.cli.credentials_file import StoredCredentials
from latchpin.errors import Conflict, Denied, Unavailable
from latchpin.kit import clock
from latchpin.oauth.clients import COMMAND_LINE

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_TIMEOUT_SECONDS = 90.0  # the API may let a request wait for its turn
_OK = 200
_SERVER_ERROR = 500
_INTERVAL_SECONDS = 5  # RFC 8628 section 3.2
_SLOWER_SECONDS = 5  # section 3.5
_MOST_SECONDS = 1800
_ENDS = {
    "access_denied": "The request was refused in the browser. Nothing was kept.",
    "expired_token": "The code has expired. Run the command again.",
}


class SignInExpired(Denied):
    """The tokens do not count any more: sign in again."""


class AuthorizationServerClient:
    """One server, reached by its metadata. Make it with `connect`."""

    def __init__(self, address: str, http: httpx.AsyncClient, metadata: dict[str, Any]) -> None:
        self.address = address
        self.http = http
        self._metadata = metadata

    async def begin(self, scope: str) -> dict[str, Any]:
        """Ask for a code that a person enters in a browser (RFC 8628 section 3.1); raises Denied."""
        response = await self._post("device_authorization_endpoint", {"client_id": COMMAND_LINE, "scope": scope})
        device_authorization = _document(response)
        if response.status_code != _OK or not {"device_code", "user_code", "verification_uri"} <= device_authorization.keys():
            raise Denied(f"{self.address} does not let this command sign in: {_error_text(response)}")
        return device_authorization

    async def wait(self, device_authorization: dict[str, Any]) -> StoredCredentials:
        """Wait until the person has decided (RFC 8628 sections 3.4, 3.5). Raises Denied where the answer is no, or came too late.

        Asks every `interval` seconds, five seconds more after each `slow_down`, and twice as long after each try without an answer.
        """
        interval = float(device_authorization.get("interval") or _INTERVAL_SECONDS)
        ends = clock.monotonic() + min(float(device_authorization.get("expires_in") or _MOST_SECONDS), _MOST_SECONDS)
        while True:
            await clock.wait_until(clock.monotonic() + interval)
            form = {"grant_type": DEVICE_CODE, "device_code": str(device_authorization["device_code"]), "client_id": COMMAND_LINE}
            response = None
            with contextlib.suppress(Unavailable):
                response = await self._post("token_endpoint", form)
            if response is not None and response.status_code == _OK:
                return _read_tokens(_document(response))
            if response is None or response.status_code >= _SERVER_ERROR:
                error, interval = "authorization_pending", interval * 2
            else:
                error = str(_document(response).get("error"))
            if error == "slow_down":
                interval += _SLOWER_SECONDS
            elif error != "authorization_pending":
                raise Denied(_ENDS.get(error) or f"{self.address} ended the sign-in: {_error_text(response)}")
            if clock.monotonic() >= ends:
                raise Denied(_ENDS["expired_token"])

    async def refresh(self, held: StoredCredentials) -> StoredCredentials:
        """Trade the refresh token (OAuth 2.1 section 4.3) while nobody else does. Raises SignInExpired where it does not count."""
        if held.refresh_token is None:
            raise SignInExpired("The access token has expired.")
        form = {"grant_type": "refresh_token", "refresh_token": held.refresh_token, "client_id": held.client_id}
        response = await self._post("token_endpoint", form)
        if response.status_code == _OK:
            return _read_tokens(_document(response), held)
        if _document(response).get("error") in ("invalid_grant", "invalid_client", "unauthorized_client"):
            raise SignInExpired(f"The sign-in has ended: {_error_text(response)}.")
        raise Unavailable(f"{self.address} cannot refresh the sign-in now: {_error_text(response)}")

    async def revoke(self, held: StoredCredentials) -> bool:
        """End the sign-in at the server (RFC 7009); returns whether it said so. Raises Unavailable."""
        if "revocation_endpoint" not in self._metadata:
            return False
        hint = "refresh_token" if held.refresh_token else "access_token"
        form = {"token": held.refresh_token or held.access_token, "token_type_hint": hint, "client_id": held.client_id}
        return (await self._post("revocation_endpoint", form)).status_code == _OK

    async def _post(self, endpoint: str, form: dict[str, str]) -> httpx.Response:
        address = self._metadata.get(endpoint)
        if not isinstance(address, str):
            raise Denied(f"{self.address} has no {endpoint}.")
        require_safe(address)
        try:
            return await self.http.post(address, data=form)
        except httpx.HTTPError as error:
            raise _unreachable(self.address, error) from error


@asynccontextmanager
async def connect(address: str) -> AsyncIterator[AuthorizationServerClient]:
    """Read a server's metadata (RFC 8414) and give a client of it; raises Unavailable, and Conflict for an address that is not sound."""
    async with client(address) as http:
        try:
            response = await http.get(f"{address}/.well-known/oauth-authorization-server")
        except httpx.HTTPError as error:
            raise _unreachable(address, error) from error
        metadata = _document(response)
        if response.status_code != _OK or "issuer" not in metadata:
            raise Unavailable(f"{address} is no authorization server: it answered {response.status_code} to the question for its metadata.")
        if metadata["issuer"] != address:
            raise Conflict(f"{address} calls itself {plain(metadata['issuer'])}. Use that address with --issuer, if it is the right one.")
        yield AuthorizationServerClient(address, http, metadata)


@asynccontextmanager
async def client(address: str) -> AsyncIterator[httpx.AsyncClient]:
    """Give an HTTP client for a server: no redirects, so that no token goes elsewhere; no proxy towards this very machine."""
    require_safe(address)
    is_here = urlsplit(address).hostname in _LOOPBACK
    async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=not is_here) as http:
        yield http


def require_safe(address: str) -> None:
    """Raise Conflict unless tokens may be sent to an address: https, or http on this very machine (OAuth 2.1 section 1.5)."""
    try:
        parts = urlsplit(address)
        is_sound = bool(parts.hostname) and not parts.query and not parts.fragment and not parts.username
    except ValueError:
        raise Conflict(f"{plain(address)} is no address of a server.") from None
    if not is_sound or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
        raise Conflict(f"{plain(address)} must be an https address, without a query; http is for this machine alone.")


def plain(text: object) -> str:
    """Return what another machine said, fit for a terminal: printable ASCII, and not endless."""
    return "".join(each if " " <= each <= "~" else "?" for each in str(text)[:500])


def _unreachable(address: str, error: httpx.HTTPError) -> Unavailable:
    return Unavailable(f"{address} cannot be reached: {plain(error) or type(error).__name__}.")


def _document(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _error_text(response: httpx.Response | None) -> str:
    if response is None:
        return "no answer"
    document = _document(response)
    words = [plain(document[name]) for name in ("error", "error_description") if document.get(name)]
    return ": ".join(words) or f"status {response.status_code}"


def _read_tokens(token_response: dict[str, Any], before: StoredCredentials | None = None) -> StoredCredentials:
    """Read a token answer (RFC 6749 section 5.1); what it leaves out is as before."""
    if not isinstance(token_response.get("access_token"), str) or str(token_response.get("token_type", "")).lower() != "bearer":
        raise Unavailable("The server's answer holds no bearer token.")
    return StoredCredentials(
        access_token=token_response["access_token"],
        refresh_token=token_response.get("refresh_token") or (before.refresh_token if before else None),
        expires=clock.timestamp() + float(token_response.get("expires_in") or 0),
        scope=str(token_response.get("scope") or (before.scope if before else "")),
        client_id=COMMAND_LINE,
    )
