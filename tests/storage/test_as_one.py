"""A list that the database writes down as one value reads as its rows do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from latchpin.storage import Database
from latchpin.storage.database import fetch_one
from latchpin.storage.json_rows import rows
from latchpin.storage.models import Organization, Space
from latchpin.storage.models.space import SpaceScope

pytestmark = pytest.mark.both_databases("each database writes lists and objects down by functions of its own")

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("plain", 'quo"ted', "back\\slash / and \n line", "Größe 漢字 🙂 \x7f \u2028", "\x01\x1f\t", "%_'; --", "null")


class Listed(msgspec.Struct, array_like=True):
    """Columns of every type that lists have."""

    id: int
    name: str
    description: str | None
    scope: SpaceScope
    is_default_access: bool
    run_retention_hours: int | None
    created_at: datetime


_COLUMNS = tuple(Space.__table__.c[name] for name in Listed.__struct_fields__)
_QUERY = select(*_COLUMNS).order_by(Space.name.desc())


async def _read(database: Database, query: Any) -> list[Listed]:
    (document,) = await fetch_one(database.executor, select(rows(query)), {})
    return msgspec.json.decode(document, type=list[Listed])


async def test_every_type_and_text_comes_as_in_rows_and_in_the_same_order(database: Database) -> None:
    """Nulls, times to the microsecond, true and false, words of a list, and whatever a text may hold."""
    async with database.transaction() as session:
        session.add(organization := Organization(name="Acme", created_at=START))
        await session.flush()
        for number, name in enumerate(NAMES):
            at = START + timedelta(microseconds=number * 100_001)
            space = Space(
                organization_id=organization.id,
                name=name,
                description=None if number % 2 else name,
                scope=list(SpaceScope)[number % 3],
                is_default_access=number % 2 == 0,
                run_retention_hours=number or None,
                created_at=at,
                updated_at=at,
            )
            session.add(space)
    async with database.read() as session:
        as_rows = [Listed(*each) for each in await session.execute(_QUERY)]

    decoded = await _read(database, _QUERY)

    assert decoded == as_rows
    assert sorted(each.name for each in decoded) == sorted(NAMES)
    assert await _read(database, _QUERY.limit(2).offset(1)) == as_rows[1:3]


async def test_a_list_without_rows_is_empty(database: Database) -> None:
    """Not null."""
    assert await _read(database, _QUERY) == []
