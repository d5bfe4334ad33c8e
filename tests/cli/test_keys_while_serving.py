"""Keys made and revoked on the command line, against a server that is running (`latchpin serve`, two processes)."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx

from tests.cli.conftest import EMAIL, CommandLine, header
from tests.support.plain_http import PLAIN

Running = Callable[..., httpx.Client]


def test_a_key_made_on_the_command_line_works_at_once(latchpin: CommandLine, running: Running) -> None:
    """A running server accepts a key as soon as the command that made it has ended."""
    latchpin.init()
    server = running(latchpin, workers=2)

    key = latchpin.key("--access", "read-only", "--description", "Nightly export")

    statuses = [server.get("/api/v1/agent/all", headers=header(key["key"])).status_code for _ in range(10)]
    assert statuses == [200] * 10


def test_a_key_revoked_on_the_command_line_is_refused_at_once(latchpin: CommandLine, running: Running) -> None:
    """When `key revoke` has ended, no process of the running server accepts the key."""
    latchpin.init()
    server = running(latchpin, workers=2)
    key = latchpin.key()
    for _ in range(10):
        assert server.get("/api/v1/agent/all", headers=header(key["key"])).status_code == 200

    latchpin("key", "revoke", str(key["id"]))

    statuses = [_fresh(server, key["key"]) for _ in range(20)]
    assert statuses == [401] * 20


def test_keys_of_a_user_disabled_on_the_command_line_are_refused_at_once(latchpin: CommandLine, running: Running) -> None:
    """`user disable` kills the user's keys in the running server, and `user enable` does not bring them back."""
    latchpin.init()
    latchpin("user", "add", "--email", "grace@example.com", "--name", "Grace Hopper")
    key = latchpin("key", "create", "--user", "grace@example.com", "--json").document
    server = running(latchpin)
    assert server.get("/api/v1/agent/all", headers=header(key["key"])).status_code == 200

    latchpin("user", "disable", "grace@example.com")
    assert _fresh(server, key["key"]) == 401
    latchpin("user", "enable", "grace@example.com")
    assert _fresh(server, key["key"]) == 401


def test_a_key_does_what_its_access_says(latchpin: CommandLine, running: Running) -> None:
    """`--access billing-only` makes a key that opens no agents."""
    latchpin.init()
    server = running(latchpin)

    key = latchpin.key("--access", "billing-only")

    refused = server.get("/api/v1/agent/all", headers=header(key["key"]))
    assert (refused.status_code, refused.json()["errorCode"]) == (403, "insufficient_scope")


def test_changes_on_the_command_line_are_audited_as_the_command_line(latchpin: CommandLine) -> None:
    """Each change leaves one event whose credential is the command line, and none holds the key or a password."""
    password = latchpin.init().document["password"]
    key = latchpin.key()
    latchpin("key", "revoke", str(key["id"]))

    lines = latchpin("audit", "tail", "--json").out
    events = [json.loads(line) for line in lines.splitlines()]

    assert [event["action"] for event in events] == ["organization.created", "user.created", "api_key.created", "api_key.revoked"]
    assert {event["credential"]["kind"] for event in events} == {"command_line"}
    assert events[-1]["target"]["id"] == key["id"]
    assert key["key"] not in lines
    assert password not in lines


def _fresh(server: httpx.Client, key: str) -> int:
    """Ask over a new connection, which either process may take."""
    return httpx.get(f"{server.base_url}/api/v1/agent/all", headers=header(key), trust_env=False, verify=PLAIN, timeout=20).status_code


def test_listing_shows_live_and_revoked_keys_without_the_keys(latchpin: CommandLine) -> None:
    """`key list` gives status, access and prefix of each key, newest first, and never the key."""
    latchpin.init()
    first, second = latchpin.key("--access", "runs-only"), latchpin.key()
    latchpin("key", "revoke", str(first["id"]))

    ran = latchpin("key", "list", "--user", EMAIL, "--json")

    assert [(row["id"], row["status"], row["access"]) for row in ran.document] == [
        (second["id"], "active", "full"),
        (first["id"], "revoked", "runs-only"),
    ]
    assert first["key"] not in ran.out
    assert ran.document[1]["prefix"] == first["prefix"]


def test_a_key_is_revoked_by_its_first_characters(embedded: CommandLine) -> None:
    """What the list shows is enough; a whole key is not taken, since others on the machine could read it, and is not repeated."""
    embedded.init()
    live_key, revoked_key = embedded.key(), embedded.key()

    whole = embedded("key", "revoke", revoked_key["key"], code=2)
    unknown = embedded("key", "revoke", "sk-lp_0000", code=1)
    done = embedded("key", "revoke", revoked_key["prefix"])

    assert revoked_key["key"] not in whole.err + whole.out
    assert "exactly the first 10 characters" in whole.err
    assert "There is no key sk-lp_0000." in unknown.err
    assert revoked_key["prefix"] in done.out
    status = {each["id"]: each["status"] for each in embedded("key", "list", "--user", EMAIL, "--json").document}
    assert status == {live_key["id"]: "active", revoked_key["id"]: "revoked"}
