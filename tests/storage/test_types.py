"""Column types: the same meaning on both engines, and nothing that is quietly wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.exc import StatementError

from latchpin.storage import Database
from latchpin.storage.models import Organization
from latchpin.storage.models.space import SpaceScope
from latchpin.storage.types import UtcTime, WordEnum

pytestmark = pytest.mark.both_databases("each driver takes and gives values in its own way")

_DIALECTS: tuple[Dialect, ...] = (SQLiteDialect(), PGDialect())  # type: ignore[no-untyped-call]  # SQLAlchemy's own


async def test_a_time_comes_back_as_the_same_moment_in_utc(database: Database) -> None:
    """Whatever zone it was given in, to the microsecond."""
    given_at = datetime(2026, 3, 29, 2, 30, 0, 123456, timezone(timedelta(hours=-5, minutes=-30)))
    async with database.transaction() as session:
        session.add(row := Organization(name="Acme", created_at=given_at))

    async with database.read() as session:
        organization = await session.get(Organization, row.id)

    assert organization is not None
    assert organization.created_at == given_at
    assert organization.created_at.tzinfo is UTC


async def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    """It could be any of 38 moments."""
    with pytest.raises(StatementError, match="without a zone"):
        async with database.transaction() as session:
            session.add(Organization(name="Acme", created_at=datetime(2026, 1, 1)))  # noqa: DTZ001  what is refused


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001  bounds
def test_any_time_survives_both_dialects(at: datetime) -> None:
    """Binding and reading again gives the same moment."""
    for dialect in _DIALECTS:
        kind = UtcTime().dialect_impl(dialect)
        bind, read = kind.bind_processor(dialect), kind.result_processor(dialect, None)
        assert bind is not None
        assert read is not None
        assert read(bind(at)) == at.astimezone(UTC)


def test_a_word_outside_its_list_is_refused() -> None:
    """A column of words holds only members of its enumeration."""
    kind = WordEnum(SpaceScope)

    assert kind.process_bind_param(SpaceScope.PUBLIC, _DIALECTS[0]) == "Public"
    with pytest.raises(ValueError, match="Secret"):
        kind.process_bind_param("Secret", _DIALECTS[0])  # type: ignore[arg-type]  # what is refused


def test_a_word_is_read_as_its_member() -> None:
    """Null stays null, and a text that is no member, which only another version can have stored, is not taken for one."""
    read = WordEnum(SpaceScope).result_processor(_DIALECTS[0], None)

    assert (read("Public"), read(None)) == (SpaceScope.PUBLIC, None)
    with pytest.raises(KeyError, match="Secret"):
        read("Secret")
