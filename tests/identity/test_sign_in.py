"""Signing in: slow for guessers, never locked for the owner, and the same for unknown users (security.md 106, 107)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import argon2
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Origin
from latchpin.errors import Throttled, Unauthenticated
from latchpin.identity import sessions, sign_in, sign_in_limits, sign_in_load, users
from latchpin.identity.sign_in import Outcome
from latchpin.kit import clock as kit_clock
from latchpin.storage.models import SignInFailures, User
from tests.support import shortcuts
from tests.support.people import PASSWORD, Organization, Person
from tests.support.sign_in_attempts import SignInAttempts
from tests.support.wire import audit


@pytest.fixture
def attempts(organization: Organization, clock: kit_clock.Frozen) -> Iterator[SignInAttempts]:
    """A user to sign in as, a clock that stands still, and no refusals counted before or after."""
    sign_in_load.audit_budget.reset()
    yield SignInAttempts(organization)
    sign_in_load.audit_budget.reset()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the Argon2 verifications."""
    hashes: list[str] = []
    verify = argon2.PasswordHasher.verify

    def counting(self: argon2.PasswordHasher, against: str, password: str) -> bool:
        hashes.append(against)
        return bool(verify(self, against, password))

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counting)
    return hashes


# ---- who comes in ----


def test_the_right_password_opens_a_session_and_is_noted(attempts: SignInAttempts) -> None:
    """Last sign-in and one audit event with the session as credential."""
    outcome = attempts.attempt(PASSWORD)

    assert outcome.session is not None
    assert outcome.user is not None
    assert outcome.user.last_sign_in_at == kit_clock.now()
    [event] = audit(attempts.organization, "session.signed_in", target_id=attempts.person.id)
    assert (event.credential_id, event.address) == (outcome.session.session_id, attempts.address(1))


def test_the_address_is_read_in_any_case(attempts: SignInAttempts) -> None:
    """People type it as their phone does."""
    assert attempts.is_open(email=f" {attempts.person.email.upper()} ")


@pytest.mark.parametrize("password", ["wrong", "", PASSWORD.upper(), PASSWORD + " ", PASSWORD[:-1], "\0", "x" * 100_000])
def test_any_other_password_is_refused(attempts: SignInAttempts, password: str) -> None:
    """To the letter."""
    assert isinstance(attempts.attempt(password).refusal, Unauthenticated)


def test_a_disabled_user_is_refused_like_a_wrong_password(attempts: SignInAttempts) -> None:
    """The right password tells nothing; the audit trail has the reason."""

    async def disable(session: AsyncSession) -> None:
        user = await users.get(session, attempts.organization.id, attempts.person.id)
        await users.disable(session, user, by=attempts.organization.admin.actor)

    attempts.organization.write(disable)

    refused = attempts.attempt(PASSWORD).refusal
    assert str(refused) == str(attempts.attempt("wrong").refusal)
    assert [event.reason for event in audit(attempts.organization, "session.sign_in_refused", target_id=attempts.person.id)] == [
        "user disabled",
        "wrong password",
    ]


# ---- nothing to learn ----


def test_unknown_and_known_users_get_the_same_answer_after_the_same_work(attempts: SignInAttempts, hashed: list[str]) -> None:
    """One Argon2 verification each, with equal parameters, and equal words."""
    attempts.attempt(email="warm.up@example.com", host=9)
    hashed.clear()

    known = attempts.attempt("wrong")
    unknown = attempts.attempt("wrong", email="nobody.at.all@example.com")

    assert (type(known.refusal), str(known.refusal)) == (type(unknown.refusal), str(unknown.refusal))
    assert len(hashed) == 2
    assert len({stored.rsplit("$", 2)[0] for stored in hashed}) == 1


def test_an_unknown_account_is_throttled_like_a_known_one(attempts: SignInAttempts, hashed: list[str]) -> None:
    """Otherwise the sixth try would tell which accounts exist."""
    for email in (attempts.person.email, "nobody.at.all@example.com"):
        outcomes = [attempts.attempt(email=email, host=2) for _ in range(7)]
        assert [type(outcome.refusal) for outcome in outcomes] == [Unauthenticated] * 5 + [Throttled] * 2
    assert len(hashed) == 10  # a throttled try costs no hashing


def test_what_an_unknown_person_typed_is_not_kept(attempts: SignInAttempts) -> None:
    """It may be a password in the wrong field."""
    attempts.attempt(email="hunter2-is-my-password", host=3)

    [event] = audit(attempts.organization, "session.sign_in_refused", address=attempts.address(3))
    assert "hunter2" not in f"{event.actor_name} {event.target_name} {event.changes}"
    assert event.reason == "unknown user"


# ---- guessing ----


def test_five_failures_from_one_address_close_the_account_for_that_address(attempts: SignInAttempts) -> None:
    """Also for the right password, until the window of 15 minutes is over; other addresses are not concerned."""
    for _ in range(5):
        attempts.attempt()

    refused = attempts.attempt(PASSWORD).refusal
    assert isinstance(refused, Throttled)
    assert 0 < refused.retry_after <= 901
    assert attempts.is_open(host=2)


def test_the_window_ends_by_the_clock(attempts: SignInAttempts, clock: kit_clock.Frozen) -> None:
    """After 15 minutes the address may try again, with a full allowance."""
    for _ in range(5):
        attempts.attempt()
    clock.advance(timedelta(minutes=14, seconds=59))
    assert not attempts.is_open()

    clock.advance(timedelta(seconds=2))

    assert attempts.is_open()


def test_a_wall_clock_that_is_set_back_locks_nobody_out(attempts: SignInAttempts, clock: kit_clock.Frozen) -> None:
    """A window that would end later than any window can is of another time, and begins anew; a node a minute behind changes nothing."""
    for _ in range(5):
        attempts.attempt()
    clock.set_wall(timedelta(minutes=-1))
    assert not attempts.is_open()

    clock.set_wall(timedelta(hours=-32))

    outcomes = [attempts.attempt() for _ in range(6)]
    assert [type(outcome.refusal) for outcome in outcomes] == [Unauthenticated] * 5 + [Throttled]


def test_waiting_as_told_is_enough(attempts: SignInAttempts, clock: kit_clock.Frozen) -> None:
    """Retry-After does not fall short."""
    for _ in range(5):
        attempts.attempt()
    refused = attempts.attempt(PASSWORD).refusal
    assert isinstance(refused, Throttled)

    clock.advance(timedelta(seconds=refused.retry_after))

    assert attempts.is_open()


def test_a_success_forgets_the_failures_of_this_address_and_account(attempts: SignInAttempts) -> None:
    """Four typing errors a day are no attack."""
    for _ in range(3):
        for _ in range(4):
            attempts.attempt()
        assert attempts.is_open()


def test_an_address_that_tries_many_accounts_is_slowed(attempts: SignInAttempts) -> None:
    """One guess per account is guessing all the same; after 50 the address waits."""
    for number in range(50):
        attempts.attempt(email=f"somebody.{number}@example.com", host=4)

    assert isinstance(attempts.attempt(PASSWORD, host=4).refusal, Throttled)
    assert attempts.is_open(host=5)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_tries_at_the_same_moment_are_all_counted(attempts: SignInAttempts) -> None:
    """Ten in parallel end in no server error and in a count of ten."""

    async def one() -> Outcome:
        async with attempts.server.database.transaction() as session:
            return await sign_in.attempt(session, attempts.tried(), attempts.server.settings, attempts.server.services.secrets)

    async def ten() -> Any:
        return await asyncio.gather(*(one() for _ in range(10)))

    outcomes = attempts.server.run(ten())

    assert all(outcome.refusal is not None for outcome in outcomes)
    assert isinstance(attempts.attempt(PASSWORD).refusal, Throttled)

    async def counts(session: AsyncSession) -> list[int]:
        bucket = sign_in_limits.buckets(attempts.person.email, attempts.address(1), None).pair
        return list((await session.scalars(select(SignInFailures.failures).where(SignInFailures.bucket == bucket))).all())

    assert attempts.organization.write(counts) == [11]


def test_the_count_survives_the_refusal(attempts: SignInAttempts) -> None:
    """The refusal is returned and committed, not raised: an attacker cannot roll the counter back."""
    for _ in range(5):
        assert attempts.attempt().refusal is not None

    assert isinstance(attempts.attempt().refusal, Throttled)


# ---- giving the password again ----


def _signed_in(attempts: SignInAttempts, person: Person) -> tuple[sessions.SignedInUser, sessions.NewSession]:
    async def work(session: AsyncSession) -> tuple[sessions.SignedInUser, sessions.NewSession]:
        user = await users.get(session, attempts.organization.id, person.id)
        opened = await sessions.open_(session, user, attempts.server.settings, Origin())
        signed_in = await sessions.find(session, opened.token, attempts.server.settings)
        assert signed_in is not None
        return signed_in, opened

    return attempts.organization.write(work)


def _prove(attempts: SignInAttempts, signed_in: sessions.SignedInUser, password: str) -> Outcome:
    async def work(session: AsyncSession) -> Outcome:
        tried = attempts.tried(password, email=signed_in.principal.email, host=0xC)
        return await sign_in.reauthenticate(session, signed_in, tried, attempts.server.services.secrets, by=attempts.person.actor)

    return attempts.organization.write(work)


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_proving_gives_the_session_a_new_token_and_kills_the_old_one(attempts: SignInAttempts) -> None:
    """A step up is a new session id (security.md 108), and one audit event."""
    signed_in, before = _signed_in(attempts, attempts.person)

    outcome = _prove(attempts, signed_in, PASSWORD)

    async def found(session: AsyncSession) -> list[bool]:
        assert outcome.session is not None
        return [
            await sessions.find(session, token, attempts.server.settings) is not None for token in (before.token, outcome.session.token)
        ]

    assert attempts.organization.write(found) == [False, True]
    assert len(audit(attempts.organization, "session.password_proved", target_id=attempts.person.id)) == 1


def test_proving_is_throttled_like_signing_in(attempts: SignInAttempts) -> None:
    """A browser left open is no place to guess the password."""
    signed_in, _ = _signed_in(attempts, attempts.person)

    outcomes = [_prove(attempts, signed_in, "wrong") for _ in range(6)]

    assert [type(outcome.refusal) for outcome in outcomes] == [Unauthenticated] * 5 + [Throttled]
    assert isinstance(_prove(attempts, signed_in, PASSWORD).refusal, Throttled)


# ---- keeping house ----


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_counters_whose_window_is_over_are_swept(attempts: SignInAttempts, clock: kit_clock.Frozen) -> None:
    """The table does not grow with every address that ever tried."""
    attempts.attempt()
    clock.advance(timedelta(minutes=16))

    async def work(session: AsyncSession) -> int:
        await sign_in.purge_expired(session)
        return len((await session.scalars(select(SignInFailures))).all())

    assert attempts.organization.write(work) == 0


@pytest.mark.both_databases("no other test has PostgreSQL execute its statements")
def test_a_hash_of_older_parameters_is_renewed_by_signing_in(attempts: SignInAttempts) -> None:
    """The same password still opens."""
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)

    async def weaken(session: AsyncSession) -> None:
        (await users.get(session, attempts.organization.id, attempts.person.id)).password_hash = weak

    attempts.organization.write(weaken)
    with shortcuts.strong_hashes():
        outcome = attempts.server.run(attempts.judge(attempts.tried(PASSWORD)))

    assert isinstance(outcome.user, User)
    assert "m=19456" in outcome.user.password_hash
    assert attempts.is_open()
