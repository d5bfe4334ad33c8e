"""`latchpin secrets rotate-pepper`: a new pepper without issuing keys again."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable

import httpx

from tests.cli.conftest import CommandLine, header


def test_keys_of_before_and_after_a_rotation_work(latchpin: CommandLine, running: Callable[..., httpx.Client]) -> None:
    """A server started after the rotation accepts a key made under each pepper."""
    latchpin.init()
    old = latchpin.key()

    latchpin("secrets", "rotate-pepper")

    new = latchpin.key()
    server = running(latchpin)
    assert [server.get("/api/v1/agent/all", headers=header(key["key"])).status_code for key in (old, new)] == [200, 200]


def test_a_rotation_is_audited_and_keeps_the_file_to_its_owner(embedded: CommandLine) -> None:
    """The event tells the versions, the file keeps mode 0600 and both peppers, and nothing of it is printed."""
    embedded.init()
    file = embedded.data_dir / "secrets.json"
    before = json.loads(file.read_text())

    ran = embedded("secrets", "rotate-pepper")

    after = json.loads(file.read_text())
    event = json.loads(embedded("audit", "tail", "-n", "1", "--json").out)
    assert (event["action"], event["changes"]) == ("deployment.pepper_rotated", {"pepper_version": [1, 2]})
    assert (after["current_pepper"], after["peppers"]["1"], after["master"]) == (2, before["peppers"]["1"], before["master"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert after["peppers"]["2"] not in ran.out + ran.err
    assert not (embedded.data_dir / "secrets.json.new").exists()
