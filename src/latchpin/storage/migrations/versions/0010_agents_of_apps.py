"""An agent that an app made on its own behalf has no user who owns it.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


_OWNER = "ck_agents_owner"


def upgrade() -> None:
    """Bring the schema forward."""
    with _changing_agents() as batch_op:
        batch_op.alter_column("user_id", existing_type=sa.Integer(), nullable=True)
        batch_op.create_check_constraint(op.f(_OWNER), "space_id IS NOT NULL OR user_id IS NOT NULL")


def downgrade() -> None:
    """Bring the schema back: agents of apps go to the first administrator of their organization."""
    op.execute(
        "UPDATE agents SET user_id = (SELECT min(id) FROM users WHERE users.organization_id = agents.organization_id"
        " AND user_group = 'Administrator') WHERE user_id IS NULL"
    )
    with _changing_agents() as batch_op:
        batch_op.drop_constraint(op.f(_OWNER), type_="check")
        batch_op.alter_column("user_id", existing_type=sa.Integer(), nullable=False)


@contextmanager
def _changing_agents() -> Iterator[BatchOperations]:
    """Change the table; on SQLite by copying it, without forgetting which ids were given to agents that are gone."""
    connection = op.get_bind()
    is_sqlite = connection.dialect.name == "sqlite"
    highest = connection.scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'agents'")) if is_sqlite else None
    with op.batch_alter_table("agents", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        yield batch_op
    if highest is not None:
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'agents'"))
        connection.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('agents', :highest)"), {"highest": highest})
    if is_sqlite and (lost := connection.execute(sa.text("PRAGMA foreign_key_check")).all()):
        message = f"rows would refer to nothing: {lost[:5]}"
        raise RuntimeError(message)
