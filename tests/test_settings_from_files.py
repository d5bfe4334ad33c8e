"""Secret settings that lie in files of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from latchpin import settings
from latchpin.settings import variable
from tests.test_settings import config, problems

SECRET = {
    "database_url": "postgresql+asyncpg://latchpin:a-pass-word@db.example/latchpin",
    "redis_url": "redis://:a-pass-word@redis.example:6379/0",
    "registration_token": "t" * 40,
}


def test_every_secret_setting_can_come_from_a_file(tmp_path: Path) -> None:
    """By its variable with _FILE, without the line break that editors and platforms put at the end."""
    environ = {}
    for name in settings.secret_names():
        file = tmp_path / name
        file.write_text(SECRET[name] + "\n", encoding="utf-8")
        environ[variable(name) + "_FILE"] = str(file)

    chosen = settings.load(environ)

    assert {name: getattr(chosen, name) for name in settings.secret_names()} == SECRET


def test_the_file_of_a_secret_can_stand_in_the_settings_file_and_the_environment_wins(tmp_path: Path) -> None:
    """As for any setting; a path is no secret."""
    (tmp_path / "redis").write_text(SECRET["redis_url"])
    environ = config(tmp_path, f'redis_url_file = "{tmp_path}/redis"\n')

    assert settings.load(environ).redis_url == SECRET["redis_url"]
    assert settings.load(environ | {"LATCHPIN_REDIS_URL": "redis://other:6379/0"}).redis_url == "redis://other:6379/0"


@pytest.mark.parametrize("name", sorted(SECRET))
def test_a_secret_and_its_file_together_are_refused(tmp_path: Path, name: str) -> None:
    """One clear line that names both, in either order, and shows neither."""
    (tmp_path / "secret").write_text(SECRET[name])
    pair = [(variable(name), SECRET[name]), (variable(name) + "_FILE", str(tmp_path / "secret"))]

    for ordered in (pair, pair[::-1]):
        [line] = problems(dict(ordered))
        assert {variable(name), variable(name) + "_FILE"} <= set(re.findall(r"LATCHPIN_\w+", line))
        assert "keep one of them" in line
        assert SECRET[name] not in line


def test_a_secrets_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """Missing, empty, no text, or holding what cannot be an address; the line shows nothing of what it holds."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "wrong").write_text("mysql://ada:s3cret-word@host/db")
    for name, words in (("missing", "cannot be read"), ("empty", "is empty"), ("binary", "not text"), ("wrong", "must start with")):
        [line] = problems({"LATCHPIN_DATABASE_URL_FILE": str(tmp_path / name)})
        assert line.startswith("LATCHPIN_DATABASE_URL_FILE: ")
        assert words in line
        assert "s3cret" not in line


def test_only_secrets_have_files() -> None:
    """Any other name is a mistake."""
    [line] = problems({"LATCHPIN_PORT_FILE": "/run/port"})

    assert line == "LATCHPIN_PORT_FILE: no such setting; `latchpin settings` lists them"
