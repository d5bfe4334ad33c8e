"""`latchpin keys`, beside a server that is running."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx

from tests.cli.conftest import CommandLine
from tests.support.plain_http import PLAIN

Running = Callable[..., httpx.Client]


def kids(server: httpx.Client) -> list[str]:
    """Return the names of the keys that a server publishes."""
    return [each["kid"] for each in server.get("/api/oauth/certs").json()["keys"]]


def test_the_first_key_is_there_when_the_server_answers(latchpin: CommandLine, running: Running) -> None:
    """A server makes its key itself; `keys list` shows it, and nothing of its private half."""
    latchpin.init()
    server = running(latchpin)
    (kid,) = kids(server)

    ran = latchpin("keys", "list", "--json")

    (row,) = ran.document
    assert (row["kid"], row["algorithm"], row["state"], row["signsUntil"]) == (kid, "RS256", "signs", None)
    assert row.keys() == {"kid", "algorithm", "state", "created", "signsFrom", "signsUntil", "leaves"}
    assert kid in latchpin("keys", "list").out


def test_the_next_key_is_published_at_once_and_signs_later(latchpin: CommandLine, running: Running) -> None:
    """`keys rotate` reaches every process of a running server; the present key signs on until others know the next."""
    latchpin.init()
    server = running(latchpin, workers=2)
    (old,) = kids(server)

    next_key = latchpin("keys", "rotate", "--json").document

    assert next_key["state"] == "next"
    wait = datetime.fromisoformat(next_key["signsFrom"]) - datetime.now(UTC)
    assert timedelta(minutes=15) < wait <= timedelta(minutes=20)
    for _ in range(10):
        with httpx.Client(base_url=server.base_url, trust_env=False, verify=PLAIN) as fresh:  # either process may take it
            assert kids(fresh) == [old, next_key["kid"]]
    states = {row["kid"]: row["state"] for row in latchpin("keys", "list", "--json").document}
    assert states == {old: "signs", next_key["kid"]: "next"}
    assert "published" in latchpin("keys", "rotate").out


def test_an_exposed_key_is_taken_down_at_once(latchpin: CommandLine, running: Running) -> None:
    """With `--now` no process publishes the old key any more when the command has ended."""
    latchpin.init()
    server = running(latchpin, workers=2)
    (old,) = kids(server)

    ran = latchpin("keys", "rotate", "--now")

    (row,) = latchpin("keys", "list", "--json").document
    assert row["kid"] != old
    assert row["kid"] in ran.out
    assert row["state"] == "signs"
    for _ in range(10):
        with httpx.Client(base_url=server.base_url, trust_env=False, verify=PLAIN) as fresh:
            assert kids(fresh) == [row["kid"]]


def test_a_rotation_is_audited(latchpin: CommandLine, running: Running) -> None:
    """The trail names the new key, whether it was at once, and the command line."""
    latchpin.init()
    server = running(latchpin)
    kids(server)
    latchpin("keys", "rotate", "--now")

    lines = [line for line in latchpin("audit", "tail").out.splitlines() if "deployment.signing_key_rotated" in line]

    assert "at once" in lines[-1]
    assert "Latchpin" in lines[0]


def test_the_two_kinds_of_keys_are_told_apart(embedded: CommandLine) -> None:
    """`keys` says that API keys are elsewhere, and takes none of their commands."""
    assert "`latchpin key`" in embedded("keys", "--help").out
    embedded("keys", "revoke", "1", code=2)
    embedded("key", "rotate", code=2)
