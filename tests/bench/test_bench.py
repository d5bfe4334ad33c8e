"""`make bench` works, part by part. Nothing here is timed: a machine that runs tests tells nothing about speed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from bench import changes, credentials, machine, rounds, rows, table
from bench.data import Deployment, deployment_of
from bench.http import Request
from bench.load import LoadError, Round
from bench.measures import Sizes
from bench.rounds import Results

TINY = Sizes(rounds=1, seconds=0.2, rotation=8, many=40, grants=3, unseen=20)
BURN = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ntime.sleep(60)"


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_what_is_written_in_bulk_fits_the_tables_of_both_databases(tmp_path: Path, database: str) -> None:
    """Nobody reads these rows here; a column that was added or renamed shows all the same."""

    async def write(made: Deployment) -> None:
        async with credentials.seeding(made) as seed:
            app, owners = await seed.app(), await seed.users(2)
            keys = await seed.keys(owners, 3)
            sids = await seed.grants(app, 2)
            families = await seed.families(app, 2)
            headers = await seed.signed_in()
        changes.write(tmp_path / "others", credentials.others(made, app, headers, keys[:2], ["token", "token"]))
        assert (len({key.id for key in keys}), len(set(sids)), len(set(families))) == (3, 2, 2)

    with deployment_of(database, tmp_path) as made:
        asyncio.run(write(made))

    plan = changes.Plan(made.url, str(tmp_path / "others"), position=1)
    assert [one["credential"] for one in changes.read(plan)][::2] == ["Bearer token", "Bearer token"]


@pytest.mark.parametrize(("accepts", "late"), [("after", 1), ("before", 0)])
async def test_a_right_that_is_accepted_after_its_revocation_was_answered_is_late(tmp_path: Path, accepts: str, late: int) -> None:
    """The load's server is asked before and after the change."""
    is_revoked = False

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal is_revoked
        while head := await reader.readuntil(b"\r\n\r\n"):
            is_revoked = is_revoked or head.startswith(b"POST /revoke")
            status = 401 if is_revoked and accepts == "before" and head.startswith(b"GET /guarded") else 200
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    changes.write(tmp_path / "others", iter([("ApiKey one", Request(f"{url}/revoke", form={}))]))
    plan = changes.Plan(f"{url}/guarded", str(tmp_path / "others"))

    done = await changes.make(plan, changes.read(plan), 1 / changes.PER_SECOND)
    server.close()

    assert (done.changes, done.tried, done.late) == (1, 1, late)


def test_processor_time_is_that_of_a_process_and_of_its_children() -> None:
    """As the operating system counts it; a server is a supervisor with its server processes."""
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        seconds = machine.processor_seconds(process.pid)
        subprocess.run(["pkill", "-P", str(process.pid)], check=True)

    assert seconds >= 0.29


def test_a_ratio_is_taken_round_by_round_and_its_median_is_held_against_the_goal() -> None:
    """A round in which the machine was busy makes both figures of its pair worse, and says nothing about their ratio."""
    by_id = {row.id: row for row in rows.ALL}
    measured = {
        "sqlite:open": [Round(10_000, 80, 3, 5), Round(100, 160, 300, 500), Round(10_000, 80, 3, 5)],
        "sqlite:key": [Round(8_000, 100, 3, 5), Round(80, 200, 300, 500), Round(9_000, 84, 3, 5)],
        "sqlite:token": [Round(9_500, 84, 3, 5), Round(95, 168, 300, 500), Round(9_600, 84, 3, 5)],
    }

    lines = list(table.lines([by_id[id_] for id_ in measured], Results(measured, {}), {}, Sizes()))

    key, token = (next(line for line in lines if f"| {title} " in line) for title in ("one warm key", "one warm access token"))
    assert "| 8,000 (80-9,000) " in key
    assert "| 0.80 (0.80-0.90) " in key
    assert "| 0.80 (0.80-0.95) " in key
    assert "0.90 by processor time | missed" in key
    assert "0.90 by processor time | met" in token


def test_a_row_that_fails_is_named_with_the_reason_and_the_others_go_on() -> None:
    """A peer that falls over does not take the table with it."""

    def refused(_seconds: float) -> Round:
        message = "refused under load: 503"
        raise LoadError(message)

    def good(_seconds: float) -> Round:
        return Round(1, 1, 1, 1)

    results = rounds.alternate({"sqlite:key": refused, "sqlite:open": good}, rounds=2, seconds=0.1, say=lambda _text: None)

    assert results.failed == {"sqlite:key": "refused under load: 503"}
    assert list(results.rounds) == ["sqlite:open"]
    assert "not run: sqlite:key: refused under load: 503" in table.lines(list(rows.ALL), results, {}, TINY)


def test_a_row_is_chosen_with_what_it_is_compared_with() -> None:
    """`--rows` takes ids and patterns, with or without the place."""
    assert [row.id for row in rows.choose(["sqlite:token"])] == ["sqlite:open", "sqlite:token"]
    assert {row.place for row in rows.choose(["refresh"])} == {"sqlite", "postgresql", "oidc-provider", "django-oauth-toolkit"}
    with pytest.raises(rows.UnknownRow):
        rows.choose(["sqlite:nothing"])
