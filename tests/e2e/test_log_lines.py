"""What `latchpin serve` writes to standard error: one JSON line for each thing, whoever says it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from latchpin import settings
from tests.support import databases
from tests.support.load import ROOT
from tests.support.ports import free_port
from tests.support.processes import Serving, environment
from tests.support.wire import until


class Logged:
    """A running server and the lines of its standard error."""

    def __init__(self, server: Serving) -> None:
        self.served = server

    @property
    def lines(self) -> list[dict[str, Any]]:
        """All lines so far; one that is no JSON fails the test."""
        return [json.loads(line) for line in self.served.output.read_text(encoding="utf-8").splitlines()]

    def events(self) -> list[str]:
        """What happened so far."""
        return [line["event"] for line in self.lines]


@contextmanager
def _logging(templates: databases.Templates, data_dir: Path, **values: Any) -> Iterator[Logged]:
    """Run a server of its own for the length of the block, with its standard error in a file."""
    with templates.fresh("sqlite", data_dir):
        env = environment(data_dir, port=free_port(), worker="off", **values)
        chosen = settings.load({name: text for name, text in env.items() if name.startswith("LATCHPIN_")})
        output = data_dir / "stderr.log"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "latchpin", "serve"], env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=file
            )
        logged = Logged(Serving(process, chosen, output))
        try:
            logged.served.wait_for("/health/ready", 200)
            yield logged
        finally:
            logged.served.stop()


def test_every_line_is_json_with_a_time_and_a_level(templates: databases.Templates, tmp_path: Path) -> None:
    """At start and stop, for each request, and when a process dies."""
    with _logging(templates, tmp_path) as logged:
        (process,) = logged.served.workers()
        os.kill(process, signal.SIGKILL)
        until(lambda: logged.events().count("server_process.started") == 2, seconds=60)
        logged.served.wait_for("/health/live", 200)
    lines = logged.lines

    assert all({"at", "level", "event"} <= set(line) for line in lines)
    assert all(line["at"].startswith("20") and line["at"].endswith("Z") for line in lines)
    assert {line["level"] for line in lines if line["event"] == "request"} >= {"info"}
    assert [line["cause"] for line in lines if line["event"] == "process.ended"] == ["SIGKILL"]
    events = [line["event"] for line in lines if line["event"] != "request"]
    assert events[0] == "server.starting"
    assert events[-2:] == ["server_process.stopped", "server.stopped"]


def test_with_level_warning_the_access_log_stays(templates: databases.Templates, tmp_path: Path) -> None:
    """Nothing else is left of a day without trouble."""
    with _logging(templates, tmp_path, log_level="warning") as logged:
        logged.served.status("/health/live")

    assert "/health/live" in [line["path"] for line in logged.lines]
    assert set(logged.events()) == {"request"}


@pytest.mark.parametrize(
    ("mishap", "words"), [("moved", "cannot be read"), ("damaged", "is damaged"), ("misspelt", "prot in latchpin.toml: no such setting")]
)
def test_a_process_that_cannot_start_says_why_in_one_line(templates: databases.Templates, tmp_path: Path, mishap: str, words: str) -> None:
    """The secrets went away under a running server, or its settings file was spoiled, and a process died: a line, no bare traceback."""
    with _logging(templates, tmp_path) as logged:
        secrets = logged.served.settings.secrets_file
        backup = secrets.rename(secrets.with_name("kept.json"))
        if mishap == "damaged":
            secrets.touch(0o600)
        if mishap == "misspelt":
            (tmp_path / "latchpin.toml").write_text("prot = 9000\n")
        (process,) = logged.served.workers()
        os.kill(process, signal.SIGKILL)
        until(lambda: "server_process.failed" in logged.events(), seconds=60)
        backup.replace(secrets)

    failures = [line for line in logged.lines if line["event"] == "server_process.failed"]
    assert all(line["level"] == "critical" and words in line["detail"] for line in failures)
