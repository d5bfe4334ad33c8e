"""How rows and secrets are kept: SQLite and PostgreSQL from one schema."""

from latchpin.storage.database import Database, Session

__all__ = ["Database", "Session"]
