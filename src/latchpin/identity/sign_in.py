"""Signing in with e-mail and password, with throttling against guessing, which never locks the owner out (security.md 106, 107).

The caller takes four steps, because hashing takes long and must hold no connection: `look_up` in a reading transaction, then, in
`reserve_slot`, `check` without any transaction, and `attempt` or `reauthenticate` in a writing one.
"""

from __future__ import annotations

import hashlib
import hmac
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin, events, record
from latchpin.audit.actor import anonymous
from latchpin.errors import LatchpinError, Throttled, Unauthenticated
from latchpin.identity import passwords, sessions, sign_in_limits, sign_in_load, users
from latchpin.identity.roles import CredentialKind
from latchpin.identity.sign_in_limits import Buckets, ThrottleState
from latchpin.identity.sign_in_load import ShedAttempts, TargetUser
from latchpin.kit import clock
from latchpin.settings import Settings
from latchpin.storage.models import User
from latchpin.storage.models.user import UserStatus
from latchpin.storage.secrets import Secrets

_REFUSED = "Incorrect email or password."


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in attempt. `device` is the device cookie's text, `previous` the token of the browser's present session; None for none."""

    email: str
    password: str = field(repr=False)
    origin: Origin
    device: str | None = field(default=None, repr=False)
    previous: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an attempt: either `opened` with the user, or `refusal`, to be raised after the transaction has been committed."""

    user: User | None = None
    session: sessions.NewSession | None = None
    refusal: LatchpinError | None = None


@dataclass(frozen=True, slots=True)
class Lookup:
    """The result of `look_up`: the hash to check (None for an unknown user), whether the attempt must wait, and whose slot it takes."""

    password_hash: str | None = field(repr=False)
    is_throttled: bool
    limiter_key: bytes
    target: TargetUser | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """Whether a password matches a hash; `anew` is a new hash with the present parameters, where that one is outdated."""

    password_hash: str | None = field(repr=False)
    right: bool
    anew: str | None = field(default=None, repr=False)


async def look_up(session: AsyncSession, tried: Attempt, secrets: Secrets) -> Lookup:
    """Read what `check` needs, in a short reading transaction that is closed before it."""
    user = await users.by_email(session, tried.email)
    where = _buckets_of(tried, secrets, user)
    throttle = await sign_in_limits.throttle_state(session, where)
    target = TargetUser(user.id, user.email, user.organization_id) if user else None
    return Lookup(user.password_hash if user else None, bool(throttle.wait), _limiter_key(where), target, tried.origin)


def reserve_slot(lookup: Lookup) -> AbstractContextManager[None]:
    """Hold a slot until the attempt is decided; raises Throttled where the client subnet or known browser has too many in progress.

    Attempts without a slot are counted for the client subnet and audited together with an attempt that has one.
    """
    return sign_in_load.reserve_slot(lookup.limiter_key, lookup.target, lookup.origin)


async def check(lookup: Lookup, password: str) -> PasswordCheck | None:
    """Check the password, outside any transaction; None where the attempt must wait anyway. For an unknown user the work is the same."""
    if lookup.is_throttled:
        return None
    right = await passwords.matches(password, lookup.password_hash)
    is_outdated = right and lookup.password_hash is not None and passwords.is_outdated(lookup.password_hash)
    return PasswordCheck(lookup.password_hash, right, await passwords.hash_password(password) if is_outdated else None)


async def attempt(
    session: AsyncSession, attempted: Attempt, settings: Settings, secrets: Secrets, *, checked: PasswordCheck | None = None
) -> Outcome:
    """Decide an attempt and create a session. A refusal is returned, not raised: its counters and its audit event must be committed.

    An unknown user, a disabled user and a wrong password get the same refusal after the same work. With `checked` nothing is slow here.
    """
    await sign_in_limits.one_at_a_time(session, attempted.email, attempted.origin.address)
    # Locked (PostgreSQL): a reset, a change or a disabling that commits meanwhile is seen here, or sees the new session.
    user = await users.by_email(session, attempted.email, lock=True)
    where = _buckets_of(attempted, secrets, user)
    throttle = await sign_in_limits.throttle_state(session, where)
    if throttle.wait:
        return await _throttled(session, attempted, user, where, throttle)
    await _record_shed_attempts(session, where)
    right = await _is_right(attempted, user, checked)
    if user is None or not right or user.status is not UserStatus.ACTIVE:
        reason = "unknown user" if user is None else "wrong password" if not right else "user disabled"
        await sign_in_limits.count_failure(session, where)
        _record_refusal(session, attempted, user, reason)
        return Outcome(refusal=Unauthenticated(_REFUSED))
    if checked is not None and checked.anew is not None and checked.password_hash == user.password_hash:
        user.password_hash = checked.anew
    return Outcome(user=user, session=await _open_session(session, attempted, user, where, settings))


async def _open_session(session: AsyncSession, tried: Attempt, user: User, where: Buckets, settings: Settings) -> sessions.NewSession:
    user.last_sign_in_at = clock.now()
    opened = await sessions.open_(session, user, settings, tried.origin)
    await sign_in_limits.clear(session, where)
    by = Actor(user.email, user.id, user.organization_id, CredentialKind.SESSION.value, opened.session_id, "browser session", tried.origin)
    if tried.previous:
        await sessions.replace(session, tried.previous, by=by)
    record(session, events.SignedIn(target_id=user.id, target_name=user.email), by)
    return opened


async def reauthenticate(
    session: AsyncSession,
    signed_in: sessions.SignedInUser,
    tried: Attempt,
    secrets: Secrets,
    *,
    by: Actor,
    checked: PasswordCheck | None = None,
) -> Outcome:
    """Check the password of somebody signed in already, under the same limits; `opened` then holds the session's new token."""
    await sign_in_limits.one_at_a_time(session, tried.email, tried.origin.address)
    user = await users.by_email(session, signed_in.principal.email, lock=True)
    if user is None or user.status is not UserStatus.ACTIVE:
        return Outcome(refusal=Unauthenticated(_REFUSED))
    where = _buckets_of(tried, secrets, user)
    throttle = await sign_in_limits.throttle_state(session, where)
    if throttle.wait:
        return await _throttled(session, tried, user, where, throttle)
    await _record_shed_attempts(session, where)
    if not await _is_right(tried, user, checked):
        await sign_in_limits.count_failure(session, where)
        _record_refusal(session, tried, user, "wrong password")
        return Outcome(refusal=Unauthenticated("This is not your password."))
    token = await sessions.renew(session, signed_in.session_id)
    record(session, events.Reauthenticated(target_id=user.id, target_name=user.email), by)
    return Outcome(user=user, session=sessions.NewSession(signed_in.session_id, token))


async def _is_right(tried: Attempt, user: User | None, checked: PasswordCheck | None) -> bool:
    password_hash = user.password_hash if user else None
    if checked is not None and checked.password_hash == password_hash:
        return checked.right
    return await passwords.matches(tried.password, password_hash)  # the hash changed in between, or was not checked before


async def _throttled(session: AsyncSession, tried: Attempt, user: User | None, where: Buckets, throttle: ThrottleState) -> Outcome:
    if await sign_in_limits.count_early(session, where, throttle):
        _record_refusal(session, tried, user, "throttled")
        await _record_shed_attempts(session, where)
    else:
        sign_in_load.audit_budget.leave_out(1)
    minutes = max(1, round(throttle.wait / 60))
    return Outcome(refusal=Throttled(f"Too many tries. Try again in {minutes} minutes.", retry_after=throttle.wait))


def device_cookie(secrets: Secrets, user: User) -> str:
    """Return the text of a cookie that shows that this browser has signed in to the account before; it gives no access."""
    return hmac.new(secrets.derive("device"), f"{user.id}|{user.created_at.isoformat()}".encode(), hashlib.sha256).hexdigest()


def _buckets_of(tried: Attempt, secrets: Secrets, user: User | None) -> Buckets:
    device = tried.device
    is_known_device = (
        user is not None and device is not None and hmac.compare_digest(device.encode(), device_cookie(secrets, user).encode())
    )
    return sign_in_limits.buckets(tried.email, tried.origin.address, device if is_known_device else None)


def _limiter_key(where: Buckets) -> bytes:
    return where.pair if where.is_known_device else where.address


async def _record_shed_attempts(session: AsyncSession, where: Buckets) -> None:
    """Count for the client subnet the attempts that got no slot, and audit them.

    Their passwords were not checked, so no account's counter grows. The current attempt has passed its limits already.
    """
    for attempts in sign_in_load.shed_attempts.take(_limiter_key(where)):
        await sign_in_limits.count_shed(session, where, attempts.count)
        _record_shed(session, attempts)


def _record_shed(session: AsyncSession, attempts: ShedAttempts) -> None:
    _record(session, attempts.target, attempts.origin, "too many at the same moment", attempts.count)


def _record_refusal(session: AsyncSession, tried: Attempt, user: User | None, reason: str) -> None:
    target = TargetUser(user.id, user.email, user.organization_id) if user else None
    _record(session, target, tried.origin, reason)


def _record(session: AsyncSession, target: TargetUser | None, origin: Origin, reason: str, count: int = 1) -> None:
    if not sign_in_load.audit_budget.allow(count):
        return
    _record_unwritten(session)
    event = events.SignInRefused(
        target_id=target.id if target else None,
        target_name=target.email if target else None,
        outcome="refused",
        reason=reason,
        count=count,
        organization_id=target.organization_id if target else None,
    )
    # An unknown e-mail address may be a password typed into the wrong field: it is not stored.
    record(session, event, anonymous(origin, target.email if target else "unknown user"))


def _record_unwritten(session: AsyncSession) -> None:
    """Write the refusals beyond the limit of audit rows per minute as one total."""
    if unwritten := sign_in_load.audit_budget.take_unwritten():
        event = events.SignInRefused(outcome="refused", reason="more than could be listed", count=unwritten)
        record(session, event, anonymous(Origin(), "several"))


async def purge_expired(session: AsyncSession) -> None:
    """Remove counters whose window has ended, and write the refusals that have no audit row yet."""
    write_counted(session)
    await sign_in_limits.purge_expired(session)


def has_counted() -> bool:
    """Whether there is something for `write_counted` to write."""
    return bool(len(sign_in_load.shed_attempts) or sign_in_load.audit_budget.unwritten)


def write_counted(session: AsyncSession) -> None:
    """Write the refusals of this process that have no audit row yet; also called when the process ends."""
    for attempts in sign_in_load.shed_attempts.take():
        _record_shed(session, attempts)
    _record_unwritten(session)
