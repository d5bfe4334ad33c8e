"""Structured logs tell no secrets."""

from __future__ import annotations

import io
import json
from pathlib import Path

import structlog

from latchpin import settings
from latchpin.identity import credentials
from latchpin.kit import logs


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
