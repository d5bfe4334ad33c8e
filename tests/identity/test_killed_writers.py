"""A process that is killed while it revokes a key: before, within and after the commit, at every step of telling the others."""

from __future__ import annotations

import asyncio
import sys

import pytest

from latchpin.identity.verified import Verified
from tests.support.office import Issued, office
from tests.support.server import Server

_REVOKES = """
import asyncio, os, sys
from pathlib import Path
from latchpin import settings
from latchpin.audit import Actor, chain
from latchpin.identity import api_keys
from latchpin.storage import Database, secrets, shared_counter, sqlite_driver

directory, url, secrets_file, organization, key, step = sys.argv[1:]
writes = 0
write_at, run_commit = shared_counter._write_at, sqlite_driver.Thread._run_commit

def die_at(name):
    if name == step:
        os.kill(os.getpid(), 9)

def counted(file, data, offset):
    global writes
    die_at(f"before write {writes}")
    write_at(file, data, offset)
    writes += 1

class Commits:
    def __init__(self, connection):
        self.connection = connection
    def commit(self):
        die_at("before the commit")
        self.connection.commit()
        die_at("after the commit")

def committed(self, around):
    inner = self._connection._conn
    with around:
        Commits(inner).commit()

async def main():
    chosen = settings.load({}, data_dir=Path(directory), database_url=url, secrets_file=Path(secrets_file))
    database = Database(chosen)
    chain.use_key(secrets.load(chosen.secrets_file).derive("audit"))
    async with database.transaction() as session:
        await api_keys.revoke(session, await api_keys.get(session, int(organization), int(key)), by=Actor("test"))
        shared_counter._write_at, sqlite_driver.Thread._run_commit = counted, committed
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""
_BEFORE_COMMIT = ("before write 0", "before write 1", "before the commit")
_AFTER_COMMIT = ("after the commit", "before write 2", "before write 3", "at the end")


def _status(server: Server, key: Issued) -> int:
    return server.http.get("/api/v1/agent/all", headers={"Authorization": f"ApiKey {key.secret}"}).status_code


def _known(server: Server, key: Issued) -> bool:
    async def ask() -> Verified | None:
        found: Verified | None = server.services.keys.cached(key.secret.encode(), await server.services.generation.current())
        return found

    return server.run(ask()) is not None


@pytest.mark.parametrize("step", _BEFORE_COMMIT + _AFTER_COMMIT)
async def test_a_key_whose_revoker_was_killed_is_refused_where_that_was_committed_and_known_again_where_not(
    server: Server, step: str
) -> None:
    """Nobody is answered, so either is right; what must not be is that it counts in one process, or that others are forgotten for good."""
    async with office(server) as own:
        (concerned,), (other,) = await own.keys(await own.user(), 1), await own.keys(await own.user(), 1)
    assert [_status(server, concerned), _status(server, other)] == [200, 200]
    chosen = server.settings
    where = [str(chosen.data_dir), chosen.database_url, str(chosen.secrets_file), str(concerned.organization_id), str(concerned.id)]

    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", _REVOKES, *where, step, stderr=asyncio.subprocess.PIPE)
    _, told = await killed.communicate()

    assert killed.returncode == -9, told
    assert _known(server, other)
    expected = 401 if step in _AFTER_COMMIT else 200
    assert [_status(server, concerned) for _ in range(3)] == [expected] * 3
    assert _known(server, concerned) is (expected == 200)
    assert _status(server, other) == 200
