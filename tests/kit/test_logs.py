"""Structured logs tell no secrets."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
import structlog

from latchpin import secret_forms, settings
from latchpin.identity import credentials
from latchpin.kit import logs
from latchpin.kit.log_stream import LogStream


def test_values_under_telling_names_are_struck_out(tmp_path: Path) -> None:
    """Whoever logs a password, token or cookie by its name logs nothing of it (security.md 101)."""
    stream = io.StringIO()
    logs.configure(settings.load({}, data_dir=tmp_path), stream)
    secret = "a very secret text"

    structlog.get_logger("test").info("told", password=secret, api_key=secret, Authorization=secret, session_token=secret, cookie=secret)

    line = json.loads(stream.getvalue())
    assert secret not in stream.getvalue()
    assert line["password"] == "[struck out]"


def test_a_key_in_any_value_is_struck_out(tmp_path: Path) -> None:
    """A key inside another text, and inside a failure's stack, does not reach the log (security.md 101)."""
    stream = io.StringIO()
    logs.configure(settings.load({}, data_dir=tmp_path), stream)
    key = credentials.new_api_key()
    log = structlog.get_logger("test")

    log.warning("told", detail=f"refused {key} from a caller")
    log.error("failed", exc_info=ValueError(key))

    assert key not in stream.getvalue()
    assert "sk-lp_[struck out]" in stream.getvalue()


def test_lines_below_the_level_are_not_written(tmp_path: Path) -> None:
    """LATCHPIN_LOG_LEVEL decides what is written."""
    stream = io.StringIO()
    logs.configure(settings.load({}, data_dir=tmp_path, log_level="error"), stream)

    structlog.get_logger("test").warning("quiet")
    structlog.get_logger("test").error("loud")

    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_what_libraries_log_has_the_same_form(tmp_path: Path) -> None:
    """Time, level, the logger's name and its traceback in one JSON line, without secrets."""
    stream = io.StringIO()
    logs.configure(settings.load({}, data_dir=tmp_path), stream)
    key = credentials.new_api_key()
    try:
        int(key)
    except ValueError:
        logging.getLogger("somebody.else").exception("it broke %s", key)

    (line,) = (json.loads(each) for each in stream.getvalue().splitlines())
    assert key not in stream.getvalue()
    assert (line["level"], line["logger"], line["event"]) == ("error", "somebody.else", "it broke sk-lp_[struck out]")
    assert datetime.fromisoformat(line["at"]).tzinfo is not None
    assert "Traceback" in line["exception"]


def test_every_secret_form_is_struck_out_of_a_text(tmp_path: Path) -> None:
    """Keys, client secrets, refresh, registration and device codes, and signed tokens."""
    stream = io.StringIO()
    logs.configure(settings.load({}, data_dir=tmp_path), stream)
    secret = [form.prefix + "a" * form.length for form in secret_forms.ALL] + ["eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"]

    for each in secret:
        logging.getLogger("somebody.else").error("about %s, that is", each)

    assert stream.getvalue().count("[struck out], that is") == len(secret)
    assert not [each for each in secret if each in stream.getvalue()]


@pytest.mark.parametrize(
    ("code", "event"),
    [
        ("raise ValueError('the text')", "process.failed"),
        ("threading.Thread(target=lambda: int('the text')).start()", "process.failed"),
        ("warnings.warn('the text')", "the text"),
        ("asyncio.run(unwatched())", "Task exception was never retrieved"),
        ("type('Bad', (), {'__del__': lambda self: int('the text')})()", "process.unraisable"),
    ],
    ids=["main thread", "other thread", "warning", "task", "finalizer"],
)
def test_what_nobody_caught_is_a_line_like_all_others(tmp_path: Path, code: str, event: str) -> None:
    """Python would print a traceback of many lines without a time."""
    before = (
        "import asyncio, gc, pathlib, threading, warnings\n"
        "from latchpin import settings\nfrom latchpin.kit import logs\n"
        "logs.configure(settings.load({}, data_dir=pathlib.Path('.')))\nlogs.capture_uncaught()\n"
        "async def fail(): raise ValueError('the text')\n"
        "async def unwatched():\n    asyncio.ensure_future(fail())\n    for _ in range(2): await asyncio.sleep(0)\n    gc.collect()\n"
    )
    ran = subprocess.run([sys.executable, "-W", "default", "-c", before + code], cwd=tmp_path, capture_output=True, text=True, check=False)

    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert lines
    assert all({"at", "level", "event"} <= set(line) for line in lines)
    assert any(event in line["event"] for line in lines), lines
    assert "the text" in ran.stderr


def test_what_is_written_for_a_console_does_not_steer_it(tmp_path: Path) -> None:
    """A path that somebody asked for stays text; JSON writes control characters as escapes anyway."""
    stream = io.StringIO()
    logs.configure(settings.load({}, data_dir=tmp_path, log_format="console"), stream)

    structlog.get_logger("test").warning("told", path="/\x1b]0;owned\x07\x9b31m")

    assert "\x1b]" not in stream.getvalue()
    assert "\x9b" not in stream.getvalue()
    assert "owned" in stream.getvalue()


def test_a_stream_that_cannot_be_written_costs_lines_and_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log file on a full disk: the caller goes on, and how many lines were lost is told when there is room again."""
    written = io.StringIO()
    logs.configure(settings.load({}, data_dir=tmp_path), written)
    stream = LogStream()
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr("sys.stderr", io.TextIOWrapper(full, write_through=True))
        stream.write("one\ntwo\n")
    monkeypatch.setattr("sys.stderr", written)
    stream.write("three\n")

    first, last = written.getvalue().splitlines()
    assert first == "three"
    assert (json.loads(last)["event"], json.loads(last)["count"]) == ("log.lines_lost", 2)
