"""An account under attack: slow for the attacker, open to its owner (security.md 107)."""

from __future__ import annotations

import pytest

from latchpin.errors import Throttled, Unauthenticated
from latchpin.kit import clock as kit_clock
from tests.support.door import Door
from tests.support.people import Organization


@pytest.fixture
def door(organization: Organization, clock: kit_clock.Frozen) -> Door:
    """A user to sign in as, and a clock that stands still."""
    return Door(organization)


def test_an_account_under_attack_stays_open_to_its_owner_at_another_address(door: Door) -> None:
    """Without any cookie: there are two tries left for every address that is not the attacker's."""
    door.attack()

    assert door.is_open(host=6)
    door.attempt(host=7)
    assert door.is_open(host=7)


def test_under_attack_an_unknown_address_has_two_tries(door: Door) -> None:
    """So that a thousand addresses do not have five thousand guesses."""
    door.attack()

    outcomes = [door.attempt(host=8) for _ in range(3)]

    assert [type(outcome.refusal) for outcome in outcomes] == [Unauthenticated, Unauthenticated, Throttled]


def test_a_browser_that_has_signed_in_before_keeps_its_allowance_under_attack(door: Door) -> None:
    """By its device cookie, from a new address too."""
    device = door.device()
    door.attack()

    for _ in range(4):
        door.attempt(host=6, device=device)
    assert door.is_open(host=6, device=device)


def test_the_attackers_own_address_does_not_lock_out_a_known_browser(door: Door) -> None:
    """Owner and attacker behind the same router: the browser's tries are counted apart, the address's full counter is passed over."""
    device = door.device()
    for number in range(55):
        door.attempt(email=door.person.email if number < 6 else f"somebody.{number}@example.com", host=1)
    assert not door.is_open(host=1)

    assert door.is_open(host=1, device=device)


def test_a_known_browser_may_not_guess_without_end(door: Door) -> None:
    """A stolen device cookie opens nothing and has five tries."""
    device = door.device()

    outcomes = [door.attempt(device=device, host=host) for host in range(1, 8)]

    assert [type(outcome.refusal) for outcome in outcomes] == [Unauthenticated] * 5 + [Throttled] * 2
    assert door.is_open(host=9)


@pytest.mark.parametrize("device", ["", "0" * 64, "ä" * 64, "x" * 10_000])
def test_an_invented_device_cookie_counts_for_nothing(door: Door, device: str) -> None:
    """It can be had for one account only by signing in to it."""
    door.attack()

    outcomes = [door.attempt(host=0xA, device=device) for _ in range(3)]

    assert isinstance(outcomes[2].refusal, Throttled)


def test_another_accounts_device_cookie_counts_for_nothing(door: Door) -> None:
    """A user cannot guess at a colleague's account with the own cookie."""
    device = door.device()
    door.person = door.organization.user("Other User")
    door.attack()

    assert [type(door.attempt(host=0xB, device=device).refusal) for _ in range(3)][2] is Throttled


def test_a_burst_of_tries_at_once_passes_the_limit_no_further_than_single_ones(door: Door) -> None:
    """Ten tries in parallel, each hashed beforehand: five are judged, the others have to wait, on PostgreSQL too."""
    outcomes = door.burst(10)

    assert sorted(type(outcome.refusal).__name__ for outcome in outcomes) == ["Throttled"] * 5 + ["Unauthenticated"] * 5
