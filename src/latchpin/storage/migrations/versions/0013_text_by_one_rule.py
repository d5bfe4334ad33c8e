"""Names of agents in composed form, and e-mail addresses that differ in invisible characters alone are one.

Of two users whose addresses become one the older one keeps it. The other cannot sign in until an administrator changes the address.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa
from alembic import op

from latchpin.kit import plain_text

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_USERS = sa.table("users", sa.column("id", sa.Integer), sa.column("email", sa.String), sa.column("email_key", sa.String))
_AGENTS = sa.table("agents", sa.column("id", sa.Integer), sa.column("name", sa.String), sa.column("description", sa.String))


def upgrade() -> None:
    """Bring the data forward."""
    connection = op.get_bind()
    _rewrite_keys(connection)
    for agent_id, *texts in connection.execute(sa.select(_AGENTS.c.id, _AGENTS.c.name, _AGENTS.c.description)).all():
        composed = [text and (plain_text.normalize(text) or text) for text in texts]
        if composed != texts:
            connection.execute(_AGENTS.update().where(_AGENTS.c.id == agent_id).values(name=composed[0], description=composed[1]))


def _rewrite_keys(connection: sa.Connection) -> None:
    rows = connection.execute(sa.select(_USERS).order_by(_USERS.c.id)).all()
    taken = {row.email_key for row in rows}
    for row in rows:
        key = unicodedata.normalize("NFKC", plain_text.without_ignorable(plain_text.normalize(row.email))).casefold()
        if key not in taken:
            connection.execute(_USERS.update().where(_USERS.c.id == row.id).values(email_key=key))
            taken.add(key)


def downgrade() -> None:
    """Nothing to bring back: an earlier version reads these as well."""
