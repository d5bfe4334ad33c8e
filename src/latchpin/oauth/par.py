"""Pushed authorization requests (RFC 9126), and how a browser gets from one to the user's decision.

An app gets a `request_uri`, which is valid once and for a minute. A person may first have to sign in, choose another account or reload the
page, so the first visit exchanges it for a continuation: a URL that contains nothing of the request either, is valid only in that browser
(half of its secret is in a cookie), for ten minutes, and can be answered once. Both are stored as digests.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Conflict
from latchpin.identity import credentials
from latchpin.kit import clock
from latchpin.oauth import authorization_request as requests
from latchpin.oauth.clients import Client
from latchpin.oauth.errors import OAuthError, invalid_request
from latchpin.oauth.params import Params
from latchpin.storage.models import PushedRequest

PUSHED_PREFIX = "urn:ietf:params:oauth:request_uri:"
CONTINUATION_PREFIX = "urn:latchpin:params:oauth:continued:"
LIFETIME = timedelta(seconds=60)
CONTINUATION = timedelta(minutes=10)
LEAST_KEPT = 1000  # bytes of a request from a browser, from which on it is stored like a pushed one
MOST_BYTES = 8000  # the limit of a browser's own request; anybody's app may store only little here
INVALID_REQUEST_URI = "invalid_request_uri"  # OpenID Connect Core section 3.1.2.6
_ANSWERED = "This request was answered already, and works once. Go back to the app and begin again."


@dataclass(frozen=True, slots=True)
class PushedAuthorizationRequest:
    """A request that was pushed, or was too long for URLs: its parameters, encoded, and when it first came here.

    `digest` is the continuation's; None where the answer follows at once, and there is none.
    """

    encoded: bytes
    received_at: datetime
    digest: bytes | None = None


def is_request_uri(request_uri: str) -> bool:
    """Whether a `request_uri` has the form of one that we issued; any other one is an address, which we do not fetch."""
    return request_uri.startswith((PUSHED_PREFIX, CONTINUATION_PREFIX))


def is_continuation(request_uri: str) -> bool:
    """Whether a `request_uri` is a continuation."""
    return request_uri.startswith(CONTINUATION_PREFIX)


def expired() -> OAuthError:
    """Make the one answer to a `request_uri` that is unknown, used, too old, another app's or another browser's."""
    return OAuthError(INVALID_REQUEST_URI, "request_uri is unknown, was used, has run out, or belongs to another app or browser")


def parameters(params: Params, client: Client) -> str:
    """Return the stored part of a request: the parameters that are read, as a form, without credentials (section 2.1).

    Raises OAuthError for more than MOST_BYTES.
    """
    values = {name: value for name in requests.PARAMETERS if (value := params.get(name)) is not None} | {"client_id": client.client_id}
    encoded = urlencode([*values.items(), *(("resource", each) for each in params.resources)])
    if len(encoded) > MOST_BYTES:
        raise invalid_request("the request is too long")
    return encoded


async def save(session: AsyncSession, client: Client, encoded: str) -> str:
    """Store a request; returns its `request_uri`, which is only in the return value."""
    token = credentials.new_token()
    await _add(session, token, client, encoded, LIFETIME)
    return PUSHED_PREFIX + token


async def take(session: AsyncSession, request_uri: str, client: Client) -> PushedAuthorizationRequest:
    """Use a request up by one conditional update; raises OAuthError for a second use, an expired request and another app's."""
    at = clock.now()
    digest = credentials.token_digest(request_uri.removeprefix(PUSHED_PREFIX))
    result = await session.execute(
        update(PushedRequest)
        .where(
            PushedRequest.digest == digest,
            PushedRequest.oauth_client_id == client.pk,
            PushedRequest.used_at.is_(None),
            PushedRequest.expires_at > at,
        )
        .values(used_at=at)
        .returning(PushedRequest.parameters)
    )
    row = result.one_or_none()
    if row is None:
        raise expired()
    return PushedAuthorizationRequest(row.parameters.encode(), at)


async def resume(session: AsyncSession, client: Client, pushed_request: PushedAuthorizationRequest, browser: str) -> str:
    """Store a request that was just used up for the browser with this secret; returns the URL to continue at."""
    token = credentials.new_token()
    await _add(session, _both(token, browser), client, pushed_request.encoded.decode(), CONTINUATION)
    return _address(client, token)


async def find(session: AsyncSession, request_uri: str, client: Client, browser: str) -> PushedAuthorizationRequest:
    """Return the request of a continuation in this browser, without using it up; raises OAuthError."""
    digest = credentials.token_digest(_both(request_uri.removeprefix(CONTINUATION_PREFIX), browser))
    row = await session.scalar(
        select(PushedRequest).where(
            PushedRequest.digest == digest,
            PushedRequest.oauth_client_id == client.pk,
            PushedRequest.used_at.is_(None),
            PushedRequest.expires_at > clock.now(),
        )
    )
    if row is None:
        raise expired()
    return PushedAuthorizationRequest(row.parameters.encode(), row.expires_at - CONTINUATION, digest)


async def use_up(session: AsyncSession, digest: bytes) -> None:
    """Mark a continued request as answered, by one conditional update; raises Conflict for all but the first who try."""
    result = await session.execute(
        update(PushedRequest)
        .where(PushedRequest.digest == digest, PushedRequest.used_at.is_(None))
        .values(used_at=clock.now())
        .returning(PushedRequest.digest)
    )
    if result.one_or_none() is None:
        raise Conflict(_ANSWERED, code="request_used")


async def move(session: AsyncSession, digest: bytes, client: Client, browser: str) -> str:
    """Give a continued request a new address, which is returned; the old one becomes invalid. Raises Conflict where it was answered."""
    token = credentials.new_token()
    result = await session.execute(
        update(PushedRequest)
        .where(PushedRequest.digest == digest, PushedRequest.used_at.is_(None))
        .values(digest=credentials.token_digest(_both(token, browser)))
        .returning(PushedRequest.digest)
    )
    if result.one_or_none() is None:
        raise Conflict(_ANSWERED, code="request_used")
    return _address(client, token)


async def purge_expired(session: AsyncSession) -> None:
    """Remove requests that expired an hour ago."""
    await session.execute(delete(PushedRequest).where(PushedRequest.expires_at < clock.now() - timedelta(hours=1)))


async def _add(session: AsyncSession, secret: str, client: Client, encoded: str, lifetime: timedelta) -> None:
    session.add(
        PushedRequest(
            digest=credentials.token_digest(secret),
            oauth_client_id=client.pk,
            parameters=encoded,
            expires_at=clock.now() + lifetime,
        )
    )
    await session.flush()


def _both(token: str, browser: str) -> str:
    """Join the two halves of a continuation's secret; neither is usable alone."""
    return f"{token}.{browser}"


def _address(client: Client, token: str) -> str:
    return f"{requests.PATH}?{urlencode({'client_id': client.client_id, 'request_uri': CONTINUATION_PREFIX + token})}"
