"""The migration that renames columns: each value is under its new name afterwards, and nothing else changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.types import TypeEngine

from latchpin.settings import Settings
from latchpin.storage import migrate
from latchpin.storage.database import create_engine
from tests.support.schema import downgrade, is_ours

pytestmark = pytest.mark.both_databases("each database alters tables in its own way")

_KEY = (
    "INSERT INTO api_keys (organization_id, user_id, digest, pepper_version, prefix, scopes, networks, created_at, created_by_name,"
    " expires_at) VALUES (1, 1, 'digest', 1, 'sk-lp_0000', '', '', '2026-01-01 00:00:00', 'Ada', '2026-01-01 00:00:00') RETURNING id"
)
_MOMENTS = {
    "archived", "created", "ended", "expires", "last_activity", "last_polled", "last_seen", "last_sign_in", "last_used", "revoked",
    "setup_expires", "updated", "used", "window_ends",
}  # fmt: skip
_RENAMED = {
    "api_keys": {"form_id": "idempotency_key"},
    "browser_sessions": {"proved": "reauthenticated_at"},
    "oauth_approvals": {"at": "updated_at"},
    "oauth_clients": {"form_id": "idempotency_key"},
    "oauth_grants": {"begun": "activated_at"},
    "oauth_refresh_tokens": {"spent": "used_at", "asked": "token_request"},
    "signing_keys": {"leaves": "published_until"},
}
_RENAMED_TABLES = {"kept_forms": "form_drafts"}


async def test_columns_that_get_other_names_keep_their_values(empty: Settings) -> None:
    """A row of every table, no two values alike: each is under its new name after upgrading, and under the old one after going back."""
    engine = create_engine(empty)
    await migrate.upgrade(engine, "0017")
    async with engine.execution_options(latchpin_writes=True).begin() as connection:
        await connection.run_sync(_fill)
        before = await connection.run_sync(_rows)

    await migrate.upgrade(engine, "0018")
    async with engine.connect() as connection:
        after = await connection.run_sync(_rows)
    await downgrade(engine, "0017")
    async with engine.connect() as connection:
        again = await connection.run_sync(_rows)

    renamed = {
        _RENAMED_TABLES.get(table, table): {_renamed(table, name): value for name, value in row.items()} for table, row in before.items()
    }
    assert before.keys() >= _RENAMED.keys() | _RENAMED_TABLES.keys()
    assert after == renamed
    assert again == before
    await engine.dispose()


async def test_the_id_of_a_deleted_key_does_not_come_back_with_the_table(empty: Settings) -> None:
    """SQLite copies the table of API keys to rename a constraint, and the copy would begin to count anew."""
    engine = create_engine(empty)
    await migrate.upgrade(engine, "0017")
    async with engine.execution_options(latchpin_writes=True).begin() as connection:
        await connection.run_sync(_fill)
        await connection.execute(text("DELETE FROM api_keys"))

    await migrate.upgrade(engine)

    async with engine.execution_options(latchpin_writes=True).begin() as connection:
        new = await connection.scalar(text(_KEY))
    assert new == 2
    await engine.dispose()


def _fill(connection: Connection) -> None:
    """Insert one row into every empty table of the product's; each refers to the first of another, and its values are all different."""
    tables = MetaData()
    tables.reflect(connection)
    number = 0
    for table in tables.sorted_tables:
        if not is_ours(table.name, "table", None) or table.name in ("alembic_version", "audit_events"):
            continue
        values: dict[str, Any] = {}
        for column in table.columns:
            number += 1
            if column.autoincrement is True or (column.primary_key and column.name == "id" and table.name != "deployment"):
                continue
            values[column.name] = 1 if column.foreign_keys or column.name == "id" else _value(column.type, number)
        connection.execute(table.insert().values(values))


def _value(kind: TypeEngine[Any], number: int) -> object:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
    values = {str: f"t{number}", bytes: bytes([number % 256]) * 32, bool: False, datetime: at}
    return values.get(kind.python_type, number)


def _rows(connection: Connection) -> dict[str, dict[str, Any]]:
    tables = inspect(connection).get_table_names()
    rows = {table: connection.execute(text(f'SELECT * FROM "{table}"')).mappings().all() for table in tables if table != "alembic_version"}  # noqa: S608
    return {table: dict(each[0]) for table, each in rows.items() if each}


def _renamed(table: str, column: str) -> str:
    special = _RENAMED.get(table, {})
    return special.get(column, column + "_at" if column in _MOMENTS else column)
