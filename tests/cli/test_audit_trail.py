"""`latchpin audit tail` and `latchpin audit verify`."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3

import asyncpg

from tests.cli.conftest import EMAIL, CommandLine


def _tamper(latchpin: CommandLine, change: str, *, set_back: bool = False) -> None:
    """Change the trail behind the product's back, as somebody who owns the database can; `set_back` sets the counter of ids back, too."""
    url = latchpin.environ.get("LATCHPIN_DATABASE_URL", "")
    if not url:
        with sqlite3.connect(latchpin.data_dir / "latchpin.db") as connection:
            connection.execute("DROP TRIGGER audit_events_no_update")
            connection.execute("DROP TRIGGER audit_events_no_delete")
            connection.execute(change)
            if set_back:
                connection.execute("UPDATE sqlite_sequence SET seq = (SELECT max(id) FROM audit_events) WHERE name = 'audit_events'")
        connection.close()
        return

    async def work() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        await connection.execute("ALTER TABLE audit_events DISABLE TRIGGER ALL")
        await connection.execute(change)
        if set_back:
            await connection.execute("SELECT setval(pg_get_serial_sequence('audit_events', 'id'), (SELECT max(id) FROM audit_events))")
        await connection.close()

    asyncio.run(work())


def test_a_whole_trail_verifies(latchpin: CommandLine) -> None:
    """`audit verify` ends with 0 and tells the newest event's checkpoint, which it takes back."""
    latchpin.init()
    latchpin.key()

    report = latchpin("audit", "verify", "--json").document

    assert (report["whole"], report["firstBroken"], report["newest"], report["unmet"]) == (True, None, 3, [])
    assert report["checkpoint"].startswith("3:")
    output = latchpin("audit", "verify", "--expect", report["checkpoint"]).out
    assert output == f"The trail is whole. Its checkpoint, to keep elsewhere: {report['checkpoint']}\n"


def test_a_trail_cut_off_at_its_end_is_not_the_expected_one(latchpin: CommandLine) -> None:
    """Without a trace in the database; the checkpoint that was kept tells, also after the trail went on."""
    latchpin.init()
    latchpin.key()
    checkpoint = latchpin("audit", "verify", "--json").document["checkpoint"]
    _tamper(latchpin, "DELETE FROM audit_events WHERE id = 3", set_back=True)

    ran = latchpin("audit", "verify", "--expect", checkpoint, code=1)
    latchpin("user", "reset-password", EMAIL)
    later = latchpin("audit", "verify", "--expect", checkpoint, "--json", code=1)

    assert "the trail ends at event 2: its newest events were cut off" in ran.err
    assert "Event 3 is not the expected one" in later.err
    assert (later.document["whole"], later.document["newest"], later.document["unmet"]) == (False, 3, [checkpoint])


def test_what_is_no_checkpoint_is_refused(embedded: CommandLine) -> None:
    """With the form that it has."""
    embedded.init()

    for mistake in ("3", "x:y", "0:" + 64 * "0", "3:abcd"):
        assert "ID:CHAIN" in embedded("audit", "verify", "--expect", mistake, code=2).err


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
