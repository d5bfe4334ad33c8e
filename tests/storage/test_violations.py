"""Which rule of the database a row broke: told by the drivers' codes, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from latchpin.storage import Database, violations

pytestmark = pytest.mark.both_databases("each driver has codes of its own")


async def _broken_rule(database: Database, statement: str) -> IntegrityError:
    with pytest.raises(IntegrityError) as caught:
        async with database.transaction() as session:
            await session.execute(text(statement))
    return caught.value


async def test_a_value_that_another_row_has_is_told_from_a_row_that_is_not_there_and_from_other_rules(database: Database) -> None:
    """Else a person would read that an e-mail address is taken, where something else is wrong."""
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE shelves (id INTEGER PRIMARY KEY)"))
        await session.execute(text("CREATE TABLE books (title TEXT NOT NULL UNIQUE, shelf INTEGER REFERENCES shelves (id))"))
        await session.execute(text("INSERT INTO shelves VALUES (1)"))
        await session.execute(text("INSERT INTO books VALUES ('Emma', 1)"))

    errors = [
        await _broken_rule(database, "INSERT INTO books VALUES ('Emma', 1)"),
        await _broken_rule(database, "INSERT INTO shelves VALUES (1)"),
        await _broken_rule(database, "INSERT INTO books VALUES ('Persuasion', 2)"),
        await _broken_rule(database, "INSERT INTO books VALUES (NULL, 1)"),
    ]

    assert [violations.is_unique(error) for error in errors] == [True, True, False, False]
    assert [violations.is_foreign_key(error) for error in errors] == [False, False, True, False]
