"""`latchpin demo`: what it prints can be pasted, and a second start finds what is there."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine, command_line
from tests.support.ports import free_port


@contextmanager
def demo(latchpin: CommandLine, place: Path, port: int) -> Iterator[str]:
    """Serve the demo; yields what it printed, when it answers."""
    process = latchpin.start("demo", "--data-dir", str(place), "--port", str(port))
    try:
        assert process.stdout is not None
        lines = []
        while "Ctrl-C" not in (line := process.stdout.readline()):
            assert line, process.communicate()
            lines.append(line)
        url = f"http://127.0.0.1:{port}/health/ready"
        subprocess.run(
            ["curl", "-sf", "--noproxy", "*", "--retry", "30", "--retry-connrefused", "--retry-delay", "1", url],
            check=True,
            capture_output=True,
        )
        yield "".join(lines)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo that was made once, of which tests take a copy: its nine weeks take seconds."""
    place = tmp_path_factory.mktemp("demo") / "demo"
    command_line(place)("demo", "--data-dir", str(place), "--no-serve", "--port", "8123")
    return place


@pytest.fixture
def place(lived: Path, tmp_path: Path) -> Path:
    """A copy of the demo."""
    copy: Path = shutil.copytree(lived, tmp_path / "demo")
    return copy


def paste(text: str, first: str, lines: int) -> str:
    """Run the lines that begin with `first` in a shell, as they are, and return what they print."""
    start = text.index(f"  {first}")
    script = "\n".join(text[start:].splitlines()[:lines])
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin", "NO_PROXY": "*"}
    ).stdout


def test_both_lines_can_be_pasted(embedded: CommandLine, place: Path) -> None:
    """The line with the key and the two with a Bearer token print agents; the token's are those of its Space alone."""
    with demo(embedded, place, free_port()) as printed:
        with_key = json.loads(paste(printed, "curl -s -H", 1))
        with_token = json.loads(paste(printed, "TOKEN=", 3))

    names = {agent["name"] for agent in with_token}
    assert len(names) >= 4
    assert names < {agent["name"] for agent in with_key}


def rows(place: Path, query: str) -> list[tuple[str, ...]]:
    """Read the demo's database, past all of our own code."""
    with closing(sqlite3.connect(f"file:{place / 'latchpin.db'}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


def moment(text: str) -> datetime:
    """Read a moment as SQLite keeps it."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_demo_has_a_past(embedded: CommandLine, lived: Path, tmp_path: Path) -> None:
    """Nine weeks in the order of time, up to half an hour ago; keys were used, one is soon over, one was lost; and the trail is whole.

    Every demo tells the same: an action, who did it to what, and how many days ago.
    """
    stories, now, place = [], datetime.now(UTC), lived
    for place in (lived, tmp_path / "another"):
        embedded("demo", "--data-dir", str(place), "--no-serve")  # finds the first one there
        now = datetime.now(UTC)
        trail = rows(place, "SELECT at, action, actor_name, target_kind, count FROM audit_events ORDER BY id")
        moments = [moment(at) for at, *_ in trail]
        assert moments == sorted(moments)
        assert timedelta(days=60) < now - moments[0] < timedelta(days=64)
        assert timedelta(minutes=20) < now - moments[-1] < timedelta(hours=1)
        assert len({at.date() for at in moments}) > 40
        stories.append([((now.date() - at.date()).days, *what) for at, (_, *what) in zip(moments, trail, strict=True)])
        assert "whole" in embedded("audit", "verify", "--data-dir", str(place)).out

    assert stories[0] == stories[1]
    keys = {row[0]: row[1:] for row in rows(place, "SELECT description, created_at, last_used_at, expires_at, revoked_at FROM api_keys")}
    assert len({created for created, *_ in keys.values()}) == len(keys)
    assert now - moment(keys["Demo script"][1]) < timedelta(hours=1)
    assert now - moment(keys["Weekly report"][1]) < timedelta(days=7)
    assert timedelta(days=11) < moment(keys["Weekly report"][2]) - now < timedelta(days=13)
    assert keys["Old laptop"][1] < keys["Old laptop"][3]
    assert moment(keys["Trial import"][2]) < now
    people = rows(place, "SELECT created_at, last_sign_in_at FROM users")
    assert len({created[:10] for created, _ in people}) >= 4
    assert sum(signed_in is not None for _, signed_in in people) == 4
    assert len({created[:10] for (created,) in rows(place, "SELECT created_at FROM agents")}) == 12


def test_a_second_start_finds_what_is_there(embedded: CommandLine, place: Path) -> None:
    """Nothing is made twice, and the facts stay the same but for the address; only their owner reads them."""
    first = json.loads((place / "demo.json").read_text())
    events = rows(place, "SELECT count(*) FROM audit_events")
    embedded("demo", "--data-dir", str(place), "--no-serve", "--port", "8124")
    second = json.loads((place / "demo.json").read_text())

    assert first.keys() >= {"api_key", "client_id", "client_secret"}
    assert first | {"url": ""} == second | {"url": ""}
    assert rows(place, "SELECT count(*) FROM audit_events") == events
    assert stat.S_IMODE((place / "demo.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("lost", ["client_id", "client_secret"])
def test_a_demo_of_before_gets_what_it_lacks(lost: str, embedded: CommandLine, place: Path) -> None:
    """Where the app or its secret is not known any more, the next start makes another."""
    facts = json.loads((place / "demo.json").read_text())
    (place / "demo.json").write_text(json.dumps({name: value for name, value in facts.items() if name != lost}))

    embedded("demo", "--data-dir", str(place), "--no-serve")

    again = json.loads((place / "demo.json").read_text())
    assert again["client_secret"] != facts["client_secret"]
    assert again["api_key"] == facts["api_key"]
