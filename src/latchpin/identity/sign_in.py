"""Signing in with e-mail and password, slowed for guessers and never locked for the owner (security.md 106, 107).

The edge takes four steps, because hashing takes long and must hold no connection: `look_up` in a reading transaction, then, in
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
    """One try. `device` is the device cookie's text, `previous` the token of the session that the browser has; None for none."""

    email: str
    password: str = field(repr=False)
    origin: Origin
    device: str | None = field(default=None, repr=False)
    previous: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a try came to: either `opened` with the user, or `refusal`, to be raised after the transaction has been committed."""

    user: User | None = None
    session: sessions.NewSession | None = None
    refusal: LatchpinError | None = None


@dataclass(frozen=True, slots=True)
class Lookup:
    """What `look_up` found: the hash to check against (None for an unknown user), whether the try has to wait, and whose slot it takes."""

    password_hash: str | None = field(repr=False)
    is_throttled: bool
    limiter_key: bytes
    target: TargetUser | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """Whether a password was right for a hash; `anew` is a hash of it with today's parameters, where that one was outdated."""

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
    """Hold a place until the try is judged; raises Throttled where the client subnet, or the known browser, has several tries under way.

    Those that are turned away count for the client subnet, and are audited, with one of the tries that have a place.
    """
    return sign_in_load.reserve_slot(lookup.limiter_key, lookup.target, lookup.origin)


async def check(lookup: Lookup, password: str) -> PasswordCheck | None:
    """Do the slow part, outside any transaction; None where the try has to wait anyway. For an unknown user the work is the same."""
    if lookup.is_throttled:
        return None
    right = await passwords.matches(password, lookup.password_hash)
    is_outdated = right and lookup.password_hash is not None and passwords.is_outdated(lookup.password_hash)
    return PasswordCheck(lookup.password_hash, right, await passwords.hash_password(password) if is_outdated else None)


async def attempt(
    session: AsyncSession, attempted: Attempt, settings: Settings, secrets: Secrets, *, checked: PasswordCheck | None = None
) -> Outcome:
    """Judge a try and open a session. A refusal is returned, not raised: its counters and its audit event must be committed.

    Unknown, disabled and wrong all get the same refusal after the same work. With `checked` (from `check`) nothing slow happens here.
    """
    await sign_in_limits.one_at_a_time(session, attempted.email, attempted.origin.address)
    # Locked (PostgreSQL): a reset, a change or a disabling that commits meanwhile is seen here, or finds the session that is opened.
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
    return await passwords.matches(tried.password, password_hash)  # it changed in between, or nobody checked before


async def _throttled(session: AsyncSession, tried: Attempt, user: User | None, where: Buckets, throttle: ThrottleState) -> Outcome:
    if await sign_in_limits.count_early(session, where, throttle):
        _record_refusal(session, tried, user, "throttled")
        await _record_shed_attempts(session, where)
    else:
        sign_in_load.audit_budget.leave_out(1)
    minutes = max(1, round(throttle.wait / 60))
    return Outcome(refusal=Throttled(f"Too many tries. Try again in {minutes} minutes.", retry_after=throttle.wait))


def device_cookie(secrets: Secrets, user: User) -> str:
    """Return the text of a cookie that shows that this browser has signed in to the account before; it opens nothing."""
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
    """Count for the client subnet the tries that found no place, and audit them.

    No password of theirs was judged, so no account's counter grows. The try that this is done with has passed its limits already.
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
    # What an unknown person typed as an e-mail may be a password typed into the wrong field: it is not kept.
    record(session, event, anonymous(origin, target.email if target else "unknown user"))


def _record_unwritten(session: AsyncSession) -> None:
    """Write the refusals beyond what a minute may hold as one total."""
    if unwritten := sign_in_load.audit_budget.take_unwritten():
        event = events.SignInRefused(outcome="refused", reason="more than could be listed", count=unwritten)
        record(session, event, anonymous(Origin(), "several"))


async def purge_expired(session: AsyncSession) -> None:
    """Remove counters whose window is over, and write the refusals that are still only counted."""
    write_counted(session)
    await sign_in_limits.purge_expired(session)


def has_counted() -> bool:
    """Whether there is something for `write_counted` to write."""
    return bool(len(sign_in_load.shed_attempts) or sign_in_load.audit_budget.unwritten)


def write_counted(session: AsyncSession) -> None:
    """Write the refusals that are still only counted in this process; for its end, too."""
    for attempts in sign_in_load.shed_attempts.take():
        _record_shed(session, attempts)
    _record_unwritten(session)
