"""INSERT with a rule for rows that exist already: both engines have it, each in its own dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.storage.models.base import Base

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def insert(session: AsyncSession, model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """Return the INSERT of the session's engine; both have `on_conflict_do_nothing` and `on_conflict_do_update`."""
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415  the dialect of the other database is not imported

        return insert(model)
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415  as above

    return sqlite.insert(model)
