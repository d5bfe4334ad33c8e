"""The audit trail: what a row tells, that it cannot be changed, and how it is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, Origin, events, record, trail
from latchpin.audit.trail import Filters
from latchpin.errors import Malformed
from latchpin.identity import api_keys, policy, users
from latchpin.kit import clock as kit_clock
from latchpin.storage.models import ApiKey, AuditEvent
from tests.support.people import Organization
from tests.support.server import Server
from tests.support.wire import audit

pytestmark = pytest.mark.both_databases("triggers, lists, filters and paging are statements of each database")

Serve = Callable[..., Server]


def _event(name: str = "thing") -> events.Event:
    return events.SpaceChanged(target_id=1, target_name=name)


def _actor(organization: Organization, name: str = "ada@example.com") -> Actor:
    return Actor(name, 1, organization.id, "session", 7, "browser session", Origin("203.0.113.5", "Mozilla", "request-0001"))


def _record(organization: Organization, *names: str) -> None:
    async def work(session: AsyncSession) -> None:
        for name in names:
            record(session, _event(name), _actor(organization))

    organization.write(work)


def _page(
    organization: Organization, filters: Filters | None = None, cursor: str | None = None, size: int = 50
) -> tuple[list[str], str | None]:
    async def work(session: AsyncSession) -> tuple[list[str], str | None]:
        page = await trail.page(session, organization.id, filters or Filters(), cursor=cursor, size=size)
        return [row.target_name or "" for row in page.items], page.next

    return organization.write(work)


def _run(organization: Organization, statement: str) -> None:
    async def work(session: AsyncSession) -> None:
        await session.execute(text(statement))

    organization.write(work)


def test_a_row_tells_who_did_what_to_what_from_where(organization: Organization, clock: kit_clock.Frozen) -> None:
    """When, who, through which credential, from where, what, old and new, outcome and request id (promise 7)."""
    person = organization.user("Grace User")

    async def work(session: AsyncSession) -> None:
        user = await users.get(session, organization.id, person.id)
        await users.change(session, user, by=_actor(organization), full_name="Grace Hopper")

    organization.write(work)

    (row,) = audit(organization, "user.changed", target_id=person.id)
    assert row.at == kit_clock.now()
    assert (row.actor_name, row.actor_id, row.organization_id) == ("ada@example.com", 1, organization.id)
    assert (row.credential_kind, row.credential_id, row.credential_name) == ("session", 7, "browser session")
    assert (row.address, row.user_agent, row.request_id) == ("203.0.113.5", "Mozilla", "request-0001")
    assert (row.target_kind, row.target_name, row.outcome) == ("user", person.email, "done")
    assert json.loads(row.changes or "") == {"full_name": ["Grace User", "Grace Hopper"]}


def test_every_change_of_a_key_leaves_one_event(organization: Organization) -> None:
    """Made, changed, revoked and deleted: one event each, which outlives the key's entry (property 6)."""
    key = organization.key(description="Nightly export")

    async def work(session: AsyncSession) -> None:
        api_key = await api_keys.get(session, organization.id, key.id)
        rules = await policy.get(session, organization.id, organization.server.settings)
        await api_keys.change_expiry(session, api_key, kit_clock.now() + timedelta(days=9), policy=rules, by=organization.admin.actor)
        await api_keys.change_expiry(session, api_key, api_key.expires_at, policy=rules, by=organization.admin.actor)
        await api_keys.revoke(session, api_key, by=organization.admin.actor, reason="left the company")
        await api_keys.revoke(session, api_key, by=organization.admin.actor)
        await api_keys.delete(session, api_key, by=organization.admin.actor)

    organization.write(work)

    rows = [audit(organization, f"api_key.{what}", target_id=key.id) for what in ("created", "changed", "revoked", "deleted")]
    assert [len(key_events) for key_events in rows] == [1, 1, 1, 1]
    assert {key_events[0].target_name for key_events in rows} == {f"Nightly export ({key.prefix}...)"}
    assert rows[2][0].reason == "left the company"
    old, new = json.loads(rows[1][0].changes or "")["expires"]
    assert old > new


def test_change_and_record_come_together_or_not_at_all(organization: Organization) -> None:
    """A change that fails after its record was made leaves neither (property 6)."""

    class Stop(Exception):
        """Something went wrong late."""

    key = organization.key()

    async def work(session: AsyncSession) -> None:
        await api_keys.revoke(session, await api_keys.get(session, organization.id, key.id), by=organization.admin.actor)
        raise Stop

    with pytest.raises(Stop):
        organization.write(work)

    assert not audit(organization, "api_key.revoked", target_id=key.id)
    assert organization.get("/agent/all", key).status_code == 200


def test_a_record_that_cannot_be_written_undoes_its_change(organization: Organization) -> None:
    """Nothing is changed without a trace: where the trail refuses the row, the change is refused too (property 6)."""
    key = organization.key()
    unwritable = Actor("ada@example.com", 1, organization.id, credential_kind=None)  # type: ignore[arg-type]  # the column takes no NULL

    async def work(session: AsyncSession) -> None:
        await api_keys.revoke(session, await api_keys.get(session, organization.id, key.id), by=unwritable)

    with pytest.raises(DBAPIError):
        organization.write(work)

    async def revoked(session: AsyncSession) -> object:
        return await session.scalar(select(ApiKey.revoked_at).where(ApiKey.id == key.id))

    assert organization.write(revoked) is None
    assert organization.get("/agent/all", key).status_code == 200


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET actor_name = 'somebody else'",
        "UPDATE audit_events SET count = count + 1 WHERE id = 1",
        "DELETE FROM audit_events",
        "DELETE FROM audit_events WHERE id = 1",
    ],
)
def test_the_database_itself_keeps_rows_from_being_changed(organization: Organization, statement: str) -> None:
    """Not even the application's own connection can edit or delete a row, on either database."""
    before = len(audit(organization, "user.created"))

    with pytest.raises(DBAPIError, match="only added"):
        _run(organization, statement)

    assert len(audit(organization, "user.created")) == before


def test_the_trail_cannot_be_emptied_at_once(organization: Organization, kind: str) -> None:
    """PostgreSQL's TRUNCATE is refused as well."""
    if kind == "sqlite":
        pytest.skip("SQLite has no TRUNCATE; it deletes rows, which is refused")

    with pytest.raises(DBAPIError, match="only added"):
        _run(organization, "TRUNCATE audit_events")


@pytest.mark.parametrize(
    ("text_in", "shown"),
    [
        ("one\ntwo", "one\\u000atwo"),
        ("a\r\n2026-01-01 forged line", "a\\u000d\\u000a2026-01-01 forged line"),
        ("nul\x00", "nul\\u0000"),
        ("esc\x1b[31m", "esc\\u001b[31m"),
        ("right\u202eleft", "right\\u202eleft"),
        ("c1\x85", "c1\\u0085"),
    ],
)
def test_control_characters_become_visible(organization: Organization, text_in: str, shown: str) -> None:
    """Nobody writes a second line, a colour or a reversed text into the trail."""
    actor = Actor(text_in, None, organization.id, credential_name=text_in, origin=Origin(text_in, text_in, text_in))

    async def work(session: AsyncSession) -> None:
        record(session, events.SpaceChanged(target_name=text_in, reason=text_in, changes={"name": (text_in, None)}), actor)

    organization.write(work)

    row = audit(organization, "space.changed", organization_id=organization.id)[-1]
    shown_in = (row.actor_name, row.credential_name, row.target_name, row.reason, row.user_agent, row.address, row.request_id)
    assert set(shown_in) == {shown}
    assert (row.changes or "").isprintable()
    assert json.loads(row.changes or "") == {"name": [text_in, None]}


def test_endless_texts_are_cut_to_their_columns(organization: Organization) -> None:
    """A reason of ten thousand characters is kept short and fails nothing, on either database."""
    long = "x" * 10_000
    actor = Actor(long, None, organization.id, credential_name=long, origin=Origin("203.0.113.5", long, "request-0001"))

    async def work(session: AsyncSession) -> None:
        record(session, events.SpaceChanged(target_name=long, reason=long), actor)

    organization.write(work)

    row = audit(organization, "space.changed", organization_id=organization.id)[-1]
    assert (len(row.actor_name), len(row.reason or ""), len(row.target_name or "")) == (254, 200, 500)


def test_events_can_be_read_newest_first_in_pages(organization: Organization) -> None:
    """Pages follow each other without a gap or a repetition."""
    _record(organization, *(f"e{number}" for number in range(10)))

    all_names: list[str] = []
    cursor = None
    while True:
        names, cursor = _page(organization, Filters(action="space"), cursor, size=3)
        all_names += names
        if cursor is None:
            break

    assert all_names == [f"e{number}" for number in reversed(range(10))]


def test_pages_stay_as_they_are_while_events_arrive(organization: Organization) -> None:
    """Events that come while somebody reads shift nothing: neither twice nor left out."""
    _record(organization, "a", "b", "c", "d")
    first, cursor = _page(organization, Filters(action="space"), size=2)

    _record(organization, "e", "f", "g")
    second, end = _page(organization, Filters(action="space"), cursor, size=2)

    assert (first, second, end) == (["d", "c"], ["b", "a"], None)


@pytest.mark.parametrize("cursor", ["x", "Yzk6MQ", "-1", "' OR 1=1", "é"])
def test_a_cursor_of_elsewhere_is_refused(organization: Organization, cursor: str) -> None:
    """A made-up cursor is a plain refusal."""
    with pytest.raises(Malformed):
        _page(organization, cursor=cursor)


def test_the_size_of_a_page_is_bounded(organization: Organization) -> None:
    """Whatever is asked for, a page has from 1 to 200 events."""
    _record(organization, *(f"e{number}" for number in range(230)))

    assert len(_page(organization, size=1_000_000)[0]) == 200
    assert len(_page(organization, size=0)[0]) == 1
    assert len(_page(organization, size=-5)[0]) == 1


def test_an_organization_reads_only_its_own_events(organization: Organization, other: Organization) -> None:
    """No filter and no cursor shows another organization's trail (property 4)."""
    _record(organization, "ours")
    _record(other, "theirs")

    assert "theirs" not in _page(organization, size=200)[0]
    assert _page(organization, Filters(text="theirs"))[0] == []


def test_events_of_nobody_are_read_where_there_is_one_organization(serve: Serve) -> None:
    """Tries with unknown keys show in the only organization's trail, and in nobody's once there is a second one (property 4)."""
    organization = Organization(serve())
    organization.server.http.get("/api/v1/agent/all", headers={"Authorization": "ApiKey sk-lp_junk"})
    organization.server.flush()
    refused = Filters(action="api_key.refused")
    assert _page(organization, refused)[0] == ["sk-lp_..."]

    second = Organization(organization.server)

    assert _page(organization, refused)[0] == []
    assert _page(second, refused)[0] == []


def test_events_can_be_filtered(organization: Organization, clock: kit_clock.Frozen) -> None:
    """By action, outcome, actor, credential, target, time and text, alone and together."""
    before = kit_clock.now()
    key = organization.key(description="Nightly export")
    clock.advance(timedelta(hours=1))
    organization.revoke(key)
    organization.get("/agent/all", key)
    organization.server.flush()

    def actions(filters: Filters) -> list[str]:
        async def work(session: AsyncSession) -> list[str]:
            return [row.action for row in (await trail.page(session, organization.id, filters)).items]

        return organization.write(work)

    of_key = {"target_kind": "api_key", "target_id": key.id}
    assert actions(Filters(target_kind="api_key", target_id=key.id)) == ["api_key.refused", "api_key.revoked", "api_key.created"]
    assert actions(Filters(action="api_key.c")) == ["api_key.created"]
    assert actions(Filters(outcome="refused")) == ["api_key.refused"]
    assert actions(Filters(credential_kind="api_key", credential_id=key.id)) == ["api_key.refused"]
    assert actions(Filters(**of_key, actor_id=organization.admin.id, outcome="done")) == ["api_key.revoked", "api_key.created"]  # type: ignore[arg-type]
    assert actions(Filters(**of_key, until=before + timedelta(seconds=1))) == ["api_key.created"]  # type: ignore[arg-type]
    assert actions(Filters(**of_key, since=before + timedelta(seconds=1))) == ["api_key.refused", "api_key.revoked"]  # type: ignore[arg-type]
    assert actions(Filters(text="NIGHTLY", action="api_key.created")) == ["api_key.created"]
    assert actions(Filters(text="100%_")) == []


def test_an_event_can_be_read_by_its_organization_only(organization: Organization, other: Organization) -> None:
    """One event by its id, and nothing of others' (property 4)."""
    _record(other, "theirs")
    (row,) = audit(other, "space.changed", organization_id=other.id)

    async def read(session: AsyncSession) -> tuple[AuditEvent | None, AuditEvent | None]:
        return await trail.get(session, organization.id, row.id), await trail.get(session, other.id, row.id)

    ours, theirs = organization.write(read)
    assert ours is None
    assert theirs is not None


def test_a_follower_sees_new_events_oldest_first(organization: Organization) -> None:
    """`latchpin audit tail` shows what came after the last it knew."""
    _record(organization, "a")

    async def last(session: AsyncSession) -> int:
        return await session.scalar(select(func.max(AuditEvent.id))) or 0

    last_id = organization.write(last)
    _record(organization, "b", "c")

    async def work(session: AsyncSession) -> list[str | None]:
        return [row.target_name for row in await trail.newest(session, after=last_id) if row.organization_id == organization.id]

    assert organization.write(work) == ["b", "c"]


def test_every_kind_of_event_explains_itself() -> None:
    """Each event has a name of its own and a sentence for the reference."""
    names = [event.action for event in events.ALL]

    assert len(set(names)) == len(names)
    assert all(event.__doc__ and event.__doc__.strip().endswith(".") for event in events.ALL)
    assert all(part.isidentifier() for name in names for part in name.split("."))
