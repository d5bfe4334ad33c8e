"""Faults of the database: refused with 503, never accepted on old knowledge, and well again without a restart."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import httpx
import pytest
from sqlalchemy import event, func, select
from sqlalchemy.engine import make_url

from latchpin.kit.clock import Frozen
from latchpin.storage import database as storage
from latchpin.storage.models import AuditEvent
from tests.support.databases import POSTGRESQL
from tests.support.office import Issued, office
from tests.support.people import Key, Organization
from tests.support.server import Server

pytestmark = pytest.mark.both_databases("each database fails in its own way")


def _admin(*statements: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(f"{POSTGRESQL}/postgres", timeout=5)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


@contextmanager
def _closed(name: str) -> Iterator[None]:
    """Close a PostgreSQL database: nobody is let in, and who is in is thrown out."""
    _admin(
        f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false',
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",  # noqa: S608  a name of our own
    )
    try:
        yield
    finally:
        _admin(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@contextmanager
def _unreadable(server: Server) -> Iterator[None]:
    """Put a directory where the SQLite file was, and make the server open it anew."""
    path = server.settings.data_dir / "latchpin.db"
    backup = path.with_name("kept.db")
    server.run(server.database.engine.dispose())
    path.rename(backup)
    path.mkdir()
    try:
        yield
    finally:
        path.rmdir()
        backup.rename(path)


@contextmanager
def _gone(server: Server) -> Iterator[None]:
    """Take the server's database away for the length of the block."""
    if server.settings.is_sqlite:
        with _unreadable(server):
            yield
    else:
        with _closed(make_url(server.settings.database_url).database or ""):
            yield


def _is_unavailable(response: httpx.Response) -> bool:
    document = response.json()
    return (
        response.status_code == 503
        and response.headers["content-type"] == "application/problem+json"
        and int(response.headers["retry-after"]) >= 1
        and document["errorCode"] == "unavailable"
        and "sql" not in response.text.lower()
    )


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    """A deployment whose database may be taken away."""
    return serve()


@pytest.fixture
def key(organization: Organization) -> Key:
    """A key that the server has accepted and remembers."""
    api_key = organization.key()
    assert organization.get("/agent/all", api_key).status_code == 200
    return api_key


def test_without_its_database_the_server_refuses_a_remembered_key(server: Server, organization: Organization, key: Key) -> None:
    """503 with Retry-After, time after time, and 200 again once the database is back."""
    with _gone(server):
        responses = [organization.get("/agent/all", key) for _ in range(5)]

    assert all(_is_unavailable(response) for response in responses), [response.text for response in responses]
    assert organization.get("/agent/all", key).status_code == 200


def test_without_its_database_the_server_refuses_a_key_it_has_never_seen(server: Server, organization: Organization) -> None:
    """Not 401: the key may be sound."""
    fresh = organization.key()
    with _gone(server):
        assert _is_unavailable(organization.get("/agent/all", fresh))

    assert organization.get("/agent/all", fresh).status_code == 200


def test_junk_is_refused_without_the_database(server: Server, organization: Organization) -> None:
    """What cannot be a key gets its 401 whatever the database does."""
    with _gone(server):
        response = server.http.get("/api/v1/agent/all", headers={"Authorization": "ApiKey sk-lp_junk"})

    assert response.status_code == 401


def test_a_key_revoked_just_before_the_database_went_is_not_accepted_while_it_is_away(
    server: Server, organization: Organization, key: Key
) -> None:
    """Neither while it is away nor after."""
    organization.revoke(key)
    with _gone(server):
        assert organization.get("/agent/all", key).status_code in (401, 503)

    assert organization.get("/agent/all", key).status_code == 401


def test_health_says_that_the_process_lives_and_that_it_cannot_serve(server: Server) -> None:
    """Live stays 200, so that no supervisor restarts in vain; ready says 503, so that no balancer sends requests."""
    with _gone(server):
        live, ready = server.http.get("/health/live"), server.http.get("/health/ready")

    assert live.status_code == 200
    assert _is_unavailable(ready)
    assert server.http.get("/health/ready").status_code == 200


def test_connections_that_the_database_cut_are_made_anew(server: Server, organization: Organization, key: Key, kind: str) -> None:
    """After a restart of PostgreSQL a request is answered at once or with 503, and then all is well."""
    if kind != "postgresql":
        pytest.skip("SQLite has no connections that could be cut")
    name = make_url(server.settings.database_url).database
    _admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608  a name of our own

    first = organization.get("/agent/all", key)

    assert first.status_code == 200 or _is_unavailable(first)
    assert [organization.get("/agent/all", key).status_code for _ in range(10)] == [200] * 10


def test_what_was_collected_while_the_database_was_away_is_written_later(server: Server, organization: Organization) -> None:
    """A refused key is in the audit trail although nothing could be written when it came."""
    with _gone(server):
        server.http.get("/api/v1/agent/all", headers={"Authorization": "ApiKey sk-lp_junk"})

    server.flush()

    assert _events(server, "api_key.refused") == 1


@contextmanager
def _read_only(server: Server) -> Iterator[None]:
    """Let the database refuse every write, as a replica or a disk that was mounted read-only does."""
    server.run(server.database.engine.dispose())
    if server.settings.is_sqlite:
        with _on_connect(server, "PRAGMA query_only = ON"):
            yield
    else:
        name = make_url(server.settings.database_url).database
        _admin(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        try:
            yield
        finally:
            _admin(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    server.run(server.database.engine.dispose())


@contextmanager
def _on_connect(server: Server, pragma: str) -> Iterator[None]:
    def configure(connection: Any, _record: object) -> None:
        connection.cursor().execute(pragma)

    engine = server.database.engine.sync_engine
    event.listen(engine, "connect", configure)
    server.run(server.database.engine.dispose())
    try:
        yield
    finally:
        event.remove(engine, "connect", configure)


def test_a_database_that_cannot_be_written_says_so_and_the_server_is_not_ready(
    server: Server, organization: Organization, key: Key, clock: Frozen
) -> None:
    """Reads go on, a change gets 503 with its cause, and the log names it; ready again half a minute after it can be written."""
    agent = organization.agent()
    with _read_only(server):
        refused = organization.post(f"/agent/{agent}/archive", key)
        reading = organization.get("/agent/all", key)
        ready = server.http.get("/health/ready")
    clock.advance(timedelta(seconds=31))

    assert _is_unavailable(refused), refused.text
    assert "can only be read" in refused.json()["detail"]
    assert reading.status_code == 200
    assert _is_unavailable(ready)
    assert '"cause": "read_only"' in server.log.getvalue()
    assert server.http.get("/health/ready").status_code == 200
    assert organization.post(f"/agent/{agent}/archive", key).status_code < 300


def _events(server: Server, action: str) -> int:
    async def count() -> int:
        async with server.database.read() as session:
            query = select(func.count()).select_from(AuditEvent).where(AuditEvent.action == action)
            return await session.scalar(query) or 0

    return server.run(count())


class TestFile:
    """What can happen to the SQLite file."""

    @pytest.fixture
    def kind(self) -> str:
        """SQLite only."""
        return "sqlite"

    @pytest.fixture
    def server(self, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> Server:
        """A server that waits 200 ms for the lock."""
        monkeypatch.setattr(storage, "BUSY_TIMEOUT_MS", 200)
        return serve()

    def test_a_change_is_refused_with_503_and_nothing_is_half_done(self, server: Server, organization: Organization, key: Key) -> None:
        """The same change works once the lock is free; reading goes on all the time."""
        agent = organization.agent()
        holder = sqlite3.connect(server.settings.data_dir / "latchpin.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")

        refused = organization.post(f"/agent/{agent}/archive", key)
        reading = organization.get("/agent/all", key)
        holder.execute("ROLLBACK")
        holder.close()

        assert _is_unavailable(refused), refused.text
        assert reading.status_code == 200
        assert [row["id"] for row in organization.get("/agent/all", key).json()] == [agent]
        assert organization.post(f"/agent/{agent}/archive", key).status_code < 300

    def test_a_change_that_finds_the_disk_full_says_so_and_the_server_is_not_ready(
        self, server: Server, organization: Organization, key: Key, clock: Frozen
    ) -> None:
        """Nothing is half done, and half a minute later it is tried whether there is room."""
        agent = organization.agent()
        with _on_connect(server, "PRAGMA max_page_count = 1"):  # the file keeps its size
            responses = (organization.post(f"/agent/{agent}/version/1/restore", key, {"content": "once more"}) for _ in range(100))
            refused = next(response for response in responses if response.status_code != 204)
            ready = server.http.get("/health/ready")
        server.run(server.database.engine.dispose())
        clock.advance(timedelta(seconds=31))

        assert _is_unavailable(refused), refused.text
        assert "is full" in refused.json()["detail"]
        assert _is_unavailable(ready)
        assert '"cause": "full"' in server.log.getvalue()
        assert server.http.get("/health/ready").status_code == 200

    def test_a_damaged_file_is_refused_with_503(self, server: Server, organization: Organization, key: Key) -> None:
        """A file that is no database any more is not the caller's fault, and shows no path."""
        path: Path = server.settings.data_dir / "latchpin.db"
        server.run(server.database.engine.dispose())
        backup = path.rename(path.with_name("kept.db"))
        path.write_bytes(b"not a database at all" * 1000)

        refused = organization.get("/agent/all", key)
        server.run(server.database.engine.dispose())
        backup.replace(path)

        assert _is_unavailable(refused), refused.text
        assert str(path) not in refused.text
        assert organization.get("/agent/all", key).status_code == 200

    def test_when_the_file_is_deleted_or_replaced_changes_are_refused(self, server: Server, organization: Organization, key: Key) -> None:
        """SQLite would acknowledge them and lose them at the end of the process. The server is not ready, and well again with its file."""
        path: Path = server.settings.data_dir / "latchpin.db"
        agent = organization.agent()
        for impostor in (None, path.with_name("impostor.db")):
            backup = path.rename(path.with_name("kept.db"))
            if impostor is not None:
                shutil.copy(backup, impostor)
                impostor.rename(path)

            refused = organization.post(f"/agent/{agent}/archive", key)
            ready = server.http.get("/health/ready")
            was_made = impostor is None and path.exists()
            backup.replace(path)

            assert _is_unavailable(refused), refused.text
            assert _is_unavailable(ready), ready.text
            assert "was deleted or replaced" in refused.json()["detail"]
            assert "was deleted or replaced" in ready.json()["detail"]
            assert not was_made
            assert server.http.get("/health/ready").status_code == 200
        assert organization.post(f"/agent/{agent}/archive", key).status_code < 300

    def test_a_key_revoked_after_the_generation_file_was_lost_is_refused_at_once(self, server: Server) -> None:
        """Deleted, replaced or truncated under a running server: the server goes on, and reads what the next process counts."""
        path = server.settings.data_dir / "latchpin.db.generation"
        for mishap in (Path.unlink, _replace, _truncate):
            key = anyio.run(_issued, server)
            accepted = _status(server, key)
            mishap(path)
            anyio.run(_revoked, server, key)
            assert (accepted, _status(server, key)) == (200, 401), mishap


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(bytes(8))
    other.replace(path)


def _truncate(path: Path) -> None:
    os.truncate(path, 0)


async def _issued(server: Server) -> Issued:
    async with office(server) as own:
        return (await own.keys(await own.user(), 1))[0]


async def _revoked(server: Server, key: Issued) -> None:
    async with office(server) as own:
        await own.revoke(key)


def _status(server: Server, key: Issued) -> int:
    return server.http.get("/api/v1/agent/all", headers={"Authorization": f"ApiKey {key.secret}"}).status_code
