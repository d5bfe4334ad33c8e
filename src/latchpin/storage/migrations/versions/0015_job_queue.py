"""The tables and functions of Procrastinate, which hands runs out to workers on PostgreSQL. The embedded database needs none.

They lie beside our own tables, since their functions name each other without a schema. What a later version of Procrastinate changes
comes as a migration of its own, which looks first whether this one has made it already.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_FUNCTIONS = """
    SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = current_schema() AND p.proname LIKE 'procrastinate\\_%'
"""


def upgrade() -> None:
    """Bring the schema forward."""
    if op.get_bind().dialect.name == "postgresql":
        _run(resources.files("procrastinate.sql").joinpath("schema.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Bring the schema back."""
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        return
    for table in ("events", "periodic_defers", "jobs", "workers"):
        op.execute(f"DROP TABLE procrastinate_{table} CASCADE")
    for function in bind.scalars(text(_FUNCTIONS)).all():
        op.execute(f"DROP FUNCTION {function} CASCADE")
    for kind in ("job_status", "job_event_type", "job_to_defer_v1"):
        op.execute(f"DROP TYPE procrastinate_{kind} CASCADE")


def _run(script: str) -> None:
    """Execute a script of many statements in this transaction, which the driver's own method does."""
    connection: Any = op.get_bind().connection
    await_only(connection.driver_connection.execute(script))
