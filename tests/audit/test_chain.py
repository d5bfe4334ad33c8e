"""The chain over the audit trail: what was changed, moved, removed, added or cut off is found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from latchpin import settings
from latchpin.audit import Actor, Origin, chain, events, record
from latchpin.audit.chain import Checkpoint, Verification
from latchpin.audit.checkpoints import CheckpointLog
from latchpin.kit import clock as kit_clock
from latchpin.storage import Database
from latchpin.storage.models import AuditEvent
from tests.support.databases import Templates
from tests.support.people import Organization
from tests.support.server import Server

pytestmark = pytest.mark.both_databases("the chain is ordered by a lock on PostgreSQL and by the one writer on SQLite")

ROWS: Any = AuditEvent.__table__


@pytest.fixture
async def database(kind: str, templates: Templates, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of the test's own with four events, and nothing that keeps its owner from changing them."""
    with templates.fresh(kind, tmp_path) as url:
        opened = Database(settings.load({}, data_dir=tmp_path, database_url=url or None))
        async with opened.transaction() as session:
            for statement in _UNLOCK[kind]:
                await session.execute(text(statement))
        await _record(opened, "first", "second", "third", "fourth")
        yield opened
        await opened.close()


_UNLOCK = {
    "sqlite": ("DROP TRIGGER audit_events_no_update", "DROP TRIGGER audit_events_no_delete"),
    "postgresql": ("ALTER TABLE audit_events DISABLE TRIGGER USER",),
}
_SET_BACK = {
    "sqlite": "UPDATE sqlite_sequence SET seq = (SELECT max(id) FROM audit_events) WHERE name = 'audit_events'",
    "postgresql": "SELECT setval(pg_get_serial_sequence('audit_events', 'id'), (SELECT max(id) FROM audit_events))",
}


async def _record(database: Database, *names: str) -> None:
    by = Actor("ada@example.com", 1, None, "session", 7, "browser session", Origin("203.0.113.5", "Mozilla", "request-0001"))
    for name in names:
        async with database.transaction() as session:
            record(session, events.SpaceChanged(target_id=1, target_name=name, reason="because", changes={"name": ("a", "b")}), by)


async def _run(database: Database, statement: Any) -> None:
    async with database.transaction() as session:
        await session.execute(statement)


async def _verify(database: Database, *expected: Checkpoint) -> Verification:
    async with database.read() as session:
        return await chain.verify(session, expected)


async def _newest(database: Database) -> Checkpoint:
    async with database.read() as session:
        checkpoint = await chain.newest(session)
    assert checkpoint is not None
    return checkpoint


async def _row(database: Database, row_id: int) -> dict[str, Any]:
    async with database.read() as session:
        return dict((await session.execute(select(ROWS).where(ROWS.c.id == row_id))).mappings().one())


def _another(column: Column[Any], value: Any) -> Any:
    """A value that the column can hold and that is not this one."""
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    if isinstance(value, datetime):
        return value + timedelta(microseconds=1)
    if column.type.python_type is int:
        return (value or 0) + 1
    return f"{value or ''}x"


async def test_a_change_of_any_column_is_found(database: Database, subtests: pytest.Subtests) -> None:
    """Each column of the table in turn: one value of the newest row is changed, found there, and put back."""
    newest = (await _newest(database)).id
    before = await _row(database, newest)
    assert (await _verify(database)).is_whole

    for column in ROWS.columns:
        changed = {column.name: _another(column, before[column.name])}
        row_id = changed.get("id", newest)
        with subtests.test(column=column.name):
            await _run(database, update(ROWS).where(ROWS.c.id == newest).values(changed))
            assert (await _verify(database)).first_broken == row_id
        await _run(database, update(ROWS).where(ROWS.c.id == row_id).values(before))
    assert (await _verify(database)).is_whole


@pytest.mark.parametrize("name", ["reason", "changes", "address", "organization_id", "target_id"])
async def test_a_value_that_was_taken_away_is_found(database: Database, name: str) -> None:
    """Null is another value, and so is a null that was filled."""
    row = await _row(database, 2)
    await _run(database, update(ROWS).where(ROWS.c.id == 2).values({name: None if row[name] is not None else 0}))

    assert (await _verify(database)).first_broken == 2


async def test_a_removed_row_is_found_at_the_one_after_it(database: Database) -> None:
    """Whichever it is, the first one too."""
    await _run(database, delete(ROWS).where(ROWS.c.id == 3))
    assert (await _verify(database)).first_broken == 4

    await _run(database, delete(ROWS).where(ROWS.c.id == 1))
    assert (await _verify(database)).first_broken == 2


async def test_rows_that_changed_places_are_found(database: Database) -> None:
    """The order of events is part of what is kept."""
    for old, new in ((2, 99), (3, 2), (99, 3)):
        await _run(database, update(ROWS).where(ROWS.c.id == old).values(id=new))

    assert (await _verify(database)).first_broken == 2


async def test_a_row_forged_without_the_key_is_found(database: Database) -> None:
    """Who knows the code and the whole database, and not the deployment's secrets, cannot make the next link."""
    newest = await _newest(database)
    row = {**await _row(database, newest.id), "id": newest.id + 1, "actor_name": "forged@example.com"}
    del row["chain"]

    for guess in (b"", b"a guess", newest.chain):
        forged = {**row, "chain": chain.link(newest.chain, row, key=guess)}
        await _run(database, insert(ROWS).values(forged))
        assert (await _verify(database)).first_broken == row["id"], guess
        await _run(database, delete(ROWS).where(ROWS.c.id == row["id"]))


async def test_a_link_that_was_copied_is_found(database: Database) -> None:
    """A row written by hand with the chain value of another one does not fit."""
    newest = await _newest(database)
    row = {**await _row(database, newest.id), "id": newest.id + 1}

    await _run(database, insert(ROWS).values(row))

    assert (await _verify(database)).first_broken == newest.id + 1


async def test_a_trail_that_was_cut_off_and_went_on_is_not_the_expected_one(database: Database, kind: str) -> None:
    """The newest row deleted, the counter set back, two events later: whole by itself, and not what was kept elsewhere."""
    older, newest = Checkpoint(2, (await _row(database, 2))["chain"]), await _newest(database)
    await _run(database, delete(ROWS).where(ROWS.c.id == newest.id))
    await _run(database, text(_SET_BACK[kind]))
    assert await _verify(database, older, newest) == Verification(None, await _newest(database), unmet=(newest,))

    await _record(database, "another fourth", "fifth")

    verification = await _verify(database, older, newest)
    assert (verification.first_broken, verification.unmet, verification.is_whole) == (None, (newest,), False)
    assert (await _verify(database, older, await _newest(database))).is_whole


async def test_a_cut_that_left_the_counter_is_found_by_the_gap(database: Database, kind: str) -> None:
    """SQLite gives out ids without gaps, so one shows that rows were removed; PostgreSQL leaves some where a change was undone."""
    await _run(database, delete(ROWS).where(ROWS.c.id == 4))
    await _record(database, "another fourth")

    verification = await _verify(database)

    assert verification.first_broken == (5 if kind == "sqlite" else None)


async def test_a_counter_that_was_set_back_stops_no_change(database: Database, kind: str) -> None:
    """The next event goes on after the newest row."""
    await _run(database, text(_SET_BACK[kind].replace("(SELECT max(id) FROM audit_events)", "1")))

    await _record(database, "fifth")

    assert (await _newest(database)).id == 5
    assert (await _verify(database)).is_whole


async def test_a_trail_of_the_first_releases_stays_verifiable(database: Database) -> None:
    """Their links did not hold the id: such rows fit, newer ones go on from them, and a changed one is found."""
    await _run(database, delete(ROWS).where(ROWS.c.id > 1))
    row, previous = await _row(database, 1), chain.FIRST
    for row_id in (1, 2, 3, 4):
        values = {name: value for name, value in row.items() if name not in ("id", "chain")}
        previous = chain.link(previous, values)
        await _run(database, delete(ROWS).where(ROWS.c.id == row_id))
        await _run(database, insert(ROWS).values({**row, "id": row_id, "chain": previous}))
    await _record(database, "by this release")
    assert (await _verify(database)).is_whole

    await _run(database, update(ROWS).where(ROWS.c.id == 2).values(actor_name="somebody else"))

    assert (await _verify(database)).first_broken == 2


async def test_writers_at_the_same_moment_keep_one_chain(database: Database) -> None:
    """Forty transactions of two events leave eighty rows in one unbroken chain, on either database."""
    by = Actor("ada@example.com")

    async def one(number: int) -> None:
        async with database.transaction() as session:
            record(session, events.SpaceChanged(target_name=f"parallel {number}"), by)
            record(session, events.SpaceChanged(target_name=f"parallel {number} again"), by)

    await asyncio.gather(*(one(number) for number in range(40)))

    verification = await _verify(database)
    assert verification.is_whole
    assert verification.newest is not None
    assert verification.newest.id == 84


def test_everything_that_an_ordinary_day_writes_fits(server: Server) -> None:
    """People, keys, uses, refusals, odd characters: what the tests of this run have left behind is whole."""
    organization = Organization(server)
    key = organization.key(description="Ünïcode 🔑 <b>")
    organization.get("/agent/all", key)
    organization.revoke(key)
    organization.get("/agent/all", key)
    server.flush()

    async def work(session: AsyncSession) -> Verification:
        record(session, events.SpaceChanged(target_name="a\u202eb\x00\ud83d"), organization.admin.actor)
        return await chain.verify(session)

    assert organization.write(work).is_whole


def test_the_log_tells_a_checkpoint_at_the_start(server: Server) -> None:
    """As `audit verify --expect` takes it; a deployment without any event has none to tell."""
    Organization(server)

    async def write() -> None:
        await CheckpointLog(server.database).write_if_due()

    with capture_logs() as lines:
        server.run(write())

    (line,) = lines
    assert (line["event"], line["log_level"]) == ("audit.checkpoint", "info")
    assert str(Checkpoint.parse(line["checkpoint"])) == line["checkpoint"]


async def test_a_checkpoint_is_logged_each_day_and_compared_with_the_one_before(database: Database, clock: kit_clock.Frozen) -> None:
    """One line a day and process; an error where the event of the last line is gone meanwhile."""
    checkpoints = CheckpointLog(database)
    first = str(await _newest(database))
    with capture_logs() as lines:
        await checkpoints.write_if_due()
        clock.advance(timedelta(hours=23))
        await checkpoints.write_if_due()
        clock.advance(timedelta(hours=2))
        await checkpoints.write_if_due()
        await _run(database, delete(ROWS).where(ROWS.c.id == 4))
        clock.advance(timedelta(hours=25))
        await checkpoints.write_if_due()

    log_events = [(line["event"], line["log_level"], line.get("expected") or line["checkpoint"]) for line in lines]
    assert log_events == [
        ("audit.checkpoint", "info", first),
        ("audit.checkpoint", "info", first),
        ("audit.cut_off", "error", first),
        ("audit.checkpoint", "info", str(await _newest(database))),
    ]
