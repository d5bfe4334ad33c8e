"""Signing in with e-mail and password, slowed for guessers and never locked for the owner (security.md 106, 107).

Three counters of failures in 15 minutes: this account from this address, this address on any account, this account from anywhere. The
last one locks nobody out: once it is high, it only lowers what an address may try that has not signed in to this account before. A
browser that has carries a device cookie and keeps its own allowance.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import case, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin, events, record
from latchpin.audit.actor import nobody
from latchpin.errors import LatchpinError, Throttled, Unauthenticated
from latchpin.identity import passwords, sessions, users
from latchpin.identity.fields import email_key
from latchpin.identity.roles import CredentialKind
from latchpin.kit import clock
from latchpin.settings import Settings
from latchpin.storage.models import SignInFailures, User
from latchpin.storage.models.user import UserStatus
from latchpin.storage.secrets import Secrets

WINDOW = timedelta(minutes=15)
PER_PAIR = 5
PER_ADDRESS = 50
PER_ACCOUNT = 20
PER_PAIR_UNDER_ATTACK = 2
_REFUSED = "The e-mail address or the password is not right."


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `device` is the device cookie's text, None where there was none."""

    email: str
    password: str = field(repr=False)
    origin: Origin
    device: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a try came to: either `opened` with the user, or `refusal`, to be raised after the transaction has been committed."""

    user: User | None = None
    opened: sessions.Opened | None = None
    refusal: LatchpinError | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a password was right for a hash; made before the writing transaction, because hashing takes long and the lock is one."""

    password_hash: str | None = field(repr=False)
    right: bool


async def check(session: AsyncSession, tried: Attempt, secrets: Secrets) -> Checked | None:
    """Do the slow part of `attempt` or `prove` in a reading transaction; None where the try has to wait anyway.

    The same work is done for an unknown user.
    """
    user = await users.by_email(session, tried.email)
    if await _wait(session, tried, secrets, user):
        return None
    password_hash = user.password_hash if user else None
    return Checked(password_hash, await passwords.matches(tried.password, password_hash))


async def attempt(
    session: AsyncSession, tried: Attempt, settings: Settings, secrets: Secrets, *, checked: Checked | None = None
) -> Outcome:
    """Check a password and open a session. A refusal is returned, not raised: its counters and its audit event must be committed.

    Unknown, disabled and wrong all get the same refusal after the same work. With `checked` (from `check`) nothing slow happens here.
    """
    await _one_at_a_time(session, tried)
    user = await users.by_email(session, tried.email)
    if wait := await _wait(session, tried, secrets, user):
        return await _throttled(session, tried, user, wait, known=_is_known(tried, secrets, user))
    right = await _is_right(tried, user, checked)
    if user is None or not right or user.status is not UserStatus.ACTIVE:
        reason = "unknown user" if user is None else "wrong password" if not right else "user disabled"
        await _count_failure(session, tried, known=_is_known(tried, secrets, user))
        _record_refusal(session, tried, user, reason)
        return Outcome(refusal=Unauthenticated(_REFUSED))
    if passwords.is_outdated(user.password_hash):
        user.password_hash = await passwords.hash_password(tried.password)
    user.last_sign_in = clock.now()
    opened = await sessions.open_(session, user, settings, tried.origin)
    known = _is_known(tried, secrets, user)
    await session.execute(delete(SignInFailures).where(SignInFailures.bucket == _pair(tried, known=known)))
    by = Actor(user.email, user.id, user.organization_id, CredentialKind.SESSION.value, opened.session_id, "browser session", tried.origin)
    record(session, events.SignedIn(target_id=user.id, target_name=user.email), by)
    return Outcome(user=user, opened=opened)


async def prove(
    session: AsyncSession,
    signed_in: sessions.SignedInUser,
    tried: Attempt,
    secrets: Secrets,
    *,
    by: Actor,
    checked: Checked | None = None,
) -> Outcome:
    """Check the password of somebody signed in already, under the same limits; `opened` then holds the session's new token."""
    await _one_at_a_time(session, tried)
    user = await users.by_email(session, signed_in.principal.email)
    if user is None:
        return Outcome(refusal=Unauthenticated(_REFUSED))
    if wait := await _wait(session, tried, secrets, user):
        return await _throttled(session, tried, user, wait, known=_is_known(tried, secrets, user))
    if not await _is_right(tried, user, checked):
        await _count_failure(session, tried, known=_is_known(tried, secrets, user))
        _record_refusal(session, tried, user, "wrong password")
        return Outcome(refusal=Unauthenticated("This is not your password."))
    token = await sessions.renew(session, signed_in.session_id)
    record(session, events.PasswordProved(target_id=user.id, target_name=user.email), by)
    return Outcome(user=user, opened=sessions.Opened(signed_in.session_id, token))


async def _is_right(tried: Attempt, user: User | None, checked: Checked | None) -> bool:
    password_hash = user.password_hash if user else None
    if checked is not None and checked.password_hash == password_hash:
        return checked.right
    return await passwords.matches(tried.password, password_hash)  # it changed in between, or nobody checked before


async def _throttled(session: AsyncSession, tried: Attempt, user: User | None, wait: int, *, known: bool) -> Outcome:
    """Count a try that came too early; only the 1st, 2nd, 4th, 8th ... is an audit event, so that a flood cannot fill the disk."""
    failures = await _count_failure(session, tried, known=known)
    beyond = failures - PER_PAIR
    if beyond <= 1 or beyond & (beyond - 1) == 0:
        _record_refusal(session, tried, user, "throttled")
    minutes = max(1, round(wait / 60))
    return Outcome(refusal=Throttled(f"Too many tries. Try again in {minutes} minutes.", retry_after=wait))


def device_cookie(secrets: Secrets, user: User) -> str:
    """Return the text of a cookie that shows that this browser has signed in to the account before; it opens nothing."""
    return hmac.new(secrets.derive("device"), f"{user.id}|{user.created.isoformat()}".encode(), hashlib.sha256).hexdigest()


async def _one_at_a_time(session: AsyncSession, tried: Attempt) -> None:
    """Let tries at one account, and tries from one address, be judged one after the other, so that a burst cannot pass the limit.

    SQLite has one writer anyway; on PostgreSQL the locks end with the transaction.
    """
    if session.get_bind().dialect.name == "postgresql":
        for bucket in sorted((_account(tried), _address(tried))):
            number = int.from_bytes(bucket[:8], "big", signed=True)
            await session.execute(select(func.pg_advisory_xact_lock(number)))


async def _wait(session: AsyncSession, tried: Attempt, secrets: Secrets, user: User | None) -> int:
    """Return how many seconds this try must wait, 0 for none."""
    known = _is_known(tried, secrets, user)
    account, address, pair = _account(tried), _address(tried), _pair(tried, known=known)
    at = clock.now()
    rows = await session.scalars(select(SignInFailures).where(SignInFailures.bucket.in_((account, address, pair))))
    counts = {row.bucket: row for row in rows.all() if row.window_ends > at}
    failures = {bucket: row.failures for bucket, row in counts.items()}
    allowance = PER_PAIR if known or failures.get(account, 0) < PER_ACCOUNT else PER_PAIR_UNDER_ATTACK
    full = [
        bucket
        for bucket, most in ((pair, allowance), (address, PER_ADDRESS))
        if failures.get(bucket, 0) >= most and not (bucket == address and known)
    ]
    return max((int((counts[bucket].window_ends - at).total_seconds()) + 1 for bucket in full), default=0)


def _is_known(tried: Attempt, secrets: Secrets, user: User | None) -> bool:
    return (
        user is not None and tried.device is not None and hmac.compare_digest(tried.device.encode(), device_cookie(secrets, user).encode())
    )


async def _count_failure(session: AsyncSession, tried: Attempt, *, known: bool) -> int:
    """Count one failure in every bucket; returns the count of this account from this address."""
    at = clock.now()
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    over = SignInFailures.window_ends <= at
    pair = _pair(tried, known=known)
    failures = 0
    for bucket in sorted((_account(tried), _address(tried), pair)):  # one order, so that two tries cannot wait for each other
        row = insert(SignInFailures).values(bucket=bucket, failures=1, window_ends=at + WINDOW)
        counted = row.on_conflict_do_update(
            index_elements=[SignInFailures.bucket],
            set_={
                "failures": case((over, 1), else_=SignInFailures.failures + 1),
                "window_ends": case((over, at + WINDOW), else_=SignInFailures.window_ends),
            },
        ).returning(SignInFailures.failures)
        found = await session.scalar(counted)
        failures = found or 0 if bucket == pair else failures
    return failures


def _record_refusal(session: AsyncSession, tried: Attempt, user: User | None, reason: str) -> None:
    event = events.SignInRefused(
        target_id=user.id if user else None,
        target_name=user.email if user else None,
        outcome="refused",
        reason=reason,
        organization_id=user.organization_id if user else None,
    )
    # What an unknown person typed as an e-mail may be a password typed into the wrong field: it is not kept.
    record(session, event, nobody(tried.origin, user.email if user else "unknown user"))


def _account(tried: Attempt) -> bytes:
    return hashlib.sha256(b"account|" + email_key(tried.email).encode()).digest()


def _address(tried: Attempt) -> bytes:
    return hashlib.sha256(b"address|" + (tried.origin.address or "").encode()).digest()


def _pair(tried: Attempt, *, known: bool) -> bytes:
    """Name the bucket of this account from this address, or, for a browser that has signed in before, from this browser."""
    where = b"device|" + (tried.device or "").encode() if known else b"pair|" + (tried.origin.address or "").encode()
    return hashlib.sha256(where + b"|" + email_key(tried.email).encode()).digest()


async def sweep(session: AsyncSession) -> None:
    """Remove counters whose window is over."""
    await session.execute(delete(SignInFailures).where(SignInFailures.window_ends < clock.now()))
