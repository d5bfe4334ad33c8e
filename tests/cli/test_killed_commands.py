"""`kill -9` at any moment of `latchpin key create`: a key that works, or no key at all."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import time
from collections.abc import Callable

import httpx
import pytest

from tests.cli.conftest import EMAIL, CommandLine, header

TRIES = 16


@pytest.mark.slow
def test_a_killed_key_create_leaves_a_key_that_works_or_none(latchpin: CommandLine, running: Callable[..., httpx.Client]) -> None:
    """After many kills every printed key works, every kept key is whole and audited, and the trail is whole."""
    latchpin.init()
    server = running(latchpin)
    took = _seconds_of_one(latchpin)
    printed = [key for _ in range(TRIES) if (key := _killed_after(latchpin, random.uniform(0.3, 1.1) * took))]

    refused = [key["id"] for key in printed if server.get("/api/v1/agent/all", headers=header(key["key"])).status_code != 200]
    assert refused == []
    keys_by_id = {row["id"]: row for row in latchpin("key", "list", "--user", EMAIL, "--json").document}
    assert {key["id"] for key in printed} <= keys_by_id.keys()
    assert {row["status"] for row in keys_by_id.values()} == {"active"}
    events = [json.loads(line) for line in latchpin("audit", "tail", "-n", "1000", "--json").out.splitlines()]
    assert sorted(event["target"]["id"] for event in events if event["action"] == "api_key.created") == sorted(keys_by_id)
    assert latchpin("audit", "verify", "--json").document["whole"] is True


def _seconds_of_one(latchpin: CommandLine) -> float:
    began = time.monotonic()
    latchpin.process("key", "create", "--user", EMAIL)
    return time.monotonic() - began


def _killed_after(latchpin: CommandLine, seconds: float) -> dict[str, str] | None:
    """Kill one `key create` after a while; returns what it had printed, if that was all of it."""
    process = latchpin.start("key", "create", "--user", EMAIL, "--json")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.kill()
    out, _ = process.communicate(timeout=30)
    with contextlib.suppress(json.JSONDecodeError):
        key: dict[str, str] = json.loads(out)
        return key
    return None
