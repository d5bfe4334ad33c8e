"""What credentials did: last use, uses by route, and refusals, collected and written off the request path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin import settings
from latchpin.audit import Origin
from latchpin.errors import Unavailable
from latchpin.identity import activity, credentials
from latchpin.identity.activity import Activity
from latchpin.identity.roles import Role
from latchpin.identity.scopes import Access
from latchpin.identity.tallies import Counters
from latchpin.identity.verified import RejectedCredential, RejectionReason, Verified
from latchpin.kit import clock as kit_clock
from latchpin.kit.context import RequestContext
from latchpin.settings import Settings
from latchpin.storage import Database
from latchpin.storage.models import AuditEvent
from tests.support.people import Key, Organization
from tests.support.ports import free_port
from tests.support.server import Server
from tests.support.wire import audit, get, present, stored, until

pytestmark = pytest.mark.both_databases("batches are written by upserts, which each database spells in its own way")

Serve = Callable[..., Server]


def _by_route(rows: list[AuditEvent]) -> dict[str, int]:
    """Add up what was written at once and what was written as totals."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row.reason or ""] += row.count
    return dict(counts)


def test_the_first_use_is_noted_at_once(organization: Organization) -> None:
    """A new key's first request shows within a second, with its address, and nobody has to ask for it (security.md 102)."""
    key = organization.key()
    assert stored(organization, key).last_used_at is None

    organization.get("/agent/all", key)

    until(lambda: stored(organization, key).last_used_at is not None)
    assert stored(organization, key).last_used_address == "127.0.0.1"


def test_last_use_is_written_at_most_once_a_minute(organization: Organization, clock: kit_clock.Frozen) -> None:
    """A busy key costs one write a minute (security.md 102)."""
    key, first = organization.key(), kit_clock.now()
    organization.get("/agent/all", key)
    assert stored(organization, key).last_used_at == first

    clock.advance(timedelta(seconds=59))
    organization.get("/agent/all", key)
    assert stored(organization, key).last_used_at == first

    clock.advance(timedelta(seconds=1))
    organization.get("/agent/all", key)
    assert stored(organization, key).last_used_at == first + timedelta(seconds=60)


def test_last_use_is_not_written_after_revocation(organization: Organization) -> None:
    """A use that was noted before the revocation is not written after it, nor is a refused try (security.md 102)."""
    key = organization.key()
    services = organization.server.services

    organization.revoke(key)
    organization.get("/agent/all", key)
    services.activity._last_used["api_key", key.id] = (kit_clock.timestamp(), "127.0.0.1")

    assert stored(organization, key).last_used_at is None


def test_uses_are_counted_by_route(organization: Organization, clock: kit_clock.Frozen) -> None:
    """The trail tells what a key was used for: one event per route, with how often (promise 7)."""
    agent = organization.agent()
    key = organization.key()
    for _ in range(3):
        organization.get("/agent/all", key)
    organization.get(f"/agent/{agent}", key)

    rows = audit(organization, "api_key.used", target_id=key.id)

    assert _by_route(rows) == {"GET /api/v1/agent/all": 3, "GET /api/v1/agent/{agent_id}": 1}
    assert {(row.actor_name, row.credential_kind, row.credential_id, row.address) for row in rows} == {
        (organization.admin.email, "api_key", key.id, "127.0.0.1")
    }


def test_a_busy_key_writes_a_total_each_hour(organization: Organization, clock: kit_clock.Frozen) -> None:
    """After the first event, uses of a route come as hourly totals, none lost."""
    key, running = organization.key(), organization.server.services.activity

    def written() -> list[int]:
        organization.server.run(running.flush())

        async def work(session: AsyncSession) -> list[int]:
            query = select(AuditEvent.count).where(AuditEvent.action == "api_key.used", AuditEvent.target_id == key.id)
            return list((await session.scalars(query.order_by(AuditEvent.id))).all())

        return organization.write(work)

    organization.get("/agent/all", key)
    assert written() == [1]
    for _ in range(7):
        organization.get("/agent/all", key)
    clock.advance(timedelta(minutes=59))
    assert written() == [1]
    clock.advance(timedelta(minutes=1))
    assert written() == [1, 7]


def test_addresses_that_do_not_exist_are_counted_together(organization: Organization) -> None:
    """Whoever asks for made-up paths fills neither memory nor trail with them, and cannot stop it with a NUL."""
    key = organization.key()
    for path in ("/nothing", "/nothing/at/all", "/%00%0a", "/x%E2%80%AEy"):
        get(organization.server, b"Authorization: ApiKey " + key.secret.encode(), path=f"/api/v1{path}")

    rows = audit(organization, "api_key.used", target_id=key.id)

    assert _by_route(rows) == {"GET (no such route)": 4}
    assert stored(organization, key).last_used_at is not None


def test_equal_refusals_are_counted_in_one_event(organization: Organization) -> None:
    """A client that goes on with a dead key writes one event at once and then totals."""
    key = organization.key()
    organization.revoke(key)
    for _ in range(5):
        organization.get("/agent/all", key)

    rows = audit(organization, "api_key.refused", target_id=key.id)

    assert sum(row.count for row in rows) == 5
    assert len(rows) <= 2


def test_a_flood_of_refusals_is_bounded(serve: Serve, clock: kit_clock.Frozen) -> None:
    """Ten thousand different keys and addresses fill neither memory nor disk, and are all counted (property 6)."""
    organization = Organization(serve())
    collected = organization.server.services.activity

    async def flood() -> None:
        for number in range(10_000):
            prefix = f"sk-lp_{number:04d}..."
            collected.refused(
                RejectedCredential(RejectionReason.UNKNOWN, name=prefix), Origin(f"203.0.113.{number % 250}", "x", f"request-{number}")
            )

    organization.server.run(flood())
    assert len(collected._refusals) <= activity.MOST_REFUSALS + len(RejectionReason)

    rows = audit(organization, "api_key.refused")
    assert len(rows) <= activity.MOST_REFUSALS + len(RejectionReason)
    assert sum(row.count for row in rows) == 10_000


def test_a_flood_is_blamed_on_nobody(serve: Serve, clock: kit_clock.Frozen) -> None:
    """What is counted together carries no name, and a known key's refusal is not crowded out by junk."""
    organization = Organization(serve())
    collected = organization.server.services.activity
    dead = organization.key()
    organization.revoke(dead)

    async def flood() -> None:
        for number in range(1000):
            collected.refused(RejectedCredential(RejectionReason.UNKNOWN, name=f"sk-lp_{number:04d}..."), Origin("203.0.113.1"))

    organization.server.run(flood())
    organization.get("/agent/all", dead)

    (event,) = audit(organization, "api_key.refused", target_id=dead.id)
    assert (event.count, event.address, event.reason) == (1, "127.0.0.1", "revoked")
    (together,) = audit(organization, "api_key.refused", target_name="many keys or addresses")
    assert (together.actor_name, together.actor_id, together.organization_id, together.address) == ("unknown", None, None, None)
    assert together.count == 800


def test_a_flood_over_http_leaves_few_rows(serve: Serve) -> None:
    """Whatever comes through the gate is bounded in the same way."""
    organization = Organization(serve())
    for _ in range(260):
        present(organization.server, f"ApiKey {credentials.new_api_key()}")

    async def count(session: AsyncSession) -> int:
        return await session.scalar(select(func.count()).where(AuditEvent.action == "api_key.refused")) or 0

    organization.server.flush()
    assert organization.write(count) <= activity.MOST_REFUSALS + len(RejectionReason) + 5


def test_what_cannot_be_written_is_kept(organization: Organization) -> None:
    """While the database is away nothing is lost: it is written when it is back."""
    server = organization.server
    key = organization.key()
    away = Database(_nowhere(server))
    collected = Activity(away)

    async def fail_then_write() -> None:
        services = server.services
        verified = await services.keys.look_up(key.secret.encode(), await services.generation.current())
        collected.used(verified, "GET", "/api/v1/agent/all", RequestContext("request-1", "127.0.0.1", {}))
        with pytest.raises(Unavailable):
            await collected.flush(everything=True)
        collected.used(verified, "GET", "/api/v1/agent/all", RequestContext("request-2", "127.0.0.1", {}))
        collected._database = server.database
        await collected.flush(everything=True)
        await away.close()

    server.run(fail_then_write())

    (row,) = audit(organization, "api_key.used", target_id=key.id)
    assert row.count == 2
    assert stored(organization, key).last_used_at is not None


def _nowhere(server: Server) -> Settings:
    """Return settings of a database that does not answer."""
    if server.settings.is_sqlite:
        directory = server.settings.data_dir / "a directory where a file should be"
        directory.mkdir()
        return settings.load({}, data_dir=server.settings.data_dir, database_url=f"sqlite+aiosqlite:///{directory}")
    return settings.load({}, data_dir=server.settings.data_dir, database_url=f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/none")


def test_what_can_never_be_written_holds_up_nothing_else(organization: Organization) -> None:
    """A refusal whose id no column holds (on PostgreSQL) is given up, and the one that came with it is written."""
    server = organization.server
    key = organization.key()
    collected = Activity(server.database)
    origin = Origin("127.0.0.1", "test", "request-1")
    collected.refused(RejectedCredential(RejectionReason.REVOKED, organization.id, None, "ada@example.com", 2**40, "unwritable"), origin)
    collected.refused(RejectedCredential(RejectionReason.EXPIRED, organization.id, None, "ada@example.com", key.id, "writable"), origin)

    server.run(collected._flush_quietly(everything=True))
    server.clear_log()  # of what was given up
    server.run(collected.flush(everything=True))

    assert [row.reason for row in audit(organization, "api_key.refused", target_id=key.id)] == ["expired"]
    lost = audit(organization, "api_key.refused", target_name="many credentials", organization_id=organization.id)
    given_up = [(row.count, row.reason) for row in lost]
    assert given_up == ([] if server.settings.is_sqlite else [(1, "could not be written down")])  # SQLite takes any number


def test_what_a_key_was_denied_is_told_apart_from_what_it_did(organization: Organization) -> None:
    """The trail shows a denied call as refused, not as done, and names the scope that lacked (promise 7)."""
    key = organization.key(access=Access.BILLING_ONLY)

    assert organization.get("/agent/all", key).status_code == 403
    organization.server.flush()

    (row,) = audit(organization, "api_key.used", target_id=key.id)
    assert (row.outcome, row.reason) == ("refused", "GET /api/v1/agent/all: needs the scope agents:read")


def test_what_did_not_work_is_no_use_that_was_done(organization: Organization) -> None:
    """No such route, no such thing, a parameter that cannot be read: each is told as failed; a role that lacks, as refused."""
    space, user = organization.space(), organization.user()
    agent = organization.agent(space_id=space)
    organization.member(space, user, Role.VIEWER)
    key = organization.key(user)
    for path in ("/nothing", "/agent/2147483647", "/agent/search", f"/agent/{agent}"):
        organization.get(path, key)
    organization.post(f"/agent/{agent}/archive", key)

    outcomes = {(row.outcome, row.reason) for row in audit(organization, "api_key.used", target_id=key.id)}

    assert outcomes == {
        ("failed", "GET (no such route)"),
        ("failed", "GET /api/v1/agent/{agent_id}"),
        ("failed", "GET /api/v1/agent/search"),
        ("done", "GET /api/v1/agent/{agent_id}"),
        ("refused", "POST /api/v1/agent/{agent_id}/archive"),
    }


def test_invented_methods_are_one_word(organization: Organization) -> None:
    """A caller who makes up methods fills neither memory nor trail with them."""
    key = organization.key()
    for number in range(30):
        organization.server.http.request(f"BREW{number}", "/api/v1/agent/all", headers=key.header)

    rows = audit(organization, "api_key.used", target_id=key.id)

    assert sum(row.count for row in rows) == 30
    assert {(row.reason or "").partition(" /")[0].partition(" (no")[0] for row in rows} == {"(other method)"}
    assert len({row.reason for row in rows}) == 1


class Presenter:
    """Uses credentials at a collector of its own, from whatever addresses, and reads what it wrote."""

    def __init__(self, organization: Organization) -> None:
        self.organization = organization
        self.collected = Activity(organization.server.database)

    def verified(self, key: Key) -> Verified:
        """The key as the gate knows it."""
        services = self.organization.server.services

        async def find() -> Verified:
            verified_key = await services.keys.look_up(key.secret.encode(), await services.generation.current())
            assert isinstance(verified_key, Verified)
            return verified_key

        return self.organization.server.run(find())

    def use(self, verified: Verified, address: str, route: str = "/api/v1/agent/all", method: str = "GET") -> None:
        """One use."""
        self.collected.used(verified, method, route, RequestContext("request-1", address, {}, status=200))

    def rows(self, key: Key) -> list[AuditEvent]:
        """What is in the trail of a key, after writing."""
        self.organization.server.run(self.collected.flush(everything=True))
        return audit(self.organization, "api_key.used", target_id=key.id)


def test_addresses_of_one_subnet_are_counted_together(organization: Organization) -> None:
    """Who has a whole IPv6 subnet makes one event of it, which names the subnet; one address alone is named in full."""
    key, presenter = organization.key(), Presenter(organization)
    verified = presenter.verified(key)
    for number in range(1, 1000):
        presenter.use(verified, f"2001:db8:0:7::{number:x}")
    presenter.use(verified, "2001:db8:0:8::1")
    presenter.use(verified, "203.0.113.9")

    counts = {(row.address, row.count) for row in presenter.rows(key)}

    assert counts == {("2001:db8:0:7::/64", 999), ("2001:db8:0:8::1", 1), ("203.0.113.9", 1)}


def test_one_credential_hides_neither_its_own_uses_nor_anothers(organization: Organization) -> None:
    """Beyond the bound its uses go to a total of it, all counted; another key's use is told in full."""
    busy, quiet, presenter = organization.key(), organization.key(), Presenter(organization)
    verified = presenter.verified(busy)
    for number in range(5_000):
        presenter.use(verified, f"2001:db8:{number:x}::1")
    presenter.use(presenter.verified(quiet), "2001:db8::1", "/api/v1/spaces", "POST")

    rows = presenter.rows(busy)
    (other,) = presenter.rows(quiet)

    assert len(rows) == activity.MOST_USES_OF_ONE + 1
    assert sum(row.count for row in rows) == 5_000
    (total,) = (row for row in rows if row.reason == "other routes and addresses")
    assert (total.count, total.address, total.credential_id) == (5_000 - activity.MOST_USES_OF_ONE, None, busy.id)
    assert (other.reason, other.address) == ("POST /api/v1/spaces", "2001:db8::1")


def test_nothing_is_dropped_without_a_count(organization: Organization) -> None:
    """Where too many credentials are used to tell each, a total of their organization says how often."""
    presenter = Presenter(organization)
    presenter.collected._uses = Counters(seconds=activity.USE_TOTALS_SECONDS, most=3)
    keys = [organization.key() for _ in range(9)]
    for key in keys:
        for number in range(4):
            presenter.use(presenter.verified(key), f"203.0.113.{number}")

    total = sum(row.count for key in keys for row in presenter.rows(key))
    (many,) = audit(organization, "api_key.used", target_name="many credentials", organization_id=organization.id)

    assert (many.count, many.actor_name, many.address, many.credential_id) == (36 - total, "unknown", None, None)
    assert total < 36


def test_one_refused_key_hides_no_other(organization: Organization) -> None:
    """A dead key that comes from thousands of subnets fills its own share, and is counted in full."""
    dead, other, collected = organization.key(), organization.key(), Activity(organization.server.database)
    for number in range(5_000):
        origin = Origin(f"2001:db8:{number:x}::1")
        collected.refused(
            RejectedCredential(RejectionReason.REVOKED, organization.id, None, "ada@example.com", dead.id, "sk-lp_1234..."), origin
        )
    collected.refused(
        RejectedCredential(RejectionReason.EXPIRED, organization.id, None, "ada@example.com", other.id, "sk-lp_5678..."),
        Origin("2001:db8:ffff::1"),
    )
    organization.server.run(collected.flush(everything=True))

    rows = audit(organization, "api_key.refused", target_id=dead.id)
    (event,) = audit(organization, "api_key.refused", target_id=other.id)

    assert (len(rows), sum(row.count for row in rows)) == (activity.MOST_REFUSALS_OF_ONE + 1, 5_000)
    assert event.address == "2001:db8:ffff::1"
