"""Durations within one process: a wall clock that is set back, by NTP or by hand, makes none of them longer."""

from __future__ import annotations

from datetime import timedelta

from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group
from latchpin.identity.sign_in_load import ROWS_A_MINUTE, AuditBudget
from latchpin.identity.verified import CACHE_SECONDS, CredentialCache, Verified
from latchpin.kit import clock as kit_clock
from latchpin.kit.cache import Cache
from latchpin.kit.rate_limit import InProcess

BACK = timedelta(hours=-32)


def test_what_a_cache_holds_grows_old(clock: kit_clock.Frozen) -> None:
    """A look-up counts for seconds or minutes, not until the wall clock has caught up."""
    cache, memory = Cache[str, str](5), CredentialCache()
    cache.put("app", "found", 1)
    principal = Principal(1, 1, "Grace", "grace@example.com", Group.USER, Credential(CredentialKind.API_KEY, 1, "key"), frozenset())
    memory.put(b"key", Verified(principal, 1, kit_clock.monotonic(), kit_clock.timestamp() + 3600))
    clock.set_wall(BACK)

    clock.advance(timedelta(seconds=4))
    assert (cache.get("app", 1), memory.get(b"key", 1) is None) == ("found", False)

    clock.advance(timedelta(seconds=CACHE_SECONDS))
    assert (cache.get("app", 1), memory.get(b"key", 1)) == (None, None)


def test_a_window_ends(clock: kit_clock.Frozen) -> None:
    """A limit's window and the minute of refusals that get a row each."""
    counter, rows = InProcess(), AuditBudget()
    counter.hit_now("key:1", 60)
    assert all(rows.allow() for _ in range(ROWS_A_MINUTE))
    clock.set_wall(BACK)

    assert counter.hit_now("key:1", 60).count == 2
    assert not rows.allow()

    clock.advance(timedelta(seconds=60))
    assert counter.hit_now("key:1", 60).count == 1
    assert rows.allow()
