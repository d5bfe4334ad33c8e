"""Rows by the million, past the application: one transaction on SQLite, COPY on PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import Table
from sqlalchemy.engine import make_url

from latchpin.settings import Settings
from latchpin.storage.sqlite_file import sqlite_file


async def add(chosen: Settings, table: Table, columns: Sequence[str], rows: Iterator[dict[str, Any]]) -> int:
    """Add rows, and let the table's ids go on behind them; returns how many."""
    if chosen.is_sqlite:
        return _add_to_sqlite(chosen, table, columns, rows)
    url = make_url(chosen.database_url).set(drivername="postgresql")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    try:
        records = (tuple(row[name] for name in columns) for row in rows)
        status: str = await connection.copy_records_to_table(table.name, records=records, columns=columns, timeout=None)
        await connection.execute(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), (SELECT max(id) FROM {table.name}))")  # noqa: S608  our own table
    finally:
        await connection.close()
    return int(status.rsplit(maxsplit=1)[-1])


def _add_to_sqlite(chosen: Settings, table: Table, columns: Sequence[str], rows: Iterator[dict[str, Any]]) -> int:
    names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608  as above
    connection = sqlite3.connect(sqlite_file(chosen.database_url))
    try:
        with connection:
            cursor = connection.executemany(statement, ([_plain(row[name]) for name in columns] for row in rows))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return cursor.rowcount
    finally:
        connection.close()


def _plain(value: Any) -> Any:  # noqa: ANN401  a column's value
    """Return a value as SQLAlchemy writes it on SQLite."""
    return value.replace(tzinfo=None).isoformat(" ", "microseconds") if isinstance(value, datetime) else getattr(value, "value", value)
