"""`latchpin backup` makes what a deployment can be restored from, for its owner's eyes alone."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import EMAIL, CommandLine, command_line
from tests.conftest import missing
from tests.support.databases import Templates


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """Files are readable by everybody unless somebody takes care."""
    was = os.umask(0)
    yield
    os.umask(was)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _requires_pg_tools(kind: str) -> None:
    if kind == "postgresql" and not (shutil.which("pg_dump") and shutil.which("pg_restore")):
        missing("backup of PostgreSQL", "pg_dump and pg_restore are not on this machine; they are in postgresql-client")


@pytest.mark.both_databases("SQLite copies its own file, PostgreSQL is copied by pg_dump")
def test_a_restored_backup_is_the_deployment_of_that_moment(kind: str, latchpin: CommandLine, templates: Templates, tmp_path: Path) -> None:
    """Database and secrets fit together, the trail is whole, and what came after the backup is not in it."""
    _requires_pg_tools(kind)
    latchpin.init()
    before = latchpin.key()
    file = tmp_path / "backup"

    latchpin("backup", str(file))

    after = latchpin.key()
    with templates.empty(kind, tmp_path / "restored") as url:
        restored = command_line(tmp_path / "restored", url)
        shutil.copy(tmp_path / "backup.secrets.json", restored.data_dir / "secrets.json")
        if kind == "sqlite":
            shutil.copy(file, restored.data_dir / "latchpin.db")
        else:
            target = url.replace("postgresql+asyncpg://", "postgresql://")
            subprocess.run(["pg_restore", "--no-owner", f"--dbname={target}", str(file)], check=True)
        keys = restored("key", "list", "--user", EMAIL, "--json").document
        restored("audit", "verify")

    assert [key["id"] for key in keys] == [before["id"]]
    assert after["id"] != before["id"]


@pytest.mark.both_databases("SQLite copies its own file, PostgreSQL is copied by pg_dump")
def test_both_files_are_for_their_owner_alone(kind: str, latchpin: CommandLine, tmp_path: Path) -> None:
    """Mode 0600 whatever the umask is, and nothing else is left beside them."""
    _requires_pg_tools(kind)
    latchpin.init()
    place = tmp_path / "backups"
    place.mkdir()

    latchpin("backup", str(place / "backup"))

    assert {path.name: _mode(path) for path in place.iterdir()} == {"backup": 0o600, "backup.secrets.json": 0o600}


def test_the_secrets_can_be_left_out(embedded: CommandLine, tmp_path: Path) -> None:
    """For a copy each night, which lies where it can be read by more people than the secrets."""
    embedded.init()

    embedded("backup", "--without-secrets", str(tmp_path / "nightly"))

    assert (tmp_path / "nightly").exists()
    assert not (tmp_path / "nightly.secrets.json").exists()


@pytest.mark.parametrize("taken", ["backup", "backup.secrets.json"])
def test_a_backup_is_never_overwritten(embedded: CommandLine, tmp_path: Path, taken: str) -> None:
    """One line and exit code 3; the file that was there is as it was, and no other was made."""
    embedded.init()
    place = tmp_path / "backups"
    place.mkdir()
    (place / taken).write_text("the last one")

    refused = embedded("backup", str(place / "backup"), code=3)

    assert "is there already" in refused.err
    assert [path.name for path in place.iterdir()] == [taken]
    assert (place / taken).read_text() == "the last one"


def test_where_there_is_no_deployment_none_is_made(embedded: CommandLine, tmp_path: Path) -> None:
    """Neither a deployment nor a backup of nothing."""
    refused = embedded("backup", str(tmp_path / "backup"), code=3)

    assert "There is no deployment" in refused.err
    assert not (tmp_path / "backup").exists()
    assert not embedded.data_dir.exists()


def test_a_backup_that_fails_leaves_no_file(embedded: CommandLine, tmp_path: Path) -> None:
    """A file under the backup's name is a whole one."""
    embedded.init()
    (embedded.data_dir / "latchpin.db").write_bytes(b"not a database at all" * 1000)
    place = tmp_path / "backups"
    place.mkdir()

    refused = embedded("backup", str(place / "backup"), code=3)

    assert "cannot be copied" in refused.err
    assert list(place.iterdir()) == []


def test_a_password_of_the_database_is_on_no_command_line(embedded: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump gets it in its environment; everybody on a machine can read command lines. What it says is passed on."""
    embedded.init()
    programs = tmp_path / "bin"
    programs.mkdir()
    stand_in = programs / "pg_dump"
    stand_in.write_text('#!/bin/sh\necho "arguments: $@ password: $PGPASSWORD host: $PGHOST" >&2\nexit 1\n')
    stand_in.chmod(0o755)
    of = CommandLine(
        embedded.environ | {"PATH": str(programs), "LATCHPIN_DATABASE_URL": "postgresql://latchpin:horse%2Fstaple@db.example/latchpin"}
    )

    refused = of("backup", str(tmp_path / "backup"), code=3)
    stand_in.unlink()
    without = of("backup", str(tmp_path / "backup"), code=3)

    assert "arguments: --format=custom --no-password password: horse/staple host: db.example" in refused.err
    assert "pg_dump is not on this machine" in without.err
    assert "horse" not in without.err
