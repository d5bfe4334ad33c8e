"""INSERT that knows what to do about a row that is there already: both engines have it, in dialects of their own."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.storage.models.base import Base


def insert(session: AsyncSession, model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """Return the INSERT of the session's engine; both have `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return (postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert)(model)
