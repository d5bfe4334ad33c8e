"""What begins a deployment and what does not: secrets and a database that belong together, or a plain refusal."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import asyncpg

from tests.cli.conftest import EMAIL, CommandLine


def _files(latchpin: CommandLine) -> set[str]:
    return {path.name for path in latchpin.data_dir.iterdir()} if latchpin.data_dir.exists() else set()


def _secrets(latchpin: CommandLine) -> Path:
    return latchpin.data_dir / "secrets.json"


def _rewrite(latchpin: CommandLine, **changes: Any) -> None:
    path = _secrets(latchpin)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_command_that_looks_at_a_deployment_makes_none(embedded: CommandLine) -> None:
    """A wrong directory is told, and nothing is left there."""
    for command in (("user", "list"), ("audit", "tail"), ("db", "current")):
        ran = embedded(*command, code=3)
        assert "There is no deployment" in ran.err, command
        assert "latchpin init" in ran.err
        assert _files(embedded) == set(), command


def test_an_empty_database_beside_secrets_is_refused_unless_that_is_said(embedded: CommandLine) -> None:
    """A lost database is told instead of a new deployment being offered to whoever finds the set-up link first."""
    embedded.init()
    (embedded.data_dir / "latchpin.db").unlink()

    for command in (("serve", "--port", "1"), ("db", "upgrade"), ("user", "list")):
        ran = embedded(*command, code=3)
        assert "the database is empty" in ran.err, command
        assert "latchpin db upgrade --new-deployment" in ran.err
        assert "setup" not in ran.out
        assert "latchpin.db" not in _files(embedded), command

    before = _secrets(embedded).read_text()
    embedded("db", "upgrade", "--new-deployment")
    embedded.init()
    assert _secrets(embedded).read_text() == before


def test_an_emptied_database_beside_secrets_is_refused(latchpin: CommandLine) -> None:
    """On both databases: on SQLite the file may be there and hold nothing, on PostgreSQL the database."""
    latchpin.init()
    url = latchpin.environ.get("LATCHPIN_DATABASE_URL")
    if url:
        asyncio.run(_emptied(url))
    else:
        (latchpin.data_dir / "latchpin.db").write_bytes(b"")
        for side in ("-wal", "-shm"):
            (latchpin.data_dir / f"latchpin.db{side}").unlink(missing_ok=True)

    for command in (("serve", "--port", "1"), ("user", "list")):
        assert "the database is empty" in latchpin(*command, code=3).err, command


async def _emptied(url: str) -> None:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()


def test_missing_secrets_are_refused_and_not_made_anew(latchpin: CommandLine) -> None:
    """By every command, on both databases."""
    latchpin.init()
    _secrets(latchpin).unlink()

    init = ("init", "--organization", "A", "--name", "B", "--email", EMAIL)
    for command in (("user", "list"), ("serve", "--port", "1"), ("db", "upgrade"), init):
        assert "is missing" in latchpin(*command, code=3).err, command
        assert not any(name.startswith("secrets.json") for name in _files(latchpin)), command


def test_secrets_that_lack_a_pepper_in_use_are_refused(latchpin: CommandLine) -> None:
    """Keys under it would get 401 one by one, and nobody would know why."""
    latchpin.init()
    key = latchpin.key()
    before = json.loads(_secrets(latchpin).read_text())["peppers"]
    latchpin("secrets", "rotate-pepper")
    after = json.loads(_secrets(latchpin).read_text())["peppers"]
    other = base64.b64encode(b"x" * 32).decode()

    _rewrite(latchpin, peppers={"2": after["2"]})
    assert "pepper 1 is missing" in latchpin("user", "list", code=3).err
    _rewrite(latchpin, peppers={"1": other, "2": after["2"]})
    refused = latchpin("serve", "--port", "1", code=3)
    assert "pepper 1 is another one" in refused.err
    assert other not in refused.err

    _rewrite(latchpin, peppers=before | after)
    latchpin("key", "revoke", str(key["id"]))
    _rewrite(latchpin, peppers={"2": after["2"]})
    latchpin("user", "list")
