"""`latchpin audit tail` and `latchpin audit verify`."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3

import asyncpg

from tests.cli.conftest import EMAIL, CommandLine


def _tamper(latchpin: CommandLine, change: str) -> None:
    """Change the trail behind the product's back, as somebody who owns the database can."""
    url = latchpin.environ.get("LATCHPIN_DATABASE_URL", "")
    if not url:
        with sqlite3.connect(latchpin.data_dir / "latchpin.db") as connection:
            connection.execute("DROP TRIGGER audit_events_no_update")
            connection.execute("DROP TRIGGER audit_events_no_delete")
            connection.execute(change)
        connection.close()
        return

    async def work() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        await connection.execute("ALTER TABLE audit_events DISABLE TRIGGER ALL")
        await connection.execute(change)
        await connection.close()

    asyncio.run(work())


def test_a_whole_trail_verifies(latchpin: CommandLine) -> None:
    """`audit verify` ends with 0 and tells the newest event's number."""
    latchpin.init()
    latchpin.key()

    assert latchpin("audit", "verify", "--json").document == {"whole": True, "firstBroken": None, "newest": 3}


def test_a_changed_event_is_found(latchpin: CommandLine) -> None:
    """Changing one event in the database makes `audit verify` end with 1 and name the event."""
    latchpin.init()
    latchpin.key()
    _tamper(latchpin, "UPDATE audit_events SET actor_name = 'somebody else' WHERE id = 2")

    ran = latchpin("audit", "verify", "--json", code=1)

    assert ran.document["firstBroken"] == 2


def test_a_removed_event_is_found(latchpin: CommandLine) -> None:
    """Removing an event breaks the chain at the one after it."""
    latchpin.init()
    latchpin.key()
    _tamper(latchpin, "DELETE FROM audit_events WHERE id = 2")

    ran = latchpin("audit", "verify", code=1)

    assert "does not fit at event 3" in ran.err


def test_tail_shows_the_newest_events_in_order(embedded: CommandLine) -> None:
    """`-n 2` prints two lines, the newest last."""
    embedded.init()
    embedded.key("--description", "Nightly export")

    lines = embedded("audit", "tail", "-n", "2").out.splitlines()

    assert ["user.created" in lines[0], "api_key.created" in lines[1], "Nightly export" in lines[1]] == [True] * 3


def test_following_prints_events_as_they_come_until_ctrl_c(embedded: CommandLine) -> None:
    """`--follow` shows what another process does, each event once, and ends quietly."""
    embedded.init()
    following = embedded.start("audit", "tail", "-n", "1", "--follow", "--json")
    assert following.stdout is not None
    try:
        first = json.loads(following.stdout.readline())
        embedded("user", "reset-password", EMAIL)
        second = json.loads(following.stdout.readline())
    finally:
        following.send_signal(signal.SIGINT)
        rest, err = following.communicate(timeout=30)

    assert (first["action"], second["action"]) == ("user.created", "user.password_reset")
    assert (following.returncode, rest, err) == (130, "", "")
