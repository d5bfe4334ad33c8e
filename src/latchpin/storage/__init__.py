"""Storage of rows and secrets: one schema for SQLite and PostgreSQL."""

from latchpin.storage.database import Database, Session

__all__ = ["Database", "Session"]
