"""An account under attack: slow for the attacker, open to its owner (security.md 107)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.errors import Throttled, Unauthenticated
from latchpin.identity import sign_in, sign_in_limits, sign_in_load
from latchpin.kit import clock as kit_clock
from latchpin.storage.models import AuditEvent, SignInFailures
from tests.support.people import PASSWORD, Organization
from tests.support.sign_in_attempts import SignInAttempts
from tests.support.wire import audit

pytestmark = pytest.mark.both_databases("attempts are counted by upserts and locks of each database")


@pytest.fixture
def attempts(organization: Organization, clock: kit_clock.Frozen) -> Iterator[SignInAttempts]:
    """A user to sign in as, a clock that stands still, and no refusals counted before or after."""
    sign_in_load.audit_budget.reset()
    yield SignInAttempts(organization)
    sign_in_load.audit_budget.reset()
    sign_in_load.shed_attempts.take()


def test_an_account_under_attack_stays_open_to_its_owner_at_another_address(attempts: SignInAttempts) -> None:
    """Without any cookie: there are two tries left for every address that is not the attacker's."""
    attempts.attack()

    assert attempts.is_open(host=6)
    attempts.attempt(host=7)
    assert attempts.is_open(host=7)


def test_under_attack_an_unknown_address_has_two_tries(attempts: SignInAttempts) -> None:
    """So that a thousand addresses do not have five thousand guesses."""
    attempts.attack()

    outcomes = [attempts.attempt(host=8) for _ in range(3)]

    assert [type(outcome.refusal) for outcome in outcomes] == [Unauthenticated, Unauthenticated, Throttled]


def test_a_browser_that_has_signed_in_before_keeps_its_allowance_under_attack(attempts: SignInAttempts) -> None:
    """By its device cookie, from a new address too."""
    device = attempts.device()
    attempts.attack()

    for _ in range(4):
        attempts.attempt(host=6, device=device)
    assert attempts.is_open(host=6, device=device)


def test_the_attackers_own_address_does_not_lock_out_a_known_browser(attempts: SignInAttempts) -> None:
    """Owner and attacker behind the same router: the browser's tries are counted apart, the address's full counter is passed over."""
    device = attempts.device()
    for number in range(55):
        attempts.attempt(email=attempts.person.email if number < 6 else f"somebody.{number}@example.com", host=1)
    assert not attempts.is_open(host=1)

    assert attempts.is_open(host=1, device=device)


def test_a_known_browser_may_not_guess_without_end(attempts: SignInAttempts) -> None:
    """A stolen device cookie opens nothing and has five tries."""
    device = attempts.device()

    outcomes = [attempts.attempt(device=device, host=host) for host in range(1, 8)]

    assert [type(outcome.refusal) for outcome in outcomes] == [Unauthenticated] * 5 + [Throttled] * 2
    assert attempts.is_open(host=9)


@pytest.mark.parametrize("device", ["", "0" * 64, "ä" * 64, "x" * 10_000])
def test_an_invented_device_cookie_counts_for_nothing(attempts: SignInAttempts, device: str) -> None:
    """It can be had for one account only by signing in to it."""
    attempts.attack()

    outcomes = [attempts.attempt(host=0xA, device=device) for _ in range(3)]

    assert isinstance(outcomes[2].refusal, Throttled)


def test_another_accounts_device_cookie_counts_for_nothing(attempts: SignInAttempts) -> None:
    """A user cannot guess at a colleague's account with the own cookie."""
    device = attempts.device()
    attempts.person = attempts.organization.user("Other User")
    attempts.attack()

    assert [type(attempts.attempt(host=0xB, device=device).refusal) for _ in range(3)][2] is Throttled


@pytest.mark.parametrize("is_known", [True, False])
def test_a_burst_of_tries_at_once_passes_the_limit_no_further_than_single_ones(attempts: SignInAttempts, is_known: bool) -> None:
    """Ten tries in parallel, each hashed beforehand: five are judged, the others have to wait, on PostgreSQL too.

    Nobody has a row of an account that is not there, which tries could wait for: the limit itself makes them come one after the other.
    """
    outcomes = attempts.burst(10, email=None if is_known else f"nobody.{attempts.organization.number}@example.com")

    assert sorted(type(outcome.refusal).__name__ for outcome in outcomes) == ["Throttled"] * 5 + ["Unauthenticated"] * 5


# ---- one client subnet ----


def test_the_addresses_of_one_subnet_count_as_one(attempts: SignInAttempts) -> None:
    """A guesser at home has 2**64 addresses; the sixth waits whichever it comes from, and for any account after fifty."""
    home = f"{attempts.network}:aaaa"
    outcomes = [attempts.attempt(address=f"{home}:{number:x}::1") for number in range(6)]
    assert [type(outcome.refusal) for outcome in outcomes] == [Unauthenticated] * 5 + [Throttled]

    for number in range(44):
        attempts.attempt(email=f"somebody.{number}@example.com", address=f"{home}::{number:x}")
    assert isinstance(attempts.attempt(PASSWORD, email="else@example.com", address=f"{home}:ffff::").refusal, Throttled)


def test_an_ipv4_address_written_as_ipv6_is_no_other_address(attempts: SignInAttempts) -> None:
    """Nor do all IPv4 addresses share one client subnet by being written so."""
    four = f"192.0.2.{attempts.organization.number % 250}"
    for _ in range(5):
        attempts.attempt(address=four)

    assert isinstance(attempts.attempt(address=f"::ffff:{four}").refusal, Throttled)
    assert attempts.is_open(address="::ffff:198.51.100.7")


# ---- what a flood leaves behind ----


def test_an_address_that_waits_leaves_no_row_for_each_account_it_names(attempts: SignInAttempts) -> None:
    """Twenty more accounts, five more audit rows (the 1st, 2nd, 4th, 8th, 16th), and no counter but the address's own."""
    for number in range(50):
        attempts.attempt(email=f"somebody.{number}@example.com", host=4)
    sign_in_load.audit_budget.reset()

    for number in range(20):
        assert isinstance(attempts.attempt(email=f"another.{number}@example.com", host=4).refusal, Throttled)

    events = audit(attempts.organization, "session.sign_in_refused", address=attempts.address(4))
    assert [event.reason for event in events].count("throttled") == 5
    where = [sign_in_limits.buckets(f"another.{number}@example.com", attempts.address(4), None) for number in range(20)]

    async def counts(session: AsyncSession) -> list[int]:
        buckets = {bucket for each in where for bucket in (each.account, each.address, each.pair)}
        return list((await session.scalars(select(SignInFailures.failures).where(SignInFailures.bucket.in_(buckets)))).all())

    assert attempts.organization.write(counts) == [70]


def test_tries_that_wait_are_counted_though_few_get_a_row(attempts: SignInAttempts) -> None:
    """Of twenty tries too early a few get a row; the others are in the totals."""
    for _ in range(5):
        attempts.attempt(host=4)
    before = _counted(attempts)
    for _ in range(20):
        assert isinstance(attempts.attempt(host=4).refusal, Throttled)

    attempts.organization.write(sign_in.purge_expired)

    assert len(audit(attempts.organization, "session.sign_in_refused", reason="throttled", address=attempts.address(4))) < 7
    assert _counted(attempts) - before == 20


def _counted(attempts: SignInAttempts) -> int:
    async def work(session: AsyncSession) -> int:
        query = select(func.sum(AuditEvent.count)).where(AuditEvent.action == "session.sign_in_refused")
        return await session.scalar(query) or 0

    return attempts.organization.write(work)


def _total(attempts: SignInAttempts) -> int:
    async def work(session: AsyncSession) -> int:
        query = select(AuditEvent.count).where(AuditEvent.reason == "more than could be listed").order_by(AuditEvent.id.desc()).limit(1)
        return await session.scalar(query) or 0

    return attempts.organization.write(work)


def test_refusals_beyond_what_a_minute_may_hold_become_one_total(
    attempts: SignInAttempts, clock: kit_clock.Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any number of addresses; the next minute begins with their number, and none is lost."""
    monkeypatch.setattr(sign_in_load, "ROWS_A_MINUTE", 3)
    for host in range(1, 11):
        attempts.attempt(host=host)
    assert len(audit(attempts.organization, "session.sign_in_refused", target_id=attempts.person.id)) == 3

    clock.advance(timedelta(seconds=61))
    attempts.attempt(host=11)

    assert len(audit(attempts.organization, "session.sign_in_refused", target_id=attempts.person.id)) == 4
    assert _total(attempts) == 7


def test_refusals_that_nobody_follows_are_written_when_the_counters_are_swept(
    attempts: SignInAttempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood that stops is in the audit trail with its size all the same."""
    monkeypatch.setattr(sign_in_load, "ROWS_A_MINUTE", 1)
    for host in range(1, 7):
        attempts.attempt(host=host)

    attempts.organization.write(sign_in.purge_expired)

    assert _total(attempts) == 5


# ---- how much is worked on at once ----


def _turn_away(lookup: sign_in.Lookup, tries: int) -> None:
    """Let tries come while all places of their client subnet are taken."""
    with ExitStack() as stack:
        for _ in range(sign_in_load.MOST_AT_ONCE):
            stack.enter_context(sign_in.reserve_slot(lookup))
        for _ in range(tries):
            with pytest.raises(Throttled), sign_in.reserve_slot(lookup):
                pass


def _failures(attempts: SignInAttempts, *buckets: bytes) -> list[int]:
    async def work(session: AsyncSession) -> list[int]:
        rows = await session.scalars(select(SignInFailures).where(SignInFailures.bucket.in_(buckets)))
        failures = {row.bucket: row.failures for row in rows.all()}
        return [failures.get(bucket, 0) for bucket in buckets]

    return attempts.organization.write(work)


def test_tries_that_are_turned_away_count_for_the_subnet_and_are_audited(attempts: SignInAttempts) -> None:
    """Together, with their number, by the next try that is judged; the account's own counters hold judged tries only."""
    _turn_away(attempts.looked(host=1), 6)
    assert audit(attempts.organization, "session.sign_in_refused", target_id=attempts.person.id) == []

    attempts.attempt(host=1)

    events = audit(attempts.organization, "session.sign_in_refused", target_id=attempts.person.id)
    assert [(event.reason, event.count, event.address) for event in events] == [
        ("too many at the same moment", 6, attempts.address(1)),
        ("wrong password", 1, attempts.address(1)),
    ]
    where = sign_in_limits.buckets(attempts.person.email, attempts.address(1), None)
    assert _failures(attempts, where.address, where.account, where.pair) == [7, 1, 1]


def test_a_flood_at_once_makes_its_subnet_wait(attempts: SignInAttempts) -> None:
    """Fifty at the same moment are as much as fifty one after the other; other client subnets are as open as before."""
    _turn_away(attempts.looked(host=1), 50)

    assert attempts.is_open(host=1)  # the one that notes them has passed already
    assert isinstance(attempts.attempt(PASSWORD, host=1).refusal, Throttled)
    assert attempts.is_open(host=2)


def test_tries_turned_away_for_somebody_unknown_name_nobody(attempts: SignInAttempts) -> None:
    """What was typed as an e-mail may be a password."""
    _turn_away(attempts.looked(host=1, email="my-password-by-mistake"), 3)

    attempts.attempt(host=1)

    (event,) = audit(attempts.organization, "session.sign_in_refused", reason="too many at the same moment", address=attempts.address(1))
    assert (event.actor_name, event.target_id, event.target_name, event.count) == ("unknown user", None, None, 3)


def test_tries_turned_away_that_nobody_follows_are_written_with_the_purge(attempts: SignInAttempts) -> None:
    """A flood that stops is in the audit trail all the same."""
    _turn_away(attempts.looked(host=1), 5)

    attempts.organization.write(sign_in.purge_expired)

    (event,) = audit(attempts.organization, "session.sign_in_refused", target_id=attempts.person.id)
    assert (event.reason, event.count) == ("too many at the same moment", 5)


def test_a_subnet_that_waits_fills_no_audit_trail_by_being_turned_away(attempts: SignInAttempts) -> None:
    """They are written with the tries that are noted, the 1st, 2nd, 4th ... and none is lost."""
    for number in range(50):
        attempts.attempt(email=f"somebody.{number}@example.com", host=1)
    for _ in range(3):
        _turn_away(attempts.looked(host=1), 2)
        attempts.attempt(host=1)

    attempts.organization.write(sign_in.purge_expired)

    events = audit(attempts.organization, "session.sign_in_refused", reason="too many at the same moment", address=attempts.address(1))
    assert sum(event.count for event in events) == 6
    assert len(events) < 4


def test_the_memory_of_tries_turned_away_is_bounded(attempts: SignInAttempts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many client subnets and accounts they are one total without a name."""
    monkeypatch.setattr(sign_in_load, "MOST_SHED_KINDS", 2)
    for host in range(1, 6):
        _turn_away(attempts.looked(host=host), 3)
    assert len(sign_in_load.shed_attempts) == 2

    attempts.organization.write(sign_in.purge_expired)

    assert len(audit(attempts.organization, "session.sign_in_refused", target_id=attempts.person.id)) == 2
    assert _total(attempts) == 9
    _turn_away(attempts.looked(host=9), 1)
    attempts.organization.write(sign_in.purge_expired)
    assert len(audit(attempts.organization, "session.sign_in_refused", target_id=attempts.person.id)) == 3


def test_a_subnet_has_few_places_at_once_and_a_known_browser_its_own(attempts: SignInAttempts) -> None:
    """The fifth try at the same moment is turned away; other client subnets, and the owner's browser, are not."""
    device = attempts.device()

    here, elsewhere, known = attempts.looked(host=1), attempts.looked(host=2), attempts.looked(host=1, device=device)
    with sign_in.reserve_slot(here), sign_in.reserve_slot(here), sign_in.reserve_slot(here), sign_in.reserve_slot(here):
        with pytest.raises(Throttled), sign_in.reserve_slot(here):
            pass
        with sign_in.reserve_slot(elsewhere), sign_in.reserve_slot(known):
            pass
    with sign_in.reserve_slot(here):
        pass
