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
        answer = await self._post("device_authorization_endpoint", {"client_id": COMMAND_LINE, "scope": scope})
        found = _document(answer)
        if answer.status_code != _OK or not {"device_code", "user_code", "verification_uri"} <= found.keys():
            raise Denied(f"{self.address} does not let this command sign in: {_said(answer)}")
        return found

    async def wait(self, asked: dict[str, Any]) -> StoredCredentials:
        """Wait until the person has decided (RFC 8628 sections 3.4, 3.5). Raises Denied where the answer is no, or came too late.

        Asks every `interval` seconds, five seconds more after each `slow_down`, and twice as long after each try without an answer.
        """
        interval = float(asked.get("interval") or _INTERVAL_SECONDS)
        ends = clock.monotonic() + min(float(asked.get("expires_in") or _MOST_SECONDS), _MOST_SECONDS)
        while True:
            await clock.wait_until(clock.monotonic() + interval)
            form = {"grant_type": DEVICE_CODE, "device_code": str(asked["device_code"]), "client_id": COMMAND_LINE}
            answer = None
            with contextlib.suppress(Unavailable):
                answer = await self._post("token_endpoint", form)
            if answer is not None and answer.status_code == _OK:
                return _signed_in(_document(answer))
            if answer is None or answer.status_code >= _SERVER_ERROR:
                error, interval = "authorization_pending", interval * 2
            else:
                error = str(_document(answer).get("error"))
            if error == "slow_down":
                interval += _SLOWER_SECONDS
            elif error != "authorization_pending":
                raise Denied(_ENDS.get(error) or f"{self.address} ended the sign-in: {_said(answer)}")
            if clock.monotonic() >= ends:
                raise Denied(_ENDS["expired_token"])

    async def refresh(self, held: StoredCredentials) -> StoredCredentials:
        """Trade the refresh token (OAuth 2.1 section 4.3) while nobody else does. Raises SignInEnded where it does not count."""
        if held.refresh_token is None:
            raise SignInExpired("The access token has expired.")
        form = {"grant_type": "refresh_token", "refresh_token": held.refresh_token, "client_id": held.client_id}
        answer = await self._post("token_endpoint", form)
        if answer.status_code == _OK:
            return _signed_in(_document(answer), held)
        if _document(answer).get("error") in ("invalid_grant", "invalid_client", "unauthorized_client"):
            raise SignInExpired(f"The sign-in has ended: {_said(answer)}.")
        raise Unavailable(f"{self.address} cannot refresh the sign-in now: {_said(answer)}")

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
            answer = await http.get(f"{address}/.well-known/oauth-authorization-server")
        except httpx.HTTPError as error:
            raise _unreachable(address, error) from error
        metadata = _document(answer)
        if answer.status_code != _OK or "issuer" not in metadata:
            raise Unavailable(f"{address} is no authorization server: it answered {answer.status_code} to the question for its metadata.")
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


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _said(answer: httpx.Response | None) -> str:
    if answer is None:
        return "no answer"
    found = _document(answer)
    words = [plain(found[name]) for name in ("error", "error_description") if found.get(name)]
    return ": ".join(words) or f"status {answer.status_code}"


def _signed_in(answer: dict[str, Any], before: StoredCredentials | None = None) -> StoredCredentials:
    """Read a token answer (RFC 6749 section 5.1); what it leaves out is as before."""
    if not isinstance(answer.get("access_token"), str) or str(answer.get("token_type", "")).lower() != "bearer":
        raise Unavailable("The server's answer holds no bearer token.")
    return StoredCredentials(
        access_token=answer["access_token"],
        refresh_token=answer.get("refresh_token") or (before.refresh_token if before else None),
        expires=clock.timestamp() + float(answer.get("expires_in") or 0),
        scope=str(answer.get("scope") or (before.scope if before else "")),
        client_id=COMMAND_LINE,
    )
