"""The schema: what the migrations make is what the models say, up and down, on both engines."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from latchpin import settings
from latchpin.errors import Unavailable
from latchpin.kit import clock
from latchpin.settings import Settings
from latchpin.storage import Database, migrate
from latchpin.storage.database import create_engine
from latchpin.storage.models import Organization
from tests.support.ports import free_port
from tests.support.schema import differences, downgrade

pytestmark = pytest.mark.both_databases("each database alters tables in its own way")


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {"alembic_version"}


async def test_upgrading_an_empty_database_makes_exactly_what_the_models_say(empty: Settings) -> None:
    """Alembic's own comparison finds no difference at head."""
    engine = create_engine(empty)
    assert await migrate.current(engine) is None

    await migrate.upgrade(engine)

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    assert await migrate.current(engine) == migrate.head()
    await engine.dispose()


def test_the_newest_revision_is_known_without_alembic() -> None:
    """The names of the files say what Alembic finds inside them, so that a process whose database is up to date need not import it."""
    scripts = ScriptDirectory.from_config(migrate.config())

    assert migrate.head() == scripts.get_current_head()
    assert set(migrate.revisions()) == {each.revision for each in scripts.walk_revisions()}


async def test_downgrading_to_nothing_and_upgrading_again_works(empty: Settings) -> None:
    """No migration leaves anything behind that its next run would trip over."""
    engine = create_engine(empty)
    await migrate.upgrade(engine)

    await downgrade(engine, "base")
    async with engine.connect() as connection:
        left = await connection.run_sync(_tables)
    await migrate.upgrade(engine)

    assert left == set()
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_two_processes_may_upgrade_the_same_database_at_once(empty: Settings) -> None:
    """The later one waits and finds nothing to do."""
    engines = [create_engine(empty) for _ in range(4)]

    await asyncio.gather(*map(migrate.upgrade, engines))

    assert await migrate.current(engines[0]) == migrate.head()
    for engine in engines:
        await engine.dispose()


async def test_a_database_at_another_revision_is_refused_with_the_command_to_run(empty: Settings) -> None:
    """An empty database counts as another revision."""
    engine = create_engine(empty)

    with pytest.raises(migrate.WrongRevision, match="Run: latchpin db upgrade"):
        await migrate.require_head(engine)

    await migrate.upgrade(engine)
    await migrate.require_head(engine)
    await engine.dispose()


async def test_a_database_that_does_not_answer_is_called_unavailable() -> None:
    """The message names the variable to check and quotes neither user nor password."""
    url = f"postgresql://someone:hidden-word@127.0.0.1:{free_port()}/nowhere"
    engine = create_engine(settings.load({}, database_url=settings.load({"LATCHPIN_DATABASE_URL": url}).database_url))

    with pytest.raises(Unavailable, match="LATCHPIN_DATABASE_URL") as caught:
        await migrate.current(engine)

    assert "hidden-word" not in caught.value.detail
    await engine.dispose()


async def test_the_id_of_a_deleted_row_does_not_come_back(database: Database) -> None:
    """Audit events and scripts still speak of it."""

    async def add() -> int:
        async with database.transaction() as session:
            row = Organization(name="Acme", created_at=clock.now())
            session.add(row)
            await session.flush()
            return row.id

    first = await add()
    async with database.transaction() as session:
        row = await session.get(Organization, first)
        await session.delete(row)

    assert await add() > first


async def test_what_an_earlier_version_kept_is_there_after_upgrading(empty: Settings) -> None:
    """An organization of before OAuth lives on, and asks for no approval of apps until an administrator says so."""
    engine = create_engine(empty)
    await migrate.upgrade(engine, "0001")
    async with engine.execution_options(latchpin_writes=True).begin() as connection:
        await connection.execute(text("INSERT INTO organizations (name, created) VALUES ('Acme', '2026-01-01 00:00:00')"))

    await migrate.upgrade(engine)

    async with engine.connect() as connection:
        rows = (await connection.execute(select(Organization.name, Organization.app_approval))).all()
    assert [(name, approval) for name, approval in rows] == [("Acme", False)]
    await engine.dispose()


async def test_agents_and_their_versions_survive_the_tables_copy(empty: Settings) -> None:
    """Up and down again: no version is lost with the old table, and the id of an agent that is gone does not come back."""
    engine = create_engine(empty)
    await migrate.upgrade(engine, "0009")
    async with engine.execution_options(latchpin_writes=True).begin() as connection:
        for statement in _AGENTS_OF_BEFORE:
            await connection.execute(text(statement))

    for change, revision in ((migrate.upgrade, "0010"), (downgrade, "0009"), (migrate.upgrade, "head")):
        await change(engine, revision)
        async with engine.begin() as connection:
            rows = (await connection.execute(text("SELECT agent_id, definition FROM agent_versions"))).all()
            enforced = empty.is_sqlite and await connection.scalar(text("PRAGMA foreign_keys"))
        assert rows == [(1, "version: 1")]
        assert enforced == empty.is_sqlite
    async with engine.execution_options(latchpin_writes=True).begin() as connection:
        new = await connection.scalar(text(_AGENT.replace("created, updated", "created_at, updated_at") + " RETURNING id"))
    assert new == 3
    await engine.dispose()


async def test_names_and_addresses_of_before_the_one_rule_for_text_are_brought_to_it(empty: Settings) -> None:
    """An agent's name is composed; of two addresses that differ in an invisible character alone the older user keeps the one."""
    engine = create_engine(empty)
    await migrate.upgrade(engine, "0012")
    user = text(_AGENTS_OF_BEFORE[1].replace("'ada@example.com'", ":email"))
    async with engine.execution_options(latchpin_writes=True).begin() as connection:
        await connection.execute(text(_AGENTS_OF_BEFORE[0]))
        for email in ("a\u00add@example.com", "eve@example.com", "e\u200bve@example.com"):
            await connection.execute(user, {"email": email})
        await connection.execute(text(_AGENT.replace("Book prices", "A\u030asa")))

    await migrate.upgrade(engine)

    async with engine.connect() as connection:
        keys = (await connection.scalars(text("SELECT email_key FROM users ORDER BY id"))).all()
        name = await connection.scalar(text("SELECT name FROM agents"))
    assert keys == ["ad@example.com", "eve@example.com", "e\u200bve@example.com"]
    assert name == "\u00c5sa"
    await engine.dispose()


async def test_what_refreshes_asked_for_has_names_after_upgrading(empty: Settings) -> None:
    """Lists of both earlier forms become objects; and back again."""
    engine = create_engine(empty)
    await migrate.upgrade(engine, "0016")
    before = ['["a b", ["https://api.example"]]', '[null, [], "key", "key"]', '["a", [], null, null]', None]
    async with engine.execution_options(latchpin_writes=True).begin() as connection:
        for statement in _GRANT_OF_BEFORE:
            await connection.execute(text(statement))
        for number, parameters in enumerate(before):
            await connection.execute(text(_REFRESH_TOKEN), {"digest": bytes([number]) * 32, "asked": parameters})

    await migrate.upgrade(engine, "0017")
    after = await _asked(engine)
    await downgrade(engine, "0016")

    assert after[0] == {"scope": "a b", "resource": ["https://api.example"], "jkt": None, "bound_to": None}
    assert after[1:] == [
        {"scope": None, "resource": [], "jkt": "key", "bound_to": "key"},
        {"scope": "a", "resource": [], "jkt": None, "bound_to": None},
        None,
    ]
    assert (await _asked(engine))[1:] == [None if each is None else json.loads(each) for each in before[1:]]
    await engine.dispose()


async def _asked(engine: AsyncEngine) -> list[Any]:
    async with engine.connect() as connection:
        values = (await connection.scalars(text("SELECT asked FROM oauth_refresh_tokens ORDER BY id"))).all()
    return [None if each is None else json.loads(each) for each in values]


_GRANT_OF_BEFORE = (
    "INSERT INTO organizations (name, created, app_approval) VALUES ('Acme', '2026-01-01 00:00:00', false)",
    (
        "INSERT INTO oauth_clients (client_id, source, name, status, auth_method, application_type, redirect_uris,"
        " post_logout_redirect_uris, grant_types, scopes, version, created, created_by_name)"
        " VALUES ('app', 'registered', 'App', 'active', 'none', 'web', '[]', '[]', '', '', 1, '2026-01-01 00:00:00', 'Ada')"
    ),
    (
        "INSERT INTO oauth_grants (organization_id, oauth_client_id, sid, kind, offline, scopes, resource, reach, created, expires)"
        " VALUES (1, 1, 'sid', 'service', false, '', '', 'all', '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
    ),
)
_REFRESH_TOKEN = (
    "INSERT INTO oauth_refresh_tokens (digest, grant_id, created, expires, asked)"
    " VALUES (:digest, 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00', :asked)"
)
_AGENT = (
    "INSERT INTO agents (organization_id, user_id, name, config_type, input_parameters, validation_status, version, created, updated)"
    " VALUES (1, 1, 'Book prices', 1, '{}', 3, 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
)
_AGENTS_OF_BEFORE = (
    "INSERT INTO organizations (name, created, app_approval) VALUES ('Acme', '2026-01-01 00:00:00', false)",
    (
        "INSERT INTO users (organization_id, full_name, email, email_key, user_group, auth_method, password_hash, status,"
        " must_change_password, created) VALUES (1, 'Ada', 'ada@example.com', 'ada@example.com', 'Administrator', 'local', '', 'active',"
        " false, '2026-01-01 00:00:00')"
    ),
    _AGENT,
    _AGENT,
    "DELETE FROM agents WHERE id = 2",
    (
        "INSERT INTO agent_versions (agent_id, version, definition, file_size, user_name, created)"
        " VALUES (1, 1, 'version: 1', 10, 'ada@example.com', '2026-01-01 00:00:00')"
    ),
)
