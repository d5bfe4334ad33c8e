"""Browser sessions: the cookie's token is random and stored only as a digest; an idle and an absolute timeout end a session."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin, events, record
from latchpin.audit.actor import one_line
from latchpin.errors import Missing
from latchpin.identity import credentials, grants
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group
from latchpin.kit import clock, cookie_names
from latchpin.settings import Settings
from latchpin.storage import subjects
from latchpin.storage.generation import invalidate
from latchpin.storage.models import BrowserSession, User
from latchpin.storage.models.user import UserStatus

_SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NewSession:
    """A new session; `token` goes into the cookie and nowhere else."""

    session_id: int
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """The user of a session cookie. `reauthenticated_at` is when the password was last given; with `needs_renewal`, call `touch`."""

    principal: Principal
    session_id: int
    reauthenticated_at: datetime
    must_change_password: bool
    needs_renewal: bool

    def is_fresh(self, settings: Settings) -> bool:
        """Whether the password was given recently enough to change keys or users (security.md 113)."""
        return clock.now() - self.reauthenticated_at <= timedelta(minutes=settings.reauth_minutes)


async def open_(session: AsyncSession, user: User, settings: Settings, origin: Origin) -> NewSession:
    """Create a session for a user who has just given the password."""
    token, at = credentials.new_token(), clock.now()
    row = BrowserSession(
        user_id=user.id,
        digest=credentials.token_digest(token),
        created_at=at,
        last_seen_at=at,
        reauthenticated_at=at,
        expires_at=at + timedelta(hours=settings.session_max_hours),
        address=(origin.address or "")[:64],
        user_agent=one_line(origin.user_agent or "", 400),
    )
    session.add(row)
    await session.flush()
    return NewSession(row.id, token)


async def find(session: AsyncSession, token: str, settings: Settings) -> SignedInUser | None:
    """Return the user of the cookie's token, or None where its session does not exist or is not active."""
    at = clock.now()
    row = (
        await session.execute(
            select(BrowserSession, User)
            .join(User, User.id == BrowserSession.user_id)
            .where(
                BrowserSession.digest == credentials.token_digest(token),
                BrowserSession.ended_at.is_(None),
                BrowserSession.expires_at > at,
                BrowserSession.last_seen_at > at - timedelta(minutes=settings.session_idle_minutes),
                User.status == UserStatus.ACTIVE,
            )
        )
    ).one_or_none()
    if row is None:
        return None
    browser_session, user = row
    principal = Principal(
        user_id=user.id,
        organization_id=user.organization_id,
        full_name=user.full_name,
        email=user.email,
        group=Group(user.user_group),
        credential=Credential(CredentialKind.SESSION, browser_session.id, "browser session"),
    )
    return SignedInUser(
        principal,
        browser_session.id,
        browser_session.reauthenticated_at,
        user.must_change_password,
        at - browser_session.last_seen_at >= _SEEN_EVERY,
    )


async def owner_of(session: AsyncSession, token: str) -> int | None:
    """Return the active user of a cookie's session, which may have ended; ended sessions are kept for 30 days."""
    return await session.scalar(
        select(BrowserSession.user_id)
        .join(User, User.id == BrowserSession.user_id)
        .where(BrowserSession.digest == credentials.token_digest(token), User.status == UserStatus.ACTIVE)
    )


async def touch(session: AsyncSession, session_id: int) -> None:
    """Record that a session was used; call it at most once a minute per session (`needs_renewal` says when)."""
    await session.execute(update(BrowserSession).where(BrowserSession.id == session_id).values(last_seen_at=clock.now()))


async def renew(session: AsyncSession, session_id: int) -> str:
    """Record that the password was given again; returns a new token for the session, the old one is invalid. Raises Missing."""
    row = await session.get(BrowserSession, session_id)
    if row is None or row.ended_at is not None:
        raise Missing("session", session_id)
    token = credentials.new_token()
    row.digest, row.reauthenticated_at = credentials.token_digest(token), clock.now()
    return token


async def of_user(session: AsyncSession, user_id: int, settings: Settings) -> list[BrowserSession]:
    """Return a user's active sessions, the latest used first."""
    at = clock.now()
    rows = await session.scalars(
        select(BrowserSession)
        .where(
            BrowserSession.user_id == user_id,
            BrowserSession.ended_at.is_(None),
            BrowserSession.expires_at > at,
            BrowserSession.last_seen_at > at - timedelta(minutes=settings.session_idle_minutes),
        )
        .order_by(BrowserSession.last_seen_at.desc(), BrowserSession.id.desc())
    )
    return list(rows.all())


async def end(
    session: AsyncSession, user_id: int, session_id: int, *, by: Actor, signed_out: bool = False, name: str | None = None
) -> None:
    """End one session of a user, with the grants that depend on it; raises Missing where it is not the user's.

    `name` is the user's e-mail address, for the audit log, where another user ends the session.
    """
    row = await session.scalar(select(BrowserSession).where(BrowserSession.id == session_id, BrowserSession.user_id == user_id))
    if row is None:
        raise Missing("session", session_id)
    if row.ended_at is None:
        row.ended_at = clock.now()
        invalidate(session, subjects.browser_session(row.id))
        await grants.end_of_sessions(session, [row.id], reason="signed out", by=by)
        event = events.SignedOut if signed_out else events.SessionEnded
        record(session, event(target_id=user_id, target_name=name or by.name), by)


async def replace(session: AsyncSession, token: str, *, by: Actor) -> None:
    """End the session, of any user, whose cookie a new one replaces; a token without an active session is ignored."""
    row = (
        await session.execute(
            select(BrowserSession, User)
            .join(User, User.id == BrowserSession.user_id)
            .where(BrowserSession.digest == credentials.token_digest(token), BrowserSession.ended_at.is_(None))
        )
    ).one_or_none()
    if row is not None:
        browser_session, user = row
        browser_session.ended_at = clock.now()
        invalidate(session, subjects.browser_session(browser_session.id))
        await grants.end_of_sessions(session, [browser_session.id], reason="another sign-in took its place", by=by)
        event = events.SessionEnded(target_id=user.id, target_name=user.email, organization_id=user.organization_id)
        record(session, event, by)


async def end_all(session: AsyncSession, user_id: int, *, but: int | None = None) -> None:
    """End every session of a user, except the one with id `but`."""
    invalidate(session, subjects.user(user_id))
    await session.execute(
        update(BrowserSession)
        .where(BrowserSession.user_id == user_id, BrowserSession.ended_at.is_(None), BrowserSession.id != (but or 0))
        .values(ended_at=clock.now())
    )


async def purge_expired(session: AsyncSession) -> None:
    """Remove sessions that ended or expired more than 30 days ago."""
    long_ago = clock.now() - timedelta(days=30)
    await session.execute(delete(BrowserSession).where(BrowserSession.expires_at < long_ago))


def cookie_name(settings: Settings) -> str:
    """Return the session cookie's name."""
    return cookie_names.of(settings)
