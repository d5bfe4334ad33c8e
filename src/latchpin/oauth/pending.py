"""Authorization requests that wait for a user: stored on the server, identified by a random token, answered once (security.md 16, 17).

The token is in our page's form. It is valid only in the browser session that the page was made for, so another site, another user
and a second submission are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Conflict, Denied, Malformed
from latchpin.identity import credentials
from latchpin.kit import clock
from latchpin.oauth.authorization_request import AuthorizationRequest
from latchpin.storage.models import StoredAuthorizationRequest

LIFETIME = timedelta(minutes=10)
MOST_UNANSWERED = 50  # of one browser session
_AGAIN = "Go back to the app and begin again."


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingAuthorization:
    """A pending request: an app's with its own address, or a device's. `account_due` and `reauth_due` are steps before the consent.

    A pushed request has no address that may be kept; `pushed` is the digest of its continuation, in hexadecimal.
    `client_version` is that of the app as the consent page showed it.
    """

    request: AuthorizationRequest | None = None
    address: str = ""
    account_due: bool = False
    reauth_due: bool = False
    device_id: int | None = None
    pushed: str = ""
    client_version: int | None = None


@dataclass(frozen=True, slots=True)
class OpenedAuthorization:
    """A pending request that was validated."""

    row: StoredAuthorizationRequest
    pending: PendingAuthorization
    client_pk: int


async def save(session: AsyncSession, session_id: int, client_pk: int, pending_authorization: PendingAuthorization) -> str:
    """Store a request for the user of a browser session; the token is only in the return value."""
    await _make_room(session, session_id)
    token = credentials.new_token()
    session.add(
        StoredAuthorizationRequest(
            digest=credentials.token_digest(token),
            browser_session_id=session_id,
            oauth_client_id=client_pk,
            parameters=msgspec.json.encode(pending_authorization).decode(),
            expires_at=clock.now() + LIFETIME,
        )
    )
    await session.flush()
    return token


async def _make_room(session: AsyncSession, session_id: int) -> None:
    """Remove the oldest unanswered requests of a browser session, so that a page that sends requests without end fills no table."""
    unanswered = (
        select(StoredAuthorizationRequest.digest)
        .where(StoredAuthorizationRequest.browser_session_id == session_id, StoredAuthorizationRequest.used_at.is_(None))
        .order_by(StoredAuthorizationRequest.expires_at.desc())
        .offset(MOST_UNANSWERED - 1)
    )
    await session.execute(
        delete(StoredAuthorizationRequest)
        .where(StoredAuthorizationRequest.digest.in_(unanswered))
        .execution_options(synchronize_session=False)
    )


async def find(session: AsyncSession, token: str, session_id: int) -> OpenedAuthorization:
    """Return the pending request of a token; raises Malformed (unknown), Denied (another session's), Conflict (answered, or too old)."""
    row = await session.scalar(
        select(StoredAuthorizationRequest).where(StoredAuthorizationRequest.digest == credentials.token_digest(token))
    )
    if row is None:
        raise Malformed(f"This page is not known here any more. {_AGAIN}")
    if row.browser_session_id != session_id:
        raise Denied(f"This page belongs to another sign-in, so nothing was done. {_AGAIN}", code="other_session")
    if row.used_at is not None:
        raise Conflict(f"This page was answered already, and works once. {_AGAIN}", code="request_used")
    if row.expires_at <= clock.now():
        raise Conflict(f"This page was open for too long, so nothing was done. {_AGAIN}", code="request_expired")
    return OpenedAuthorization(row, msgspec.json.decode(row.parameters, type=PendingAuthorization), row.oauth_client_id)


async def amend(session: AsyncSession, opened: OpenedAuthorization, pending_authorization: PendingAuthorization) -> None:
    """Record that a step is done; the token stays the same."""
    opened.row.parameters = msgspec.json.encode(pending_authorization).decode()
    await session.flush()


async def use_up(session: AsyncSession, opened: OpenedAuthorization) -> None:
    """Take a request by one conditional update; raises Conflict for all but the first who try."""
    result = await session.execute(
        update(StoredAuthorizationRequest)
        .where(StoredAuthorizationRequest.digest == opened.row.digest, StoredAuthorizationRequest.used_at.is_(None))
        .values(used_at=clock.now())
        .returning(StoredAuthorizationRequest.digest)
    )
    if result.one_or_none() is None:
        raise Conflict(f"This page was answered already, and works once. {_AGAIN}", code="request_used")


async def purge_expired(session: AsyncSession) -> None:
    """Remove requests that expired an hour ago."""
    await session.execute(
        delete(StoredAuthorizationRequest).where(StoredAuthorizationRequest.expires_at < clock.now() - timedelta(hours=1))
    )


def without_account(pending_authorization: PendingAuthorization) -> PendingAuthorization:
    """Return the request after its account was chosen."""
    return replace(pending_authorization, account_due=False)


def without_reauth(pending_authorization: PendingAuthorization) -> PendingAuthorization:
    """Return the request after the password was given again."""
    return replace(pending_authorization, reauth_due=False)
