"""What is the matter with the database: the kinds that are told apart, and how often each is logged."""

from __future__ import annotations

import errno
import sqlite3
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from structlog.testing import capture_logs

from latchpin import settings
from latchpin.errors import Unavailable
from latchpin.kit.clock import Frozen
from latchpin.storage import Database
from latchpin.storage import database as storage
from latchpin.storage.outages import Outage, OutageLog, is_passing, outage_of


def _of_sqlite(place: Path, *statements: str) -> sqlite3.Error | None:
    """Return the error that SQLite itself gives for statements."""
    connection = sqlite3.connect(place / "any.db", isolation_level=None)
    try:
        for statement in statements:
            connection.execute(statement)
    except sqlite3.Error as error:
        return error
    finally:
        connection.close()
    return None


@pytest.mark.parametrize(
    ("statements", "outage"),
    [
        (("CREATE TABLE t (x)", "PRAGMA max_page_count = 3", "INSERT INTO t VALUES (zeroblob(100000))"), Outage.FULL),
        (("PRAGMA query_only = ON", "CREATE TABLE t (x)"), Outage.READ_ONLY),
    ],
)
def test_sqlite_errors_are_told_apart(tmp_path: Path, statements: tuple[str, ...], outage: Outage) -> None:
    """By SQLite's own codes."""
    error = _of_sqlite(tmp_path, *statements)

    assert error is not None
    assert outage_of(error) is outage


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (asyncpg.DiskFullError("no space left"), Outage.FULL),
        (asyncpg.ReadOnlySQLTransactionError("read-only"), Outage.READ_ONLY),
        (asyncpg.TooManyConnectionsError("too many"), Outage.BUSY),
        (asyncpg.DeadlockDetectedError("deadlock"), Outage.BUSY),
        (asyncpg.InvalidPasswordError("password"), Outage.REFUSED),
        (asyncpg.InvalidCatalogNameError("no such database"), Outage.REFUSED),
        (asyncpg.CannotConnectNowError("starting up"), Outage.AWAY),
        (asyncpg.AdminShutdownError("stopping"), Outage.AWAY),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Outage.AWAY),
        (TimeoutError(), Outage.SLOW),
        (PoolTimeoutError("no connection"), Outage.BUSY),
        (OSError(errno.ENOSPC, "no space left"), Outage.FULL),
        (OSError(errno.EROFS, "read-only"), Outage.READ_ONLY),
    ],
)
def test_errors_of_postgresql_and_the_system_are_told_apart(error: Exception, outage: Outage) -> None:
    """Also below an error that was raised from them."""
    above = RuntimeError("something else")
    above.__cause__ = error

    assert outage_of(above) is outage
    assert is_passing(above) == (outage in {Outage.AWAY, Outage.SLOW})


def test_each_cause_is_logged_once_a_minute_with_its_count(clock: Frozen) -> None:
    """A flood of refusals leaves a line a minute for each cause, and none is lost from the count."""
    outages = OutageLog()
    full, away = OSError(errno.ENOSPC, "no space left"), ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    with capture_logs() as lines:
        for _ in range(3):
            outages.refusal(full)
            outages.refusal(away)
        clock.advance(timedelta(seconds=61))
        outages.refusal(full)

    assert [(line["cause"], line["count"]) for line in lines] == [("full", 1), ("away", 1), ("full", 3)]
    assert "its disk is full" in lines[0]["detail"]
    assert "cannot be reached" in lines[1]["detail"]


def test_callers_are_told_whether_it_is_full_read_only_or_away() -> None:
    """Each has its own words."""
    outages = OutageLog()
    details = {str(outages.refusal(OSError(number, "")).detail) for number in (errno.ENOSPC, errno.EROFS, errno.ECONNREFUSED)}

    assert len(details) == 3


async def test_a_database_whose_disk_is_nearly_full_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first write fails; and ready again as soon as there is room."""
    database = Database(settings.load({}, data_dir=tmp_path), may_create=True)
    monkeypatch.setattr(storage, "LEAST_FREE_BYTES", 2**62)
    with pytest.raises(Unavailable, match="full"):
        await database.require_ready()
    monkeypatch.setattr(storage, "LEAST_FREE_BYTES", 1)
    await database.require_ready()

    await database.close()
